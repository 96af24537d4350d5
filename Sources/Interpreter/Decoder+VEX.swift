/// VEX-coded instructions: AVX, AVX2, FMA, F16C, BMI and the VEX forms of AES and its like. EVEX is
/// not offered: those bytes are BOUND, or #UD.
extension Decoder {
  /// The fields of a VEX prefix (Intel SDM vol. 2, 2.3.5).
  struct VEX {
    var map: UInt8
    var prefix: UInt8
    /// The register in vvvv.
    var register: UInt8
    var isWide: Bool
    var isLong: Bool
  }

  /// C4 and C5 where they are a VEX prefix: always in 64-bit code, else where LES and LDS would have
  /// a register for an operand.
  var beginsVEX: Bool {
    guard codeSize != 3 else { return true }
    return position < available && bytes[position] >= 0xC0
  }

  mutating func decodeVEX(_ opcode: UInt8, _ o: OpRef) -> Bool {
    let hasOther = rex != 0 || hasOperandPrefix || repeatPrefix != 0 || hasLock
    let first = byte()
    var vex = VEX(map: 1, prefix: 0, register: 0, isWide: false, isLong: false)
    var second = first
    var newRex: UInt8 = 0x40 | (~first >> 5 & 4)
    if opcode == 0xC4 {
      vex.map = first & 31
      newRex |= ~first >> 5 & 7
      second = byte()
      vex.isWide = second & 0x80 != 0
    }
    vex.prefix = second & 3
    vex.isLong = second & 4 != 0
    vex.register = ~second >> 3 & 15
    if codeSize != 3 {
      newRex = 0x40
      vex.register &= 7
    }
    let code = byte()
    if isTruncated || hasOther || !isProtected { return true }
    let form = VEXTable.form(map: vex.map, prefix: vex.prefix, opcode: code)
    guard form.contains(.valid) else { return true }
    rex = newRex
    if vex.map == 1 && code == 0x77 { return decodeZeroing(vex, o) }
    let modrmAt = position
    readModRM(o, 2)
    let immediate: UInt8? = form.contains(.immediate) ? byte() : nil
    if isTruncated { return true }
    if isMemory ? form.contains(.registerOnly) : form.contains(.memoryOnly) { return true }
    if form.contains(.special) { return decodeSpecial(vex, code, at: modrmAt, o) }
    if form.contains(.general) { return decodeGeneral(vex, code, form, immediate, o) }
    if form.contains(.unary) && vex.register != 0 { return true }
    let builder = vexStub(vex, code, form, immediate)
    var kind = Kind.wide
    var count = form.memoryBytes(isLong: vex.isLong, isWide: usesWide(vex, form))
    if vex.map == 1 && vex.prefix == 3 && code == 0x12 && vex.isLong { count = 32 }
    if isMemory {
      kind |= form.contains(.store) ? Kind.stores : Kind.loads
      if form.contains(.aligned) { kind |= Kind.aligned }
    }
    finishStub(o, builder, bytes: count, kind: kind)
    return false
  }

  /// Whether W counts: outside 64-bit code it is ignored where it would choose a general register's
  /// width.
  private func usesWide(_ vex: VEX, _ form: VEXForm) -> Bool {
    let isGeneral =
      form.contains(.general) || form.contains(.generalReg) || form.contains(.generalRM)
    return vex.isWide && (codeSize == 3 || !isGeneral)
  }

  private var rm: UInt8 { (modrm & 7) | (rex & 1) << 3 }

  private func vexStub(
    _ vex: VEX, _ opcode: UInt8, _ form: VEXForm, _ immediate: UInt8?
  ) -> StubBuilder {
    let reg = modrmReg
    let hasVectorRM = !isMemory && !form.contains(.generalRM)
    let hasGeneralRM = !isMemory && form.contains(.generalRM)
    let isStore = form.contains(.store)
    let readsReg =
      isStore || form.contains(.setsFlags) || form.contains(.accumulates)
    var builder = StubBuilder()
    builder.begin()
    if form.contains(.control) { builder.loadControl() }
    func load(_ number: UInt8) { builder.wideVector(number, save: false, upper: vex.isLong) }
    if readsReg { load(reg) }
    if hasVectorRM && (!isStore || opcode == 0x11) { load(rm) }
    if !form.contains(.unary) && !form.contains(.group) { load(vex.register) }
    if form.contains(.fourth), let immediate { load(immediate >> 4 & (codeSize == 3 ? 15 : 7)) }
    if form.contains(.strings) {
      builder.wideVector(0, save: false)
      builder.general(0, 0, save: false)
      for host in UInt8(1)..<3 { builder.general(host, host, save: false) }
    }
    if form.contains(.generalReg) { builder.general(1, reg, save: false) }
    if hasGeneralRM { builder.general(0, rm, save: false) }
    emit(&builder, vex, opcode, form, immediate)
    if form.contains(.setsFlags) { builder.saveFlags() }
    if form.contains(.generalReg) { builder.general(1, reg, save: true) }
    if hasGeneralRM && isStore { builder.general(0, rm, save: true) }
    if form.contains(.strings) {
      builder.general(1, 1, save: true)
      builder.wideVector(0, save: true)
    } else if form.contains(.group) {
      builder.wideVector(vex.register, save: true)
    } else if isStore {
      if hasVectorRM { builder.wideVector(rm, save: true) }
    } else if !form.contains(.setsFlags) && !form.contains(.generalReg) {
      builder.wideVector(reg, save: true)
    }
    builder.leaveWide()
    if form.contains(.control) {
      builder.saveControl()
      builder.end()
    } else {
      builder.justReturn()
    }
    return builder
  }

  /// The instruction with its memory operand at RSI, general registers in RCX (reg) and RAX (rm).
  private func emit(
    _ builder: inout StubBuilder, _ vex: VEX, _ opcode: UInt8, _ form: VEXForm, _ immediate: UInt8?
  ) {
    let hasVectorRM = !isMemory && !form.contains(.generalRM)
    let field = form.contains(.generalReg) ? 1 : modrmField
    let extendsReg = !form.contains(.generalReg) && rex & 4 != 0
    let extendsRM = hasVectorRM && rex & 1 != 0
    let low: UInt8 = isMemory ? 6 : (hasVectorRM ? 0xC0 | modrm & 7 : 0xC0)
    builder.emit(
      0xC4, (extendsReg ? 0 : 0x80) | 0x40 | (extendsRM ? 0 : 0x20) | vex.map,
      (usesWide(vex, form) ? 0x80 : 0) | (~vex.register & 15) << 3 | (vex.isLong ? 4 : 0)
        | vex.prefix,
      opcode, low | field << 3)
    if var immediate {
      if form.contains(.fourth) && codeSize != 3 { immediate &= 0x7F }
      builder.emit(immediate)
    }
  }

  /// BMI1 and BMI2: ModRM.reg in RCX, ModRM.rm in R9, vvvv in R10, RDX as it is.
  private mutating func decodeGeneral(
    _ vex: VEX, _ opcode: UInt8, _ form: VEXForm, _ immediate: UInt8?, _ o: OpRef
  ) -> Bool {
    let isGroup = form.contains(.group)
    if isGroup && !(1...3).contains(modrmField) || vex.isLong { return true }
    let isRotate = vex.map == 3
    if isRotate && vex.register != 0 { return true }
    let multiplies = vex.prefix == 3 && opcode == 0xF6
    let isWide = usesWide(vex, form)
    var builder = StubBuilder()
    builder.begin()
    if form.contains(.setsFlags) { builder.loadFlags() }
    if multiplies { builder.general(2, 2, save: false) }
    if !isMemory { builder.generalHigh(9, rm, save: false) }
    if !isRotate { builder.generalHigh(10, vex.register, save: false) }
    builder.emit(
      0xC4, 0xC0 | (isMemory ? 0x20 : 0) | vex.map,
      (isWide ? 0x80 : 0) | (isRotate ? 0x78 : 0x28) | vex.prefix, opcode,
      (isMemory ? 6 : 0xC1) | (isGroup ? modrmField : 1) << 3)
    if let immediate { builder.emit(immediate) }
    if form.contains(.setsFlags) { builder.saveFlags() }
    if multiplies || isGroup { builder.generalHigh(10, vex.register, save: true) }
    if !isGroup { builder.general(1, modrmReg, save: true) }
    builder.justReturn()
    finishStub(
      o, builder, bytes: isWide ? 8 : 4, kind: Kind.general | (isMemory ? Kind.loads : 0))
    return false
  }

  /// ADCX and ADOX, which have no VEX prefix but general operands and flags as those have.
  mutating func decodeCarryAdd(_ o: OpRef) -> Bool {
    readModRM(o, 2)
    if isTruncated || repeatPrefix == 0xF2 { return true }
    let isWide = rex & 8 != 0
    var builder = StubBuilder()
    builder.begin()
    builder.loadFlags()
    builder.general(1, modrmReg, save: false)
    if !isMemory { builder.generalHigh(9, rm, save: false) }
    builder.emit(
      repeatPrefix == 0xF3 ? 0xF3 : 0x66, 0x40 | (isWide ? 8 : 0) | (isMemory ? 0 : 1), 0x0F, 0x38,
      0xF6, (isMemory ? 6 : 0xC1) | 8)
    builder.saveFlags()
    builder.general(1, modrmReg, save: true)
    builder.justReturn()
    finishStub(
      o, builder, bytes: isWide ? 8 : 4, kind: Kind.general | (isMemory ? Kind.loads : 0))
    return false
  }

  // MARK: Without a stub

  private func decodeZeroing(_ vex: VEX, _ o: OpRef) -> Bool {
    guard vex.register == 0, vex.prefix == 0 else { return true }
    o.pointee.aux = vex.isLong ? 1 : 0
    o.pointee.size = codeSize
    o.pointee.run = Handlers.zeroVectors
    return false
  }

  private mutating func decodeSpecial(
    _ vex: VEX, _ opcode: UInt8, at modrmAt: Int, _ o: OpRef
  ) -> Bool {
    if vex.map == 1 {
      guard vex.register == 0, !vex.isLong else { return true }
      if opcode == 0xAE {
        guard isMemory, modrmField == 2 || modrmField == 3 else { return true }
        o.pointee.aux = modrmField
        o.pointee.run = Handlers.wideVectorControl
      } else {
        setByteMask(o, isMMX: false)
        o.pointee.run = Handlers.wideByteMask
      }
      return false
    }
    o.pointee.reg = modrmReg
    o.pointee.imm = UInt64(vex.register)
    if opcode >= 0x90 && opcode < 0x94 { return decodeGather(vex, opcode, at: modrmAt, o) }
    let isFloating = opcode < 0x80
    if isFloating && vex.isWide { return true }
    o.pointee.size = isFloating ? 2 + (opcode & 1) : (vex.isWide ? 3 : 2)
    o.pointee.aux = vex.isLong ? 32 : 16
    let stores = isFloating ? opcode >= 0x2E : opcode == 0x8E
    o.pointee.run = stores ? Handlers.maskedStore : Handlers.maskedLoad
    return false
  }

  /// VGATHER and VPGATHER; the index register goes to `rm`.
  private func decodeGather(_ vex: VEX, _ opcode: UInt8, at modrmAt: Int, _ o: OpRef) -> Bool {
    guard modrm & 7 == 4, addressSize != 1, modrmAt + 1 < available else { return true }
    let sib = bytes[modrmAt + 1]
    let index = (sib >> 3 & 7) | (rex & 2) << 2
    o.pointee.index = Layout.zeroRegister
    o.pointee.rm = index
    o.pointee.scale = sib >> 6
    if index == modrmReg || index == vex.register || modrmReg == vex.register { return true }
    o.pointee.size = vex.isWide ? 3 : 2
    o.pointee.aux = (vex.isLong ? 32 : 16) | opcode & 1
    o.pointee.run = Handlers.gather
    return false
  }

  /// MASKMOVDQU and MASKMOVQ: data in `reg`, the mask in `rm`, memory at rDI.
  mutating func setByteMask(_ o: OpRef, isMMX: Bool) {
    let mask = isMMX ? modrm & 7 : rm
    o.pointee.reg = isMMX ? modrmField : modrmReg
    o.pointee.rm = mask
    o.pointee.base = 7 * 8
    o.pointee.segment = segment(.ds)
    o.pointee.aux = isMMX ? 8 : 16
  }
}
