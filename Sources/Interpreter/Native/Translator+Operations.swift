/// One operation after the other.
extension Translator {
  mutating func emit(_ o: OpRef, _ meaning: Meaning) {
    let size = meaning.size
    switch meaning.kind {
    case .arithmetic: emitArithmetic(o, meaning)
    case .move: emitMove(o, meaning)
    case .moveImmediate: emitMoveImmediate(o, meaning)
    case .increment, .decrement:
      loadFlags()
      let host = changing(o.pointee.rm)
      code.registers(wide(0xFE, size), size, meaning.kind == .increment ? 0 : 1, host)
      wroteFlags()
    case .not: code.registers(wide(0xF6, size), size, 2, changing(o.pointee.rm))
    case .negate:
      code.registers(wide(0xF6, size), size, 3, changing(o.pointee.rm))
      wroteFlags()
    case .shift: emitShift(o, meaning)
    case .loadAddress: emitLoadAddress(o, size)
    case .zeroExtend, .signExtend: emitExtension(o, meaning)
    case .conditionalMove:
      let source = value(o.pointee.rm)
      let host = changing(o.pointee.reg)
      loadFlags()
      code.registers(0x0F40 | UInt16(meaning.detail), size, host, source)
    case .set:
      let host = target(o.pointee.rm, 0)
      loadFlags()
      code.registers(0x0F90 | UInt16(meaning.detail), 0, 0, host)
    case .multiply:
      let source = value(o.pointee.rm)
      code.registers(0x0FAF, size, changing(o.pointee.reg), source)
      wroteFlags()
    case .multiplyImmediate:
      let source = value(o.pointee.rm)
      code.registers(0x69, size, target(o.pointee.reg, size), source)
      code.emit(o.pointee.imm, bytes: size == 1 ? 2 : 4)
      wroteFlags()
    case .push, .pushImmediate: emitPush(o, meaning)
    case .pop: emitPop(o, size)
    case .jump: emitJump(on: meaning.detail)
    }
  }

  /// The opcode of an instruction that has its byte form one below.
  private func wide(_ opcode: UInt16, _ size: UInt8) -> UInt16 { opcode | (size == 0 ? 0 : 1) }

  private mutating func emitArithmetic(_ o: OpRef, _ meaning: Meaning) {
    let (size, isTest) = (meaning.size, meaning.detail == 8)
    let writes = meaning.detail < 7
    let opcode: UInt16 = isTest ? 0x84 : UInt16(meaning.detail) << 3
    if meaning.usesMemory { find(o, size, writing: writes && meaning.form != .registerMemory) }
    if [2, 3].contains(meaning.detail) { loadFlags() }
    switch meaning.form {
    case .registers:
      // What is taken from itself leaves nothing of it.
      let isZero =
        size >= 2 && o.pointee.reg == o.pointee.rm && [5, 6].contains(meaning.detail)
      let source = isZero ? target(o.pointee.rm, size) : value(o.pointee.rm)
      let host = writes ? changing(o.pointee.reg) : value(o.pointee.reg)
      code.registers(wide(opcode, size), size, source, host)
    case .registerMemory:
      let host = writes ? changing(o.pointee.reg) : value(o.pointee.reg)
      code.memory(wide(isTest ? opcode : opcode | 2, size), size, host, HostRegister.rcx)
    case .memoryRegister:
      code.memory(wide(opcode, size), size, value(o.pointee.reg), HostRegister.rcx)
    case .registerImmediate:
      let host = writes ? changing(o.pointee.reg) : value(o.pointee.reg)
      code.registers(wide(isTest ? 0xF6 : 0x80, size), size, isTest ? 0 : meaning.detail, host)
      emitImmediate(o, size)
    case .memoryImmediate:
      code.memory(
        wide(isTest ? 0xF6 : 0x80, size), size, isTest ? 0 : meaning.detail, HostRegister.rcx)
      emitImmediate(o, size)
    }
    wroteFlags()
  }

  private mutating func emitImmediate(_ o: OpRef, _ size: UInt8) {
    code.emit(o.pointee.imm, bytes: min(4, 1 << Int(size)))
  }

  private mutating func emitMove(_ o: OpRef, _ meaning: Meaning) {
    let size = meaning.size
    switch meaning.form {
    case .registers:
      let source = value(o.pointee.rm)
      code.registers(wide(0x88, size), size, source, target(o.pointee.reg, size))
    case .registerMemory:
      find(o, size, writing: false)
      code.memory(wide(0x8A, size), size, target(o.pointee.reg, size), HostRegister.rcx)
    default:
      find(o, size, writing: true)
      code.memory(wide(0x88, size), size, value(o.pointee.reg), HostRegister.rcx)
    }
  }

  private mutating func emitMoveImmediate(_ o: OpRef, _ meaning: Meaning) {
    let size = meaning.size
    if meaning.usesMemory {
      find(o, size, writing: true)
      code.memory(wide(0xC6, size), size, 0, HostRegister.rcx)
      emitImmediate(o, size)
    } else {
      code.load(target(o.pointee.rm, size), size, o.pointee.imm)
    }
  }

  private mutating func emitShift(_ o: OpRef, _ meaning: Meaning) {
    let size = meaning.size
    let count = UInt8(truncatingIfNeeded: o.pointee.imm) & (size == 3 ? 63 : 31)
    // Rotations leave some flags as they are, and some take the carry in.
    if meaning.detail < 4 && count != 0 { loadFlags() }
    code.registers(wide(0xC0, size), size, meaning.detail, changing(o.pointee.rm))
    code.emit(count)
    if count != 0 { wroteFlags() }
  }

  private mutating func emitLoadAddress(_ o: OpRef, _ size: UInt8) {
    guard o.pointee.addressShift == 0, size >= 2 else {
      loadOffset(o)
      code.registers(0x89, size, HostRegister.rax, target(o.pointee.reg, size))
      return
    }
    let parts = address(o)
    code.loadAddress(
      size, target(o.pointee.reg, size), base: parts.base, index: parts.index,
      scale: o.pointee.scale, Int32(truncatingIfNeeded: o.pointee.disp))
  }

  private mutating func emitExtension(_ o: OpRef, _ meaning: Meaning) {
    let (size, from) = (meaning.size, meaning.detail)
    let opcode: UInt16
    switch (meaning.kind, from) {
    case (.zeroExtend, 2): opcode = 0x8B
    case (.zeroExtend, _): opcode = 0x0FB6 | UInt16(from)
    case (_, 2): opcode = 0x63
    default: opcode = 0x0FBE | UInt16(from)
    }
    let width = meaning.kind == .zeroExtend && from == 2 ? 2 : size
    if meaning.usesMemory {
      find(o, from, writing: false)
      code.memory(opcode, width, target(o.pointee.reg, size), HostRegister.rcx)
    } else {
      let source = value(o.pointee.rm)
      code.registers(opcode, width, target(o.pointee.reg, size), source)
    }
  }

  private mutating func emitPush(_ o: OpRef, _ meaning: Meaning) {
    let size = meaning.size
    findOnStack(size, pushing: true)
    if meaning.kind == .push {
      code.memory(0x89, size, value(o.pointee.reg), HostRegister.rcx)
    } else {
      code.memory(0xC7, size, 0, HostRegister.rcx)
      code.emit(o.pointee.imm, bytes: min(4, 1 << Int(size)))
    }
    moveStackPointer(changing(Self.stackPointer), size, by: -(1 << Int32(size)))
  }

  private mutating func emitPop(_ o: OpRef, _ size: UInt8) {
    findOnStack(size, pushing: false)
    code.memory(0x8B, size, HostRegister.rdx, HostRegister.rcx)
    moveStackPointer(changing(Self.stackPointer), size, by: 1 << Int32(size))
    code.registers(0x8B, size, target(o.pointee.reg, size), HostRegister.rdx)
  }
}
