/// Turns instruction bytes into operations.
///
/// It reads at most `available` bytes; an instruction that needs more is `truncated`. Everything
/// that is no instruction becomes an operation that raises #UD.
struct Decoder {
  enum Outcome { case more, ends, truncated }

  // SAFETY: `bytes` has `available` bytes, and `byte()` reads none beyond.
  let bytes: UnsafePointer<UInt8>
  let available: Int
  let cpu: CPU
  var position = 0
  private var begin = 0
  var isTruncated = false

  /// 1, 2, 3 for 16-, 32- and 64-bit code.
  let codeSize: UInt8
  let isProtected: Bool
  var operandSize: UInt8 = 2
  var addressSize: UInt8 = 2
  var rex: UInt8 = 0
  var hasOperandPrefix = false
  var repeatPrefix: UInt8 = 0
  var hasLock = false
  var segmentPrefix: UInt16 = 0
  var modrm: UInt8 = 0

  init(bytes: UnsafePointer<UInt8>, available: Int, cpu: CPU) {
    self.bytes = bytes
    self.available = available
    self.cpu = cpu
    codeSize = cpu.s.pointee.codeSize
    isProtected = cpu.s.pointee.isProtected && !cpu.s.pointee.isV86
  }

  /// Decodes up to the end of a block; the operation after the last one only goes on.
  /// - Returns: how many instructions; 0 where not even one is whole.
  mutating func decodeBlock(_ ops: OpRef) -> Int {
    var count = 0
    while count < BlockCache.maximumOps {
      let before = position
      // Over the last one, if that does nothing.
      if count > 0, ops[count - 1].flags & Op.nothing != 0 { count -= 1 }
      let outcome = decodeOne(ops + count)
      if outcome == .truncated {
        position = before
        break
      }
      fuse(ops + count, isFirst: count == 0)
      count += 1
      if outcome == .ends { break }
    }
    if count > 0 { Self.finish(ops + count, at: position) }
    return count
  }

  /// Has a comparison do the conditional jump behind it, too.
  private func fuse(_ jump: OpRef, isFirst: Bool) {
    guard !isFirst, jump.pointee.flags & Op.conditionalJump != 0 else { return }
    let before = jump - 1
    guard before.pointee.flags & Op.fusible != 0 else { return }
    prefer(before, Handlers.fused(before.pointee.aux, before.pointee.size, jump.pointee.aux))
  }

  /// Marks a comparison of registers.
  func markFusible(_ o: OpRef, _ operation: UInt8, immediate: Bool, _ size: UInt8) {
    guard let kind = Fusible.kind(operation, immediate: immediate) else { return }
    o.pointee.flags |= Op.fusible
    o.pointee.aux = kind.rawValue
    o.pointee.size = size
  }

  /// Jcc. The block goes on with what follows one that does not jump.
  mutating func decodeConditionalJump(_ o: OpRef, _ condition: UInt8, short: Bool) {
    readTarget(o, short: short)
    // With LOCK it is none.
    if !hasLock { o.pointee.flags |= Op.conditionalJump }
    o.pointee.aux = condition
    o.pointee.jump = Handlers.jcc(condition)
  }

  /// The operation behind a block's last one: goes on at what follows.
  static func finish(_ op: OpRef, at position: Int) {
    op.initialize(to: Op(run: Handlers.nothing))
    op.pointee.jump = Handlers.goOn
    op.pointee.start = UInt16(truncatingIfNeeded: position)
    op.pointee.end = UInt16(truncatingIfNeeded: position)
  }

  mutating func decodeOne(_ o: OpRef) -> Outcome {
    begin = position
    o.initialize(to: Op(run: Handlers.undefined))
    o.pointee.start = UInt16(truncatingIfNeeded: begin)
    rex = 0
    hasOperandPrefix = false
    repeatPrefix = 0
    hasLock = false
    segmentPrefix = 0
    operandSize = codeSize == 1 ? 1 : 2
    addressSize = codeSize
    let opcode = prefixes()
    if rex & 8 != 0 {
      operandSize = 3
    } else if hasOperandPrefix {
      operandSize = codeSize == 1 ? 2 : 1
    }
    o.pointee.size = operandSize
    o.pointee.addressShift = addressSize == 3 ? 0 : (addressSize == 2 ? 32 : 48)
    var ends = opcode == 0x0F ? decodeTwoByte(o) : decodeOneByte(opcode, o)
    if isTruncated || position - begin > 15 {
      isTruncated = false
      return .truncated
    }
    if hasLock && o.pointee.flags & Op.lock == 0 {
      o.pointee.run = Handlers.undefined
      ends = true
    }
    if o.pointee.base == Layout.blockRegister {
      // Counted from the next instruction; the register is the block's start.
      o.pointee.disp &+= UInt64(position)
    }
    let isFlat =
      o.pointee.segment == Seg.flat.rawValue || o.pointee.segment == Seg.flatStack.rawValue
    if codeSize == 3 && addressSize == 3 && isFlat { o.pointee.flags |= Op.flat }
    o.pointee.end = UInt16(truncatingIfNeeded: position)
    o.pointee.length = UInt8(truncatingIfNeeded: position - begin)
    return ends ? .ends : .more
  }

  // MARK: Bytes

  @inline(__always) mutating func byte() -> UInt8 {
    guard position < available else {
      isTruncated = true
      return 0
    }
    let value = bytes[position]
    position += 1
    return value
  }
  mutating func word() -> UInt64 { UInt64(byte()) | UInt64(byte()) << 8 }
  mutating func dword() -> UInt64 { word() | word() << 16 }
  mutating func signedByte() -> UInt64 {
    UInt64(bitPattern: Int64(Int8(bitPattern: byte())))
  }
  mutating func signedDword() -> UInt64 {
    UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: dword())))
  }
  /// An immediate of the operand size, 32 bits sign-extended where that is 64.
  mutating func immediate(_ size: UInt8) -> UInt64 {
    switch size {
    case 0: signedByte()
    case 1: UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: word())))
    default: signedDword()
    }
  }

  private mutating func prefixes() -> UInt8 {
    while position - begin < 15 {
      let value = byte()
      if isTruncated { return 0 }
      switch value {
      case 0x26: setSegment(.es)
      case 0x2E: setSegment(.cs)
      case 0x36: setSegment(.ss)
      case 0x3E: setSegment(.ds)
      case 0x64: segmentPrefix = Seg.fs.rawValue
      case 0x65: segmentPrefix = Seg.gs.rawValue
      case 0x66: hasOperandPrefix = true
      case 0x67: addressSize = codeSize == 2 ? 1 : 2
      case 0xF0: hasLock = true
      case 0xF2, 0xF3: repeatPrefix = value
      case 0x40...0x4F where codeSize == 3:
        rex = value
        let next = byte()
        // REX counts only right before the opcode.
        switch next {
        case 0x26, 0x2E, 0x36, 0x3E, 0x64...0x67, 0xF0, 0xF2, 0xF3, 0x40...0x4F:
          rex = 0
          position -= isTruncated ? 0 : 1
        default: return next
        }
        continue
      default: return value
      }
      rex = 0
    }
    isTruncated = true
    return 0
  }

  private mutating func setSegment(_ seg: Seg) {
    if codeSize != 3 { segmentPrefix = seg.rawValue }
  }

  // MARK: Operands

  /// The segment of a memory operand whose default is `seg`.
  func segment(_ seg: Seg) -> UInt16 {
    if segmentPrefix != 0 { return segmentPrefix }
    guard codeSize == 3 else { return seg.rawValue }
    return seg == .ss ? Seg.flatStack.rawValue : Seg.flat.rawValue
  }

  /// The register file's offset of register `number`, for operands of `size`.
  func register(_ number: UInt8, _ size: UInt8) -> UInt8 {
    if size == 0 && rex == 0 && number >= 4 { return (number - 4) * 8 + 1 }
    return number * 8
  }

  var modrmReg: UInt8 { (modrm >> 3 & 7) | (rex & 4) << 1 }
  var modrmField: UInt8 { modrm >> 3 & 7 }
  var isMemory: Bool { modrm < 0xC0 }

  /// Reads ModRM and what follows; the registers are those of `size`.
  mutating func readModRM(_ o: OpRef, _ size: UInt8) {
    readModRM(o, reg: size, rm: size)
  }

  mutating func readModRM(_ o: OpRef, reg: UInt8, rm: UInt8) {
    modrm = byte()
    o.pointee.reg = register(modrmReg, reg)
    if !isMemory {
      o.pointee.rm = register((modrm & 7) | (rex & 1) << 3, rm)
      return
    }
    o.pointee.flags |= Op.memory
    if addressSize == 1 { readAddress16(o) } else { readAddress(o) }
  }

  private mutating func readAddress16(_ o: OpRef) {
    let mode = modrm >> 6
    var seg = Seg.ds
    switch modrm & 7 {
    case 0: (o.pointee.base, o.pointee.index) = (3 * 8, 6 * 8)
    case 1: (o.pointee.base, o.pointee.index) = (3 * 8, 7 * 8)
    case 2:
      (o.pointee.base, o.pointee.index) = (5 * 8, 6 * 8)
      seg = .ss
    case 3:
      (o.pointee.base, o.pointee.index) = (5 * 8, 7 * 8)
      seg = .ss
    case 4: o.pointee.base = 6 * 8
    case 5: o.pointee.base = 7 * 8
    case 6:
      if mode == 0 {
        o.pointee.disp = word()
      } else {
        o.pointee.base = 5 * 8
        seg = .ss
      }
    default: o.pointee.base = 3 * 8
    }
    if mode == 1 { o.pointee.disp = signedByte() }
    if mode == 2 { o.pointee.disp = word() }
    o.pointee.segment = segment(seg)
  }

  private mutating func readAddress(_ o: OpRef) {
    let mode = modrm >> 6
    var seg = Seg.ds
    var base = modrm & 7
    if base == 4 {
      let sib = byte()
      let index = (sib >> 3 & 7) | (rex & 2) << 2
      if index != 4 {
        o.pointee.index = index * 8
        o.pointee.scale = sib >> 6
      }
      base = sib & 7
      if base == 5 && mode == 0 {
        o.pointee.disp = signedDword()
        o.pointee.segment = segment(.ds)
        return
      }
    } else if base == 5 && mode == 0 {
      o.pointee.disp = signedDword()
      if codeSize == 3 { o.pointee.base = Layout.blockRegister }
      o.pointee.segment = segment(.ds)
      return
    }
    if base == 4 || base == 5, rex & 1 == 0 { seg = .ss }
    o.pointee.base = (base | (rex & 1) << 3) * 8
    if mode == 1 { o.pointee.disp = signedByte() }
    if mode == 2 { o.pointee.disp = signedDword() }
    o.pointee.segment = segment(seg)
  }

  /// A relative branch: the target, counted from the block's start.
  mutating func readTarget(_ o: OpRef, short: Bool) {
    if codeSize == 3 { operandSize = 3 }
    let distance = short ? signedByte() : immediate(operandSize)
    o.pointee.size = operandSize
    o.pointee.scale = operandSize == 3 ? 0 : (operandSize == 2 ? 32 : 48)
    o.pointee.imm = distance &+ UInt64(position)
  }

  /// Takes the handler for just this form, if there is one.
  func prefer(_ o: OpRef, _ handler: Threaded?) {
    if let handler { o.pointee.go = handler }
  }

  /// Whether the operand is right for LOCK; says so in the operation.
  mutating func allowLock(_ o: OpRef) {
    if hasLock && isMemory { o.pointee.flags |= Op.lock }
  }
}

/// Marks in ``Op/aux``.
enum OpAux {
  static let softwareInterrupt: UInt8 = 0xFE
}
