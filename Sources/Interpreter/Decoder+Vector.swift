/// x87, MMX and SSE: what is decoded is a stub that runs the instruction on the host.
extension Decoder {
  /// What ``Op/reg`` says of such an operation.
  enum Kind {
    static let loads: UInt8 = 1
    static let stores: UInt8 = 2
    static let aligned: UInt8 = 4
    /// Executes although an exception is pending.
    static let noWait: UInt8 = 8
    static let x87: UInt8 = 16
    /// By the rules of AVX.
    static let wide: UInt8 = 32
    /// General registers alone.
    static let general: UInt8 = 64
    static let mmx: UInt8 = 128

    fileprivate static func handler(_ kind: UInt8) -> Handler {
      if kind & x87 != 0 { return Handlers.x87 }
      if kind & wide != 0 { return Handlers.wideVector }
      if kind & general != 0 { return Handlers.general }
      return kind & mmx != 0 ? Handlers.mmx : Handlers.vector
    }
  }

  func finishStub(_ o: OpRef, _ builder: StubBuilder, bytes: Int, kind: UInt8) {
    o.pointee.imm = cpu.environment.stubs.stub(builder.bytes)
    o.pointee.aux = UInt8(truncatingIfNeeded: bytes)
    o.pointee.reg = kind
    guard o.pointee.imm != 0 else { return }
    o.pointee.run = Kind.handler(kind)
  }

  mutating func decodeX87(_ opcode: UInt8, _ o: OpRef) -> Bool {
    readModRM(o, 2)
    if isTruncated { return true }
    let field = modrmField
    var kind = Kind.x87
    var bytes = 0
    var instruction: [UInt8] = []
    var builder = StubBuilder()
    builder.begin()
    builder.restoreAll()
    if isMemory {
      guard let operand = x87Memory(opcode, field) else { return true }
      bytes = operand.bytes
      kind |= operand.stores ? Kind.stores : Kind.loads
      if opcode == 0xD9 && field >= 6 || opcode == 0xDD && field >= 6 { kind |= Kind.noWait }
      let usesEnvironment =
        opcode == 0xD9 && (field == 4 || field == 6)
        || opcode == 0xDD && (field == 4 || field == 6)
      if usesEnvironment && operandSize == 1 { instruction.append(0x66) }
      instruction += [opcode, field << 3 | 6]
      builder.emit(instruction)
    } else {
      // Which there are, the host says.
      if opcode == 0xDB && modrm >= 0xE0 && modrm <= 0xE4 { kind |= Kind.noWait }
      let isStatus = opcode == 0xDF && modrm == 0xE0
      if isStatus { kind |= Kind.noWait }
      let moves = (opcode == 0xDA || opcode == 0xDB) && modrm < 0xE0
      let compares = (opcode == 0xDB || opcode == 0xDF) && modrm >= 0xE8 && modrm < 0xF8
      if moves { builder.loadFlags() }
      if isStatus { builder.general(0, 0, save: false) }
      builder.emit(opcode, modrm)
      if isStatus { builder.general(0, 0, save: true) }
      if compares { builder.saveFlags() }
    }
    builder.saveAll()
    builder.end()
    finishStub(o, builder, bytes: bytes, kind: kind)
    setPointers(opcode, o)
    return false
  }

  /// The memory operand of an x87 instruction; nil for none that there is.
  private func x87Memory(_ opcode: UInt8, _ field: UInt8) -> (bytes: Int, stores: Bool)? {
    let environment = operandSize == 1 ? 14 : 28
    let whole = operandSize == 1 ? 94 : 108
    switch opcode {
    case 0xD8, 0xDA: return (4, false)
    case 0xDC: return (8, false)
    case 0xDE: return (2, false)
    case 0xD9:
      switch field {
      case 0: return (4, false)
      case 2, 3: return (4, true)
      case 4: return (environment, false)
      case 5: return (2, false)
      case 6: return (environment, true)
      case 7: return (2, true)
      default: return nil
      }
    case 0xDB:
      switch field {
      case 0: return (4, false)
      case 1, 2, 3: return (4, true)
      case 5: return (10, false)
      case 7: return (10, true)
      default: return nil
      }
    case 0xDD:
      switch field {
      case 0: return (8, false)
      case 1, 2, 3: return (8, true)
      case 4: return (whole, false)
      case 6: return (whole, true)
      case 7: return (2, true)
      default: return nil
      }
    default:
      switch field {
      case 0: return (2, false)
      case 1, 2, 3: return (2, true)
      case 4: return (10, false)
      case 5: return (8, false)
      case 6: return (10, true)
      default: return (8, true)
      }
    }
  }

  /// Says in the operation what becomes of x87's instruction and operand pointers.
  private func setPointers(_ opcode: UInt8, _ o: OpRef) {
    let isControl: Bool
    var loads = false
    switch opcode {
    case 0xD9:
      isControl = isMemory && modrmField >= 4
      loads = modrmField == 4
    case 0xDB:
      isControl = !isMemory && modrm >= 0xE0 && modrm < 0xE8
      loads = modrm == 0xE3
    case 0xDD:
      isControl = isMemory && modrmField >= 4
      loads = modrmField < 7
    default: isControl = opcode == 0xDF && modrm == 0xE0
    }
    if isControl {
      o.pointee.size = loads ? 1 : 0
    } else {
      o.pointee.flags |= Op.pointed
      o.pointee.size = opcode & 7
      o.pointee.rm = modrm
    }
  }

  mutating func decodeVector(map: UInt8, _ opcode: UInt8, _ o: OpRef) -> Bool {
    let prefix: UInt8 =
      repeatPrefix == 0xF3 ? 2 : (repeatPrefix == 0xF2 ? 3 : (hasOperandPrefix ? 1 : 0))
    let form = VectorTable.form(map: map, prefix: prefix, opcode: opcode)
    if form.contains(.noModRM) {
      var builder = StubBuilder()
      builder.begin()
      builder.restoreAll()
      builder.emit(0x0F, opcode)
      builder.saveAll()
      builder.end()
      finishStub(o, builder, bytes: 0, kind: Kind.mmx)
      return false
    }
    readModRM(o, 2)
    if map == 1 && opcode == 0xF7 && prefix < 2 {
      if isMemory { return true }
      setByteMask(o, isMMX: prefix == 0)
      o.pointee.run = prefix == 0 ? Handlers.byteMaskMMX : Handlers.byteMask
      return false
    }
    let immediate: UInt8? = form.contains(.immediate) || map == 3 ? byte() : nil
    if isTruncated || !form.contains(.valid) { return true }
    if isMemory ? form.contains(.registerOnly) : form.contains(.memoryOnly) { return true }
    if form.contains(.group) && !isShiftGroup(opcode, prefix) { return true }
    let builder = vectorStub(map: map, opcode, prefix, form, immediate)
    var kind: UInt8 = form.contains(.mmx) ? Kind.mmx : 0
    if isMemory {
      kind |= form.contains(.store) ? Kind.stores : Kind.loads
      if form.contains(.aligned) { kind |= Kind.aligned }
    }
    let bytes = form.contains(.wide) && rex & 8 != 0 ? 8 : form.memoryBytes
    finishStub(o, builder, bytes: bytes, kind: kind)
    if kind & Kind.mmx != 0 && map == 1 && opcode < 0x30 && o.pointee.imm != 0 {
      // A load from memory is none of MMX's.
      o.pointee.run = opcode == 0x2A && isMemory ? Handlers.vector : Handlers.mixedVector
    }
    return false
  }

  /// Whether MXCSR takes part: what only moves bits or integers needs it neither before nor after.
  private static func usesControl(map: UInt8, _ opcode: UInt8) -> Bool {
    switch (map, opcode) {
    case (1, 0x2A), (1, 0x2C...0x2F), (1, 0x51...0x53), (1, 0x58...0x5F), (1, 0x7C), (1, 0x7D),
      (1, 0xC2), (1, 0xD0), (1, 0xE6), (3, 0x08...0x0B), (3, 0x40), (3, 0x41):
      true
    default: false
    }
  }

  private func isShiftGroup(_ opcode: UInt8, _ prefix: UInt8) -> Bool {
    switch modrmField {
    case 2, 6: true
    case 4: opcode != 0x73
    case 3, 7: opcode == 0x73 && prefix == 1
    default: false
    }
  }

  private func vectorStub(
    map: UInt8, _ opcode: UInt8, _ prefix: UInt8, _ form: VectorForm, _ immediate: UInt8?
  ) -> StubBuilder {
    let isMMX = form.contains(.mmx)
    let reg = modrmReg
    let rm = (modrm & 7) | (rex & 1) << 3
    let hasVectorReg = !form.contains(.generalReg) && !form.contains(.group)
    let hasVectorRM = !isMemory && !form.contains(.generalRM)
    let hasGeneralRM = !isMemory && form.contains(.generalRM)
    let usesControl = isMMX || Self.usesControl(map: map, opcode)
    var builder = StubBuilder()
    builder.begin()
    if isMMX {
      builder.restoreAll()
    } else {
      if usesControl { builder.loadControl() }
      if hasVectorReg { builder.vector(reg, save: false) }
      if hasVectorRM { builder.vector(rm, save: false) }
      if form.contains(.usesXMM0) { builder.vector(0, save: false) }
    }
    if form.contains(.generalReg) { builder.general(1, reg, save: false) }
    if hasGeneralRM { builder.general(0, rm, save: false) }
    if form.contains(.strings) {
      for host in UInt8(0)..<3 { builder.general(host, host, save: false) }
    }
    emitInstruction(&builder, map: map, opcode, prefix, form, immediate)
    if form.contains(.setsFlags) { builder.saveFlags() }
    if form.contains(.generalReg) { builder.general(1, reg, save: true) }
    if hasGeneralRM { builder.general(0, rm, save: true) }
    if form.contains(.strings) { builder.general(1, 1, save: true) }
    if isMMX {
      builder.saveAll()
    } else {
      if hasVectorReg { builder.vector(reg, save: true) }
      if hasVectorRM { builder.vector(rm, save: true) }
      if form.contains(.strings) { builder.vector(0, save: true) }
      if usesControl { builder.saveControl() }
    }
    if usesControl { builder.end() } else { builder.justReturn() }
    return builder
  }

  private func emitInstruction(
    _ builder: inout StubBuilder, map: UInt8, _ opcode: UInt8, _ prefix: UInt8,
    _ form: VectorForm, _ immediate: UInt8?
  ) {
    switch prefix {
    case 1: builder.emit(0x66)
    case 2: builder.emit(0xF3)
    case 3: builder.emit(0xF2)
    default: break
    }
    var newRex: UInt8 = 0x40 | rex & 8
    var field = modrmField
    if form.contains(.generalReg) { field = 1 } else { newRex |= rex & 4 }
    var low: UInt8
    if isMemory {
      low = 6
    } else if form.contains(.generalRM) {
      low = 0xC0
    } else {
      low = 0xC0 | modrm & 7
      newRex |= rex & 1
    }
    low |= field << 3
    if newRex != 0x40 { builder.emit(newRex) }
    builder.emit(0x0F)
    if map == 2 { builder.emit(0x38) }
    if map == 3 { builder.emit(0x3A) }
    builder.emit(opcode, low)
    if let immediate { builder.emit(immediate) }
  }
}
