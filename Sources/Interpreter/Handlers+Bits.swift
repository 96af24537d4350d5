import CInterpreter
import KVMEngine

/// Instructions on single bits, and shifts of two words.
extension Handlers {
  static let bitByRegister: Handler = { CPU(raw: $0).bitByRegister($1.op) }
  static let bitByImmediate: Handler = { raw, op in
    let bits = UInt64(8) << UInt64(op.op.pointee.size)
    return CPU(raw: raw).changeBit(op.op, at: op.op.pointee.imm & (bits &- 1), moved: 0)
  }
  static let doubleShift: Handler = { CPU(raw: $0).doubleShift($1.op) }
  static let scanBits: Handler = { CPU(raw: $0).scanBits($1.op) }
  static let countOnes: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard let value = cpu.loadRM(op.op) else { return Next.fault }
    cpu.set(op.op.pointee.reg, size: op.op.pointee.size, UInt64(value.nonzeroBitCount))
    cpu.flags.pointee = 0x200 | (value == 0 ? FlagWord.zero : 0)
    return Next.op
  }
}

extension CPU {
  fileprivate func bitByRegister(_ o: OpRef) -> Int {
    let size = o.pointee.size
    let bits = UInt64(8) << UInt64(size)
    let shift = UInt64(64) &- bits
    let index = Int64(bitPattern: get(o.pointee.reg, size: size) << shift) >> Int64(shift)
    let inside = UInt64(bitPattern: index) & (bits &- 1)
    guard o.pointee.flags & Op.memory != 0 else { return changeBit(o, at: inside, moved: 0) }
    let elements = index >> Int64(bits.trailingZeroBitCount)
    return changeBit(
      o, at: inside, moved: UInt64(bitPattern: elements << Int64(size)))
  }

  /// BT, BTS, BTR, BTC (0 to 3) on the operand `moved` bytes from where it is said to be.
  fileprivate func changeBit(_ o: OpRef, at bit: UInt64, moved: UInt64) -> Int {
    let mask = UInt64(1) << bit
    let kind = o.pointee.aux
    if o.pointee.flags & Op.memory == 0 || kind == 0 {
      var copy = o.pointee
      copy.disp &+= moved
      guard let old = withUnsafeMutablePointer(to: &copy, { loadRM($0) }) else {
        return Next.fault
      }
      if kind != 0 {
        set(o.pointee.rm, size: o.pointee.size, Self.changed(old, mask, kind))
      }
      setFlag(FlagWord.carry, old & mask != 0)
      return Next.op
    }
    var seen: UInt64 = 0
    var copy = o.pointee
    copy.disp &+= moved
    let result = withUnsafeMutablePointer(to: &copy) { place in
      switch o.pointee.size {
      case 1:
        modifyAtomically(place) { (old: UInt16) in
          seen = UInt64(old)
          return UInt16(truncatingIfNeeded: Self.changed(seen, mask, kind))
        }
      case 2:
        modifyAtomically(place) { (old: UInt32) in
          seen = UInt64(old)
          return UInt32(truncatingIfNeeded: Self.changed(seen, mask, kind))
        }
      default:
        modifyAtomically(place) { (old: UInt64) in
          seen = old
          return Self.changed(seen, mask, kind)
        }
      }
    }
    if result != Next.fault { setFlag(FlagWord.carry, seen & mask != 0) }
    return result
  }

  private static func changed(_ old: UInt64, _ mask: UInt64, _ kind: UInt8) -> UInt64 {
    switch kind {
    case 1: old | mask
    case 2: old & ~mask
    default: old ^ mask
    }
  }

  fileprivate func doubleShift(_ o: OpRef) -> Int {
    let count =
      o.pointee.flags & Op.countInCL != 0
      ? get(8, UInt8.self) : UInt8(truncatingIfNeeded: o.pointee.imm)
    // The right to store comes before the load.
    if o.pointee.flags & Op.memory != 0 {
      let size = 1 << Int(o.pointee.size)
      guard slowProbeWrite(o.pointee.segment, offset(o), size) else { return Next.fault }
    }
    guard let a = loadRM(o) else { return Next.fault }
    let b = get(o.pointee.reg, size: o.pointee.size)
    var f = flags.pointee
    let result: UInt64
    switch (o.pointee.size, o.pointee.aux) {
    case (1, 0):
      result = UInt64(
        ci_shld16(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), count, &f))
    case (1, _):
      result = UInt64(
        ci_shrd16(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), count, &f))
    case (2, 0):
      result = UInt64(
        ci_shld32(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), count, &f))
    case (2, _):
      result = UInt64(
        ci_shrd32(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), count, &f))
    case (_, 0): result = ci_shld64(a, b, count, &f)
    default: result = ci_shrd64(a, b, count, &f)
    }
    let next = storeRM(o, result)
    if next != Next.fault { flags.pointee = f }
    return next
  }

  fileprivate func scanBits(_ o: OpRef) -> Int {
    guard let value = loadRM(o) else { return Next.fault }
    let size = o.pointee.size
    let bits = UInt64(8) << UInt64(size)
    let leading = UInt64(value.leadingZeroBitCount) &- (64 &- bits)
    let isZero = value == 0
    switch o.pointee.aux {
    case 0x3C, 0x3D:
      setFlag(FlagWord.zero, isZero)
      if isZero {
        // The destination keeps its value, and its upper half as on the host.
        return Next.op
      }
      let index = o.pointee.aux == 0x3C ? UInt64(value.trailingZeroBitCount) : bits &- 1 &- leading
      set(o.pointee.reg, size: size, index)
    case 0xBC:
      let count = isZero ? bits : UInt64(value.trailingZeroBitCount)
      set(o.pointee.reg, size: size, count)
      setFlag(FlagWord.carry, isZero)
      setFlag(FlagWord.zero, count == 0)
    default:
      let count = isZero ? bits : leading
      set(o.pointee.reg, size: size, count)
      setFlag(FlagWord.carry, isZero)
      setFlag(FlagWord.zero, count == 0)
    }
    return Next.op
  }
}
