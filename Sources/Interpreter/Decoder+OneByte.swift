/// The one-byte opcodes (Intel SDM vol. 2, table A-2). Each returns whether the block ends.
extension Decoder {
  mutating func decodeOneByte(_ opcode: UInt8, _ o: OpRef) -> Bool {
    switch opcode {
    case 0x00...0x3F: return decodeArithmetic(opcode, o)
    case 0x40...0x4F:
      o.pointee.rm = (opcode & 7) * 8
      o.pointee.go = Handlers.incDec(dec: opcode >= 0x48, memory: false, operandSize)
      return false
    case 0x50...0x5F: return decodePushPop(opcode, o)
    case 0x60...0x6F: return decodeSixty(opcode, o)
    case 0x70...0x7F:
      decodeConditionalJump(o, opcode & 15, short: true)
      return false
    case 0x80...0x8F: return decodeEighty(opcode, o)
    case 0x90...0x9F: return decodeNinety(opcode, o)
    case 0xA0...0xAF: return decodeA(opcode, o)
    case 0xB0...0xB7:
      o.pointee.rm = register((opcode & 7) | (rex & 1) << 3, 0)
      o.pointee.imm = UInt64(byte())
      o.pointee.go = Handlers.moveImmediate(memory: false, 0)
      return false
    case 0xB8...0xBF:
      o.pointee.rm = ((opcode & 7) | (rex & 1) << 3) * 8
      o.pointee.imm =
        operandSize == 3 ? dword() | dword() << 32 : (operandSize == 2 ? dword() : word())
      o.pointee.go = Handlers.moveImmediate(memory: false, operandSize)
      return false
    case 0xC0...0xCF: return decodeC(opcode, o)
    case 0xD0...0xDF: return decodeD(opcode, o)
    case 0xE0...0xEF: return decodeE(opcode, o)
    default: return decodeF(opcode, o)
    }
  }

  private mutating func decodeArithmetic(_ opcode: UInt8, _ o: OpRef) -> Bool {
    let operation = opcode >> 3
    let size = opcode & 1 == 0 ? 0 : operandSize
    switch opcode & 7 {
    case 0, 1:
      readModRM(o, size)
      if operation != 7 { allowLock(o) }
      o.pointee.size = size
      if isMemory {
        o.pointee.go =
          hasLock
          ? Handlers.lockedArithmetic(operation, immediate: false, size)
          : Handlers.arithmetic(operation, .memoryRegister, size)
      } else {
        swap(&o.pointee.reg, &o.pointee.rm)
        o.pointee.go = Handlers.arithmetic(operation, .registers, size)
        markFusible(o, operation, immediate: false, size)
      }
    case 2, 3:
      readModRM(o, size)
      o.pointee.go = Handlers.arithmetic(
        operation, isMemory ? .registerMemory : .registers, size)
      if !isMemory { markFusible(o, operation, immediate: false, size) }
    case 4, 5:
      o.pointee.imm = immediate(size)
      o.pointee.reg = 0
      o.pointee.go = Handlers.arithmetic(operation, .registerImmediate, size)
      markFusible(o, operation, immediate: true, size)
    default:
      if codeSize == 3 { return true }
      switch opcode {
      case 0x27, 0x2F, 0x37, 0x3F:
        o.pointee.aux = opcode
        o.pointee.run = Handlers.decimalAdjust
      case 0x06, 0x0E, 0x16, 0x1E:
        o.pointee.segment = Seg.offset(operation)
        o.pointee.run = Handlers.pushSegment
      case 0x07, 0x17, 0x1F:
        o.pointee.segment = Seg.offset(operation)
        o.pointee.run = Handlers.popSegment
        return opcode == 0x17 || true
      default: return true
      }
    }
    return false
  }

  private mutating func decodePushPop(_ opcode: UInt8, _ o: OpRef) -> Bool {
    if codeSize == 3 { operandSize = operandSize == 1 ? 1 : 3 }
    o.pointee.size = operandSize
    o.pointee.reg = ((opcode & 7) | (rex & 1) << 3) * 8
    o.pointee.go =
      opcode < 0x58
      ? Handlers.pushRegister(operandSize) : Handlers.popRegister(operandSize)
    return false
  }

  private mutating func decodeSixty(_ opcode: UInt8, _ o: OpRef) -> Bool {
    switch opcode {
    case 0x60, 0x61:
      if codeSize == 3 { return true }
      o.pointee.run = opcode == 0x60 ? Handlers.pushAll : Handlers.popAll
    case 0x62:
      if codeSize == 3 { return true }
      readModRM(o, operandSize)
      if !isMemory { return true }
      o.pointee.run = Handlers.bound
    case 0x63:
      if codeSize == 3 {
        readModRM(o, reg: operandSize, rm: 2)
        o.pointee.go =
          operandSize == 3
          ? Handlers.extend(signed: true, memory: isMemory, from: 2, to: 3)
          : Handlers.move(isMemory ? .registerMemory : .registers, operandSize)
      } else {
        readModRM(o, 1)
        o.pointee.size = 1
        if isProtected { o.pointee.run = Handlers.adjustPrivilege } else { return true }
      }
    case 0x68, 0x6A:
      if codeSize == 3 { operandSize = operandSize == 1 ? 1 : 3 }
      o.pointee.size = operandSize
      o.pointee.imm = opcode == 0x6A ? signedByte() : immediate(operandSize)
      o.pointee.go = Handlers.pushImmediate(operandSize)
    case 0x69, 0x6B:
      readModRM(o, operandSize)
      o.pointee.imm = opcode == 0x6B ? signedByte() : immediate(operandSize)
      o.pointee.run = Handlers.multiplyImmediate
      prefer(o, Handlers.multiplySigned(immediate: true, memory: isMemory, operandSize))
    case 0x6C...0x6F:
      stringOperand(opcode, o)
      o.pointee.size = min(o.pointee.size, 2)
      o.pointee.run = opcode < 0x6E ? Handlers.inString : Handlers.outString
      return true
    default: return true
    }
    return false
  }

  private mutating func decodeEighty(_ opcode: UInt8, _ o: OpRef) -> Bool {
    let size = opcode & 1 == 0 ? 0 : operandSize
    switch opcode {
    case 0x80...0x83:
      if opcode == 0x82 && codeSize == 3 { return true }
      readModRM(o, size)
      o.pointee.imm = opcode == 0x81 ? immediate(size) : signedByte()
      o.pointee.size = size
      if modrmField != 7 { allowLock(o) }
      if isMemory {
        o.pointee.go =
          hasLock
          ? Handlers.lockedArithmetic(modrmField, immediate: true, size)
          : Handlers.arithmetic(modrmField, .memoryImmediate, size)
      } else {
        o.pointee.reg = o.pointee.rm
        o.pointee.go = Handlers.arithmetic(modrmField, .registerImmediate, size)
        markFusible(o, modrmField, immediate: true, size)
      }
    case 0x84, 0x85:
      readModRM(o, size)
      o.pointee.go = Handlers.arithmetic(8, isMemory ? .registerMemory : .registers, size)
      if !isMemory { markFusible(o, 8, immediate: false, size) }
    case 0x86, 0x87:
      readModRM(o, size)
      o.pointee.size = size
      allowLock(o)
      o.pointee.run = Handlers.exchange
    case 0x88, 0x89:
      readModRM(o, size)
      if !isMemory { swap(&o.pointee.reg, &o.pointee.rm) }
      o.pointee.go = Handlers.move(isMemory ? .memoryRegister : .registers, size)
    case 0x8A, 0x8B:
      readModRM(o, size)
      o.pointee.go = Handlers.move(isMemory ? .registerMemory : .registers, size)
    case 0x8C:
      readModRM(o, operandSize)
      if modrmField > 5 { return true }
      o.pointee.segment = isMemory ? o.pointee.segment : 0
      o.pointee.aux = modrmField
      o.pointee.run = Handlers.storeSegment
    case 0x8E:
      readModRM(o, operandSize)
      if modrmField > 5 || modrmField == 1 { return true }
      o.pointee.aux = modrmField
      o.pointee.run = Handlers.loadSegment
      return true
    case 0x8D:
      readModRM(o, operandSize)
      if !isMemory { return true }
      o.pointee.go = Handlers.loadAddress(operandSize)
    default:
      readModRM(o, operandSize)
      if modrmField != 0 { return true }
      if codeSize == 3 { operandSize = operandSize == 1 ? 1 : 3 }
      o.pointee.size = operandSize
      o.pointee.run = Handlers.popOperand
    }
    return false
  }

  private mutating func decodeNinety(_ opcode: UInt8, _ o: OpRef) -> Bool {
    switch opcode {
    case 0x90 where rex & 1 == 0:
      o.pointee.run = repeatPrefix == 0xF3 ? Handlers.pause : Handlers.nothing
      if repeatPrefix != 0xF3 { o.pointee.flags |= Op.nothing }
      return repeatPrefix == 0xF3
    case 0x90...0x97:
      o.pointee.rm = ((opcode & 7) | (rex & 1) << 3) * 8
      o.pointee.reg = 0
      o.pointee.run = Handlers.exchange
    case 0x98: o.pointee.run = Handlers.convertLow
    case 0x99: o.pointee.run = Handlers.convertHigh
    case 0x9A:
      if codeSize == 3 { return true }
      readFarPointer(o)
      o.pointee.run = Handlers.callFar
      return true
    case 0x9B: o.pointee.run = Handlers.wait
    case 0x9C, 0x9D:
      if codeSize == 3 { operandSize = operandSize == 1 ? 1 : 3 }
      o.pointee.size = operandSize
      o.pointee.run = opcode == 0x9C ? Handlers.pushFlags : Handlers.popFlags
      return opcode == 0x9D
    case 0x9E: o.pointee.run = Handlers.storeAH
    default: o.pointee.run = Handlers.loadAH
    }
    return false
  }

  private mutating func readFarPointer(_ o: OpRef) {
    o.pointee.disp = operandSize == 1 ? word() : dword()
    o.pointee.imm = word()
  }

  /// Sizes, segment and prefix of a string instruction.
  mutating func stringOperand(_ opcode: UInt8, _ o: OpRef) {
    o.pointee.size = opcode & 1 == 0 ? 0 : operandSize
    o.pointee.segment = segment(.ds)
    o.pointee.aux = repeatPrefix
  }

  private mutating func decodeA(_ opcode: UInt8, _ o: OpRef) -> Bool {
    let size = opcode & 1 == 0 ? 0 : operandSize
    switch opcode {
    case 0xA0...0xA3:
      o.pointee.disp =
        addressSize == 3 ? dword() | dword() << 32 : (addressSize == 2 ? dword() : word())
      o.pointee.segment = segment(.ds)
      o.pointee.reg = 0
      o.pointee.flags |= Op.memory
      o.pointee.go = Handlers.move(opcode < 0xA2 ? .registerMemory : .memoryRegister, size)
      return false
    case 0xA8, 0xA9:
      o.pointee.imm = immediate(size)
      o.pointee.go = Handlers.arithmetic(8, .registerImmediate, size)
      return false
    default: break
    }
    stringOperand(opcode, o)
    switch opcode {
    case 0xA4, 0xA5: o.pointee.go = Handlers.moveString(size)
    case 0xA6, 0xA7: o.pointee.go = Handlers.compareString(size)
    case 0xAA, 0xAB: o.pointee.go = Handlers.fillString(size)
    case 0xAC, 0xAD: o.pointee.go = Handlers.loadString(size)
    default: o.pointee.go = Handlers.scanString(size)
    }
    // A repeated one may come back to itself.
    return repeatPrefix != 0
  }

  private mutating func decodeC(_ opcode: UInt8, _ o: OpRef) -> Bool {
    let size = opcode & 1 == 0 ? 0 : operandSize
    switch opcode {
    case 0xC0, 0xC1:
      readModRM(o, size)
      o.pointee.imm = UInt64(byte())
      o.pointee.go = Handlers.shift(modrmField, memory: isMemory, size)
      return false
    case 0xC2, 0xC3:
      if codeSize == 3 { operandSize = 3 }
      o.pointee.size = operandSize
      if opcode == 0xC2 { o.pointee.imm = word() }
      o.pointee.go = Handlers.returnNear(operandSize)
      return true
    case 0xC4, 0xC5:
      if beginsVEX { return decodeVEX(opcode, o) }
      readModRM(o, operandSize)
      if !isMemory { return true }
      o.pointee.aux = opcode == 0xC4 ? 0 : 3
      o.pointee.run = Handlers.loadFarPointer
      return true
    case 0xC6, 0xC7:
      readModRM(o, size)
      if modrmField != 0 { return true }
      o.pointee.imm = immediate(size)
      o.pointee.go = Handlers.moveImmediate(memory: isMemory, size)
      return false
    case 0xC8:
      if codeSize == 3 { operandSize = operandSize == 1 ? 1 : 3 }
      o.pointee.size = operandSize
      o.pointee.imm = word()
      o.pointee.aux = byte()
      o.pointee.run = Handlers.enter
      return false
    case 0xC9:
      if codeSize == 3 { operandSize = operandSize == 1 ? 1 : 3 }
      o.pointee.size = operandSize
      o.pointee.run = Handlers.leave
      return false
    case 0xCA, 0xCB:
      if opcode == 0xCA { o.pointee.imm = word() }
      o.pointee.run = Handlers.returnFar
    case 0xCC: setInterrupt(o, 3, Handlers.interrupt3)
    case 0xCD: setInterrupt(o, byte(), Handlers.interrupt)
    case 0xCE: if codeSize != 3 { setInterrupt(o, 4, Handlers.interruptOnOverflow) }
    default: o.pointee.run = Handlers.interruptReturn
    }
    return true
  }

  private func setInterrupt(_ o: OpRef, _ vector: UInt8, _ run: Handler) {
    o.pointee.imm = UInt64(vector)
    o.pointee.aux = OpAux.softwareInterrupt
    o.pointee.run = run
  }

  private mutating func decodeD(_ opcode: UInt8, _ o: OpRef) -> Bool {
    let size = opcode & 1 == 0 ? 0 : operandSize
    switch opcode {
    case 0xD0...0xD3:
      readModRM(o, size)
      o.pointee.imm = 1
      if opcode >= 0xD2 { o.pointee.flags |= Op.countInCL }
      o.pointee.go = Handlers.shift(modrmField, memory: isMemory, size)
    case 0xD4, 0xD5:
      if codeSize == 3 { return true }
      o.pointee.imm = UInt64(byte())
      o.pointee.run = opcode == 0xD4 ? Handlers.adjustMultiply : Handlers.adjustDivide
    case 0xD6:
      if codeSize == 3 { return true }
      o.pointee.run = Handlers.setALFromCarry
    case 0xD7:
      o.pointee.segment = segment(.ds)
      o.pointee.run = Handlers.translateByte
    default: return decodeX87(opcode, o)
    }
    return false
  }

  private mutating func decodeE(_ opcode: UInt8, _ o: OpRef) -> Bool {
    switch opcode {
    case 0xE0...0xE3:
      readTarget(o, short: true)
      o.pointee.aux = opcode
      o.pointee.jump = Handlers.loop
    case 0xE4...0xE7, 0xEC...0xEF:
      o.pointee.size = opcode & 1 == 0 ? 0 : min(2, operandSize)
      o.pointee.aux = opcode < 0xE8 ? 1 : 0
      if opcode < 0xE8 { o.pointee.imm = UInt64(byte()) }
      o.pointee.run = opcode & 2 == 0 ? Handlers.input : Handlers.output
    case 0xE8:
      readTarget(o, short: false)
      o.pointee.jump = Handlers.call(operandSize)
    case 0xE9, 0xEB:
      readTarget(o, short: opcode == 0xEB)
      o.pointee.jump = Handlers.jump
    default:
      if codeSize == 3 { return true }
      readFarPointer(o)
      o.pointee.run = Handlers.jumpFar
    }
    return true
  }

  private mutating func decodeF(_ opcode: UInt8, _ o: OpRef) -> Bool {
    switch opcode {
    case 0xF1:
      setInterrupt(o, 1, Handlers.interrupt1)
      return true
    case 0xF4:
      o.pointee.run = Handlers.halt
      return true
    case 0xF5: o.pointee.run = Handlers.complementCarry
    case 0xF6, 0xF7: return decodeGroup3(opcode, o)
    case 0xF8: o.pointee.run = Handlers.clearCarry
    case 0xF9: o.pointee.run = Handlers.setCarry
    case 0xFA:
      o.pointee.run = Handlers.clearInterrupt
      return true
    case 0xFB:
      o.pointee.go = Handlers.setInterrupt
    case 0xFC: o.pointee.run = Handlers.clearDirection
    case 0xFD: o.pointee.run = Handlers.setDirection
    case 0xFE, 0xFF: return decodeGroup5(opcode, o)
    default: return true
    }
    return false
  }
}
