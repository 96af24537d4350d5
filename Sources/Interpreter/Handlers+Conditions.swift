/// CMOVcc, SETcc, IMUL and BT in the forms that compilers make; the others look at sizes and
/// conditions when they run.
extension CPU {
  @inline(__always) func cmovR<W: Word>(_ o: OpRef, _ code: UInt8, _ width: W.Type) -> UInt {
    let old = get(o.pointee.reg, W.self)
    let new = get(o.pointee.rm, W.self)
    set(o.pointee.reg, condition(code) ? new : old)
    return go(o)
  }
  @inline(__always) func setR(_ o: OpRef, _ code: UInt8) -> UInt {
    set(o.pointee.rm, condition(code) ? UInt8(1) : UInt8(0))
    return go(o)
  }
  @inline(__always) func imul<W: Word>(_ o: OpRef, _ a: W, _ b: W) -> UInt {
    let product = W.Signed(truncatingIfNeeded: a).multipliedReportingOverflow(
      by: W.Signed(truncatingIfNeeded: b))
    set(o.pointee.reg, W(truncatingIfNeeded: product.partialValue))
    // The other flags are undefined.
    flags.pointee = product.overflow ? FlagWord.carry | FlagWord.overflow : 0
    return go(o)
  }
  @inline(__always) func imulRR<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    imul(o, get(o.pointee.reg, W.self), get(o.pointee.rm, W.self))
  }
  @inline(__always) func imulRI<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    imul(o, get(o.pointee.rm, W.self), W(truncatingIfNeeded: o.pointee.imm))
  }
  @inline(__always) func bit<W: Word>(_ o: OpRef, _ index: UInt64, _ width: W.Type) -> UInt {
    let value = UInt64(get(o.pointee.rm, W.self)) &>> (index & UInt64(W.bitWidth - 1))
    flags.pointee =
      flags.pointee & ~FlagWord.carry | UInt16(truncatingIfNeeded: value & 1) &<< 8
    return go(o)
  }
}

extension Handlers {
  /// CMOVcc between registers of 32 or 64 bits; nil for another form.
  static func conditionalMove(_ condition: UInt8, memory: Bool, _ size: UInt8) -> Threaded? {
    if memory || size < 2 { return nil }
    switch condition << 1 | size & 1 {
    case 0: return { CPU(raw: $0).cmovR($1.op, 0, UInt32.self) }
    case 1: return { CPU(raw: $0).cmovR($1.op, 0, UInt64.self) }
    case 2: return { CPU(raw: $0).cmovR($1.op, 1, UInt32.self) }
    case 3: return { CPU(raw: $0).cmovR($1.op, 1, UInt64.self) }
    case 4: return { CPU(raw: $0).cmovR($1.op, 2, UInt32.self) }
    case 5: return { CPU(raw: $0).cmovR($1.op, 2, UInt64.self) }
    case 6: return { CPU(raw: $0).cmovR($1.op, 3, UInt32.self) }
    case 7: return { CPU(raw: $0).cmovR($1.op, 3, UInt64.self) }
    case 8: return { CPU(raw: $0).cmovR($1.op, 4, UInt32.self) }
    case 9: return { CPU(raw: $0).cmovR($1.op, 4, UInt64.self) }
    case 10: return { CPU(raw: $0).cmovR($1.op, 5, UInt32.self) }
    case 11: return { CPU(raw: $0).cmovR($1.op, 5, UInt64.self) }
    case 12: return { CPU(raw: $0).cmovR($1.op, 6, UInt32.self) }
    case 13: return { CPU(raw: $0).cmovR($1.op, 6, UInt64.self) }
    case 14: return { CPU(raw: $0).cmovR($1.op, 7, UInt32.self) }
    case 15: return { CPU(raw: $0).cmovR($1.op, 7, UInt64.self) }
    case 16: return { CPU(raw: $0).cmovR($1.op, 8, UInt32.self) }
    case 17: return { CPU(raw: $0).cmovR($1.op, 8, UInt64.self) }
    case 18: return { CPU(raw: $0).cmovR($1.op, 9, UInt32.self) }
    case 19: return { CPU(raw: $0).cmovR($1.op, 9, UInt64.self) }
    case 20: return { CPU(raw: $0).cmovR($1.op, 10, UInt32.self) }
    case 21: return { CPU(raw: $0).cmovR($1.op, 10, UInt64.self) }
    case 22: return { CPU(raw: $0).cmovR($1.op, 11, UInt32.self) }
    case 23: return { CPU(raw: $0).cmovR($1.op, 11, UInt64.self) }
    case 24: return { CPU(raw: $0).cmovR($1.op, 12, UInt32.self) }
    case 25: return { CPU(raw: $0).cmovR($1.op, 12, UInt64.self) }
    case 26: return { CPU(raw: $0).cmovR($1.op, 13, UInt32.self) }
    case 27: return { CPU(raw: $0).cmovR($1.op, 13, UInt64.self) }
    case 28: return { CPU(raw: $0).cmovR($1.op, 14, UInt32.self) }
    case 29: return { CPU(raw: $0).cmovR($1.op, 14, UInt64.self) }
    case 30: return { CPU(raw: $0).cmovR($1.op, 15, UInt32.self) }
    default: return { CPU(raw: $0).cmovR($1.op, 15, UInt64.self) }
    }
  }

  /// SETcc of a register.
  static func setRegister(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).setR($1.op, 0) }
    case 1: { CPU(raw: $0).setR($1.op, 1) }
    case 2: { CPU(raw: $0).setR($1.op, 2) }
    case 3: { CPU(raw: $0).setR($1.op, 3) }
    case 4: { CPU(raw: $0).setR($1.op, 4) }
    case 5: { CPU(raw: $0).setR($1.op, 5) }
    case 6: { CPU(raw: $0).setR($1.op, 6) }
    case 7: { CPU(raw: $0).setR($1.op, 7) }
    case 8: { CPU(raw: $0).setR($1.op, 8) }
    case 9: { CPU(raw: $0).setR($1.op, 9) }
    case 10: { CPU(raw: $0).setR($1.op, 10) }
    case 11: { CPU(raw: $0).setR($1.op, 11) }
    case 12: { CPU(raw: $0).setR($1.op, 12) }
    case 13: { CPU(raw: $0).setR($1.op, 13) }
    case 14: { CPU(raw: $0).setR($1.op, 14) }
    default: { CPU(raw: $0).setR($1.op, 15) }
    }
  }

  /// IMUL of two registers, or of one and an immediate; nil for another form.
  static func multiplySigned(immediate: Bool, memory: Bool, _ size: UInt8) -> Threaded? {
    if memory { return nil }
    switch (immediate, size) {
    case (false, 1): return { CPU(raw: $0).imulRR($1.op, UInt16.self) }
    case (false, 2): return { CPU(raw: $0).imulRR($1.op, UInt32.self) }
    case (false, 3): return { CPU(raw: $0).imulRR($1.op, UInt64.self) }
    case (_, 1): return { CPU(raw: $0).imulRI($1.op, UInt16.self) }
    case (_, 2): return { CPU(raw: $0).imulRI($1.op, UInt32.self) }
    default: return { CPU(raw: $0).imulRI($1.op, UInt64.self) }
    }
  }

  /// BT of a register of 32 or 64 bits; nil for another form.
  static func testBit(_ kind: UInt8, immediate: Bool, memory: Bool, _ size: UInt8) -> Threaded? {
    if memory || kind != 0 || size < 2 { return nil }
    switch (immediate, size) {
    case (false, 2):
      return { CPU(raw: $0).bit($1.op, CPU(raw: $0).get($1.op.pointee.reg), UInt32.self) }
    case (false, _):
      return { CPU(raw: $0).bit($1.op, CPU(raw: $0).get($1.op.pointee.reg), UInt64.self) }
    case (_, 2): return { CPU(raw: $0).bit($1.op, $1.op.pointee.imm, UInt32.self) }
    default: return { CPU(raw: $0).bit($1.op, $1.op.pointee.imm, UInt64.self) }
    }
  }
}
