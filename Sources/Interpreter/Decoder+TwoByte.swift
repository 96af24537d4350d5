/// The two-byte opcodes (Intel SDM vol. 2, table A-3), and of the three-byte ones those that are no
/// vector instructions. Each returns whether the block ends.
extension Decoder {
  mutating func decodeTwoByte(_ o: OpRef) -> Bool {
    let opcode = byte()
    switch opcode {
    case 0x00, 0x01: return decodeSystemGroups(opcode, o)
    case 0x02, 0x03:
      readModRM(o, reg: operandSize, rm: 1)
      o.pointee.aux = opcode
      if isProtected { o.pointee.run = Handlers.loadAccessRights } else { return true }
    case 0x05, 0x07, 0x34, 0x35: return decodeFastCalls(opcode, o)
    case 0x06: return ends(o, Handlers.clearTaskSwitched)
    case 0x08, 0x09: return ends(o, Handlers.invalidateCaches)
    case 0x0D, 0x18...0x1F:
      readModRM(o, operandSize)
      o.pointee.run = Handlers.nothing
      o.pointee.flags |= Op.nothing
    case 0x20...0x23: return decodeControlMove(opcode, o)
    case 0x30: return ends(o, Handlers.writeMSR)
    case 0x31: o.pointee.run = Handlers.readTimeStamp
    case 0x32: return ends(o, Handlers.readMSR)
    case 0x33: o.pointee.run = Handlers.readCounter
    case 0x38, 0x3A: return decodeThreeByte(opcode, o)
    case 0x40...0x4F:
      readModRM(o, operandSize)
      o.pointee.aux = opcode & 15
      o.pointee.run = Handlers.conditionalMove
      prefer(o, Handlers.conditionalMove(opcode & 15, memory: isMemory, operandSize))
    case 0x80...0x8F:
      decodeConditionalJump(o, opcode & 15, short: false)
    case 0x90...0x9F:
      readModRM(o, 0)
      o.pointee.size = 0
      o.pointee.aux = opcode & 15
      o.pointee.run = Handlers.setByCondition
      if !isMemory { o.pointee.go = Handlers.setRegister(opcode & 15) }
    case 0xA0...0xAF, 0xB0...0xBF: return decodeAB(opcode, o)
    case 0xC0, 0xC1:
      let size = opcode & 1 == 0 ? 0 : operandSize
      readModRM(o, size)
      o.pointee.size = size
      allowLock(o)
      o.pointee.run = Handlers.exchangeAdd
    case 0xC3:
      readModRM(o, operandSize)
      if !isMemory { return true }
      o.pointee.go = Handlers.move(.memoryRegister, operandSize)
    case 0xC7: return decodeGroup9(o)
    case 0xC8...0xCF:
      o.pointee.rm = ((opcode & 7) | (rex & 1) << 3) * 8
      o.pointee.run = Handlers.byteSwap
    case 0xA2: return ends(o, Handlers.identify)
    case 0x10...0x17, 0x28...0x2F, 0x50...0x7F, 0xC2, 0xC4...0xC6, 0xD0...0xFE:
      return decodeVector(map: 1, opcode, o)
    default: return true
    }
    return false
  }

  /// The end of a block, with a handler where there is no prefix that would make it another
  /// instruction.
  private func endsUnprefixed(_ o: OpRef, _ run: Handler) -> Bool {
    if repeatPrefix == 0 && !hasOperandPrefix { o.pointee.run = run }
    return true
  }

  private func ends(_ o: OpRef, _ run: Handler) -> Bool {
    o.pointee.run = run
    return true
  }

  private mutating func decodeSystemGroups(_ opcode: UInt8, _ o: OpRef) -> Bool {
    readModRM(o, operandSize)
    o.pointee.aux = modrmField
    if opcode == 0 {
      if !isProtected || modrmField > 5 { return true }
      if modrmField < 2 {
        if isMemory { o.pointee.size = 1 }
        o.pointee.run = Handlers.storeTableSelector
        return false
      }
      o.pointee.size = 1
      o.pointee.run = modrmField < 4 ? Handlers.loadTableSelector : Handlers.verify
      return true
    }
    if !isMemory && modrmField != 4 && modrmField != 6 {
      o.pointee.aux = modrm
      switch modrm {
      case 0xC8:
        o.pointee.base = 0
        o.pointee.segment = segment(.ds)
        o.pointee.run = Handlers.monitor
      case 0xC9: o.pointee.run = Handlers.monitorWait
      case 0xCA, 0xCB: o.pointee.run = Handlers.accessCheckFlag
      case 0xD0: o.pointee.run = Handlers.readExtendedControl
      case 0xD1: o.pointee.run = Handlers.writeExtendedControl
      case 0xF8: if codeSize == 3 { o.pointee.run = Handlers.swapGS }
      case 0xF9: o.pointee.run = Handlers.readTimeStampAux
      default: break
      }
      return true
    }
    switch modrmField {
    case 0, 1: o.pointee.run = Handlers.storeTable
    case 2, 3: o.pointee.run = Handlers.loadTable
    case 4:
      if isMemory { o.pointee.size = 1 }
      o.pointee.run = Handlers.storeMachineStatus
    case 6:
      o.pointee.size = 1
      o.pointee.run = Handlers.loadMachineStatus
    case 7: o.pointee.run = Handlers.invalidatePage
    default: break
    }
    return true
  }

  private mutating func decodeFastCalls(_ opcode: UInt8, _ o: OpRef) -> Bool {
    switch opcode {
    case 0x05: o.pointee.run = Handlers.systemCall
    case 0x07: o.pointee.run = Handlers.systemReturn
    case 0x34: o.pointee.run = Handlers.systemEnter
    default: o.pointee.run = Handlers.systemExit
    }
    return true
  }

  private mutating func decodeControlMove(_ opcode: UInt8, _ o: OpRef) -> Bool {
    modrm = byte()
    o.pointee.rm = ((modrm & 7) | (rex & 1) << 3) * 8
    o.pointee.aux = modrmReg
    o.pointee.size = codeSize == 3 ? 3 : 2
    switch opcode {
    case 0x20: o.pointee.run = Handlers.readControl
    case 0x21: o.pointee.run = Handlers.readDebug
    case 0x22:
      o.pointee.run = Handlers.writeControl
      if hasLock && modrmReg == 0 { o.pointee.aux = 8 }
    default: o.pointee.run = Handlers.writeDebug
    }
    return true
  }

  private mutating func decodeAB(_ opcode: UInt8, _ o: OpRef) -> Bool {
    switch opcode {
    case 0xA0, 0xA8, 0xA1, 0xA9:
      if codeSize == 3 { operandSize = operandSize == 1 ? 1 : 3 }
      o.pointee.size = operandSize
      o.pointee.segment = opcode < 0xA8 ? Seg.fs.rawValue : Seg.gs.rawValue
      o.pointee.run = opcode & 1 == 0 ? Handlers.pushSegment : Handlers.popSegment
      return opcode & 1 != 0
    case 0xA2:
      o.pointee.run = Handlers.identify
      return true
    case 0xA3, 0xAB, 0xB3, 0xBB:
      readModRM(o, operandSize)
      o.pointee.aux = opcode >> 3 & 3
      if opcode != 0xA3 { allowLock(o) }
      o.pointee.run = Handlers.bitByRegister
      prefer(
        o, Handlers.testBit(o.pointee.aux, immediate: false, memory: isMemory, operandSize))
    case 0xBA:
      readModRM(o, operandSize)
      o.pointee.imm = UInt64(byte())
      if modrmField < 4 { return true }
      o.pointee.aux = modrmField & 3
      if modrmField != 4 { allowLock(o) }
      o.pointee.run = Handlers.bitByImmediate
      prefer(o, Handlers.testBit(o.pointee.aux, immediate: true, memory: isMemory, operandSize))
    case 0xA4, 0xA5, 0xAC, 0xAD:
      readModRM(o, operandSize)
      o.pointee.aux = opcode < 0xA8 ? 0 : 1
      if opcode & 1 == 0 { o.pointee.imm = UInt64(byte()) } else { o.pointee.flags |= Op.countInCL }
      o.pointee.run = Handlers.doubleShift
    case 0xAE: return decodeGroup15(o)
    case 0xAF:
      readModRM(o, operandSize)
      o.pointee.run = Handlers.multiplyRegister
      prefer(o, Handlers.multiplySigned(immediate: false, memory: isMemory, operandSize))
    case 0xB0, 0xB1:
      let size = opcode & 1 == 0 ? 0 : operandSize
      readModRM(o, size)
      o.pointee.size = size
      allowLock(o)
      o.pointee.run = Handlers.compareExchange
    case 0xB2, 0xB4, 0xB5:
      readModRM(o, operandSize)
      if !isMemory { return true }
      o.pointee.aux = opcode == 0xB2 ? 2 : opcode & 15
      o.pointee.run = Handlers.loadFarPointer
      return true
    case 0xB6, 0xB7, 0xBE, 0xBF:
      let from = opcode & 1
      readModRM(o, reg: operandSize, rm: from)
      if from == 1 && operandSize == 1 {
        o.pointee.go = Handlers.move(isMemory ? .registerMemory : .registers, 1)
      } else {
        o.pointee.go = Handlers.extend(
          signed: opcode >= 0xBE, memory: isMemory, from: from, to: operandSize)
      }
    case 0xB8:
      if repeatPrefix != 0xF3 { return true }
      readModRM(o, operandSize)
      o.pointee.run = Handlers.countOnes
    case 0xBC, 0xBD:
      readModRM(o, operandSize)
      o.pointee.aux = repeatPrefix == 0xF3 ? opcode | 0x80 : opcode & 0x7F
      o.pointee.run = Handlers.scanBits
    default: return true
    }
    return false
  }

  private mutating func decodeGroup9(_ o: OpRef) -> Bool {
    readModRM(o, operandSize)
    switch modrmField {
    case 1 where isMemory:
      allowLock(o)
      o.pointee.run = rex & 8 != 0 ? Handlers.compareExchange16 : Handlers.compareExchange8
    case 4 where isMemory: return endsUnprefixed(o, Handlers.saveExtendedCompact)
    case 6 where !isMemory, 7 where !isMemory:
      o.pointee.aux = modrmField
      if modrmField == 7 && repeatPrefix == 0xF3 {
        o.pointee.size = codeSize == 3 ? 3 : 2
        o.pointee.run = Handlers.readProcessorID
      } else if repeatPrefix == 0 {
        o.pointee.run = Handlers.random
      } else {
        return true
      }
    default: return true
    }
    return false
  }

  private mutating func decodeGroup15(_ o: OpRef) -> Bool {
    readModRM(o, operandSize)
    o.pointee.aux = modrmField
    if isMemory {
      switch modrmField {
      case 0: o.pointee.run = Handlers.saveFPU
      case 1: o.pointee.run = Handlers.restoreFPU
      case 2, 3: o.pointee.run = Handlers.vectorControl
      case 4: return endsUnprefixed(o, Handlers.saveExtended)
      case 5: return endsUnprefixed(o, Handlers.restoreExtended)
      case 6 where hasOperandPrefix: o.pointee.run = Handlers.probe
      case 6: return endsUnprefixed(o, Handlers.saveExtendedOptimized)
      default: o.pointee.run = Handlers.probe
      }
      return false
    }
    if repeatPrefix == 0xF3 && codeSize == 3 && modrmField < 4 {
      o.pointee.run = Handlers.segmentBase
      return true
    }
    if modrmField >= 5 && repeatPrefix == 0 {
      o.pointee.run = Handlers.fence
      return false
    }
    return true
  }

  private mutating func decodeThreeByte(_ map: UInt8, _ o: OpRef) -> Bool {
    let opcode = byte()
    if map == 0x38 && (opcode == 0xF0 || opcode == 0xF1) {
      let isCRC = repeatPrefix == 0xF2
      if isCRC {
        let size = opcode == 0xF0 ? 0 : operandSize
        readModRM(o, reg: operandSize == 3 ? 3 : 2, rm: size)
        o.pointee.size = size
        o.pointee.run = Handlers.checksum
        return false
      }
      readModRM(o, operandSize)
      if !isMemory || repeatPrefix != 0 { return true }
      o.pointee.aux = opcode & 1
      o.pointee.run = Handlers.moveSwapped
      return false
    }
    if map == 0x38 && opcode == 0x82 && hasOperandPrefix && repeatPrefix == 0 {
      readModRM(o, codeSize == 3 ? 3 : 2)
      if isMemory { o.pointee.run = Handlers.invalidateContext }
      return true
    }
    if map == 0x38 && opcode == 0xF6 && (repeatPrefix == 0xF3 || hasOperandPrefix) {
      return decodeCarryAdd(o)
    }
    return decodeVector(map: map == 0x38 ? 2 : 3, opcode, o)
  }
}
