import CInterpreter

/// An operand width: 8, 16, 32 or 64 bits, with the host's arithmetic on it.
///
/// `f` is the flags as LAHF and SETO give them; an operation that keeps some reads them there.
protocol Word: FixedWidthInteger, UnsignedInteger, BitwiseCopyable {
  associatedtype Signed: FixedWidthInteger, SignedInteger
  typealias FlagRef = UnsafeMutablePointer<UInt16>

  static func add(_ a: Self, _ b: Self, _ f: FlagRef) -> Self
  static func or(_ a: Self, _ b: Self, _ f: FlagRef) -> Self
  static func and(_ a: Self, _ b: Self, _ f: FlagRef) -> Self
  static func sub(_ a: Self, _ b: Self, _ f: FlagRef) -> Self
  static func xor(_ a: Self, _ b: Self, _ f: FlagRef) -> Self
  static func adc(_ a: Self, _ b: Self, _ f: FlagRef) -> Self
  static func sbb(_ a: Self, _ b: Self, _ f: FlagRef) -> Self
  static func inc(_ a: Self, _ f: FlagRef) -> Self
  static func dec(_ a: Self, _ f: FlagRef) -> Self
  static func neg(_ a: Self, _ f: FlagRef) -> Self
  static func rol(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self
  static func ror(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self
  static func rcl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self
  static func rcr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self
  static func shl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self
  static func shr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self
  static func sar(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self
  static func compareAndSwap(_ p: UnsafeMutableRawPointer, _ old: inout Self, _ new: Self) -> Bool
  static func swap(_ p: UnsafeMutableRawPointer, _ new: Self) -> Self
}

extension UInt8: Word {
  typealias Signed = Int8
  @inline(__always) static func add(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_add8(a, b, f) }
  @inline(__always) static func or(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_or8(a, b, f) }
  @inline(__always) static func and(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_and8(a, b, f) }
  @inline(__always) static func sub(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_sub8(a, b, f) }
  @inline(__always) static func xor(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_xor8(a, b, f) }
  @inline(__always) static func adc(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_adc8(a, b, f) }
  @inline(__always) static func sbb(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_sbb8(a, b, f) }
  @inline(__always) static func inc(_ a: Self, _ f: FlagRef) -> Self { ci_inc8(a, f) }
  @inline(__always) static func dec(_ a: Self, _ f: FlagRef) -> Self { ci_dec8(a, f) }
  @inline(__always) static func neg(_ a: Self, _ f: FlagRef) -> Self { ci_neg8(a, f) }
  @inline(__always) static func rol(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rol8(a, count, f)
  }
  @inline(__always) static func ror(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_ror8(a, count, f)
  }
  @inline(__always) static func rcl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rcl8(a, count, f)
  }
  @inline(__always) static func rcr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rcr8(a, count, f)
  }
  @inline(__always) static func shl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_shl8(a, count, f)
  }
  @inline(__always) static func shr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_shr8(a, count, f)
  }
  @inline(__always) static func sar(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_sar8(a, count, f)
  }
  @inline(__always) static func compareAndSwap(
    _ p: UnsafeMutableRawPointer, _ old: inout Self, _ new: Self
  ) -> Bool { ci_cas8(p, &old, new) }
  @inline(__always) static func swap(_ p: UnsafeMutableRawPointer, _ new: Self) -> Self {
    ci_swap8(p, new)
  }
}

extension UInt16: Word {
  typealias Signed = Int16
  @inline(__always) static func add(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_add16(a, b, f)
  }
  @inline(__always) static func or(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_or16(a, b, f) }
  @inline(__always) static func and(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_and16(a, b, f)
  }
  @inline(__always) static func sub(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_sub16(a, b, f)
  }
  @inline(__always) static func xor(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_xor16(a, b, f)
  }
  @inline(__always) static func adc(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_adc16(a, b, f)
  }
  @inline(__always) static func sbb(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_sbb16(a, b, f)
  }
  @inline(__always) static func inc(_ a: Self, _ f: FlagRef) -> Self { ci_inc16(a, f) }
  @inline(__always) static func dec(_ a: Self, _ f: FlagRef) -> Self { ci_dec16(a, f) }
  @inline(__always) static func neg(_ a: Self, _ f: FlagRef) -> Self { ci_neg16(a, f) }
  @inline(__always) static func rol(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rol16(a, count, f)
  }
  @inline(__always) static func ror(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_ror16(a, count, f)
  }
  @inline(__always) static func rcl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rcl16(a, count, f)
  }
  @inline(__always) static func rcr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rcr16(a, count, f)
  }
  @inline(__always) static func shl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_shl16(a, count, f)
  }
  @inline(__always) static func shr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_shr16(a, count, f)
  }
  @inline(__always) static func sar(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_sar16(a, count, f)
  }
  @inline(__always) static func compareAndSwap(
    _ p: UnsafeMutableRawPointer, _ old: inout Self, _ new: Self
  ) -> Bool { ci_cas16(p, &old, new) }
  @inline(__always) static func swap(_ p: UnsafeMutableRawPointer, _ new: Self) -> Self {
    ci_swap16(p, new)
  }
}

extension UInt32: Word {
  typealias Signed = Int32
  @inline(__always) static func add(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_add32(a, b, f)
  }
  @inline(__always) static func or(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_or32(a, b, f) }
  @inline(__always) static func and(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_and32(a, b, f)
  }
  @inline(__always) static func sub(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_sub32(a, b, f)
  }
  @inline(__always) static func xor(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_xor32(a, b, f)
  }
  @inline(__always) static func adc(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_adc32(a, b, f)
  }
  @inline(__always) static func sbb(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_sbb32(a, b, f)
  }
  @inline(__always) static func inc(_ a: Self, _ f: FlagRef) -> Self { ci_inc32(a, f) }
  @inline(__always) static func dec(_ a: Self, _ f: FlagRef) -> Self { ci_dec32(a, f) }
  @inline(__always) static func neg(_ a: Self, _ f: FlagRef) -> Self { ci_neg32(a, f) }
  @inline(__always) static func rol(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rol32(a, count, f)
  }
  @inline(__always) static func ror(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_ror32(a, count, f)
  }
  @inline(__always) static func rcl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rcl32(a, count, f)
  }
  @inline(__always) static func rcr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rcr32(a, count, f)
  }
  @inline(__always) static func shl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_shl32(a, count, f)
  }
  @inline(__always) static func shr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_shr32(a, count, f)
  }
  @inline(__always) static func sar(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_sar32(a, count, f)
  }
  @inline(__always) static func compareAndSwap(
    _ p: UnsafeMutableRawPointer, _ old: inout Self, _ new: Self
  ) -> Bool { ci_cas32(p, &old, new) }
  @inline(__always) static func swap(_ p: UnsafeMutableRawPointer, _ new: Self) -> Self {
    ci_swap32(p, new)
  }
}

extension UInt64: Word {
  typealias Signed = Int64
  @inline(__always) static func add(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_add64(a, b, f)
  }
  @inline(__always) static func or(_ a: Self, _ b: Self, _ f: FlagRef) -> Self { ci_or64(a, b, f) }
  @inline(__always) static func and(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_and64(a, b, f)
  }
  @inline(__always) static func sub(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_sub64(a, b, f)
  }
  @inline(__always) static func xor(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_xor64(a, b, f)
  }
  @inline(__always) static func adc(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_adc64(a, b, f)
  }
  @inline(__always) static func sbb(_ a: Self, _ b: Self, _ f: FlagRef) -> Self {
    ci_sbb64(a, b, f)
  }
  @inline(__always) static func inc(_ a: Self, _ f: FlagRef) -> Self { ci_inc64(a, f) }
  @inline(__always) static func dec(_ a: Self, _ f: FlagRef) -> Self { ci_dec64(a, f) }
  @inline(__always) static func neg(_ a: Self, _ f: FlagRef) -> Self { ci_neg64(a, f) }
  @inline(__always) static func rol(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rol64(a, count, f)
  }
  @inline(__always) static func ror(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_ror64(a, count, f)
  }
  @inline(__always) static func rcl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rcl64(a, count, f)
  }
  @inline(__always) static func rcr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_rcr64(a, count, f)
  }
  @inline(__always) static func shl(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_shl64(a, count, f)
  }
  @inline(__always) static func shr(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_shr64(a, count, f)
  }
  @inline(__always) static func sar(_ a: Self, _ count: UInt8, _ f: FlagRef) -> Self {
    ci_sar64(a, count, f)
  }
  @inline(__always) static func compareAndSwap(
    _ p: UnsafeMutableRawPointer, _ old: inout Self, _ new: Self
  ) -> Bool { ci_cas64(p, &old, new) }
  @inline(__always) static func swap(_ p: UnsafeMutableRawPointer, _ new: Self) -> Self {
    ci_swap64(p, new)
  }
}
