import CInterpreter
import KVMEngine

/// Integer instructions whose width is looked at when they run.
extension Handlers {
  static let exchange: Handler = { CPU(raw: $0).exchange($1.op) }
  static let lockedUnary: Threaded = { CPU(raw: $0).done($1.op, CPU(raw: $0).lockedUnary($1.op)) }
  static let multiply: Handler = { CPU(raw: $0).multiply($1.op) }
  static let divide: Handler = { CPU(raw: $0).divide($1.op) }
  static let multiplyImmediate: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard let a = cpu.loadRM(op.op) else { return Next.fault }
    return cpu.multiplySigned(op.op, a, op.op.pointee.imm)
  }
  static let multiplyRegister: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard let a = cpu.loadRM(op.op) else { return Next.fault }
    return cpu.multiplySigned(op.op, a, cpu.get(op.op.pointee.reg, size: op.op.pointee.size))
  }
  static let bitByRegister: Handler = { CPU(raw: $0).bitByRegister($1.op) }
  static let bitByImmediate: Handler = { raw, op in
    let bits = UInt64(8) << UInt64(op.op.pointee.size)
    return CPU(raw: raw).changeBit(op.op, at: op.op.pointee.imm & (bits &- 1), moved: 0)
  }
  static let doubleShift: Handler = { CPU(raw: $0).doubleShift($1.op) }
  static let compareExchange: Handler = { CPU(raw: $0).compareExchange($1.op) }
  static let compareExchange8: Handler = { CPU(raw: $0).compareExchange8($1.op) }
  static let compareExchange16: Handler = { CPU(raw: $0).compareExchange16($1.op) }
  static let exchangeAdd: Handler = { CPU(raw: $0).exchangeAdd($1.op) }
  static let byteSwap: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    switch op.op.pointee.size {
    case 3: cpu.set(op.op.pointee.rm, cpu.get(op.op.pointee.rm, UInt64.self).byteSwapped)
    case 2: cpu.set(op.op.pointee.rm, cpu.get(op.op.pointee.rm, UInt32.self).byteSwapped)
    default: cpu.set(op.op.pointee.rm, UInt16(0))
    }
    return Next.op
  }
  static let convertLow: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    switch op.op.pointee.size {
    case 1: cpu.set(0, UInt16(bitPattern: Int16(Int8(bitPattern: cpu.get(0)))))
    case 2: cpu.set(0, UInt32(bitPattern: Int32(Int16(bitPattern: cpu.get(0)))))
    default: cpu.set(0, UInt64(bitPattern: Int64(Int32(bitPattern: cpu.get(0)))))
    }
    return Next.op
  }
  static let convertHigh: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    switch op.op.pointee.size {
    case 1: cpu.set(16, UInt16(bitPattern: Int16(bitPattern: cpu.get(0)) >> 15))
    case 2: cpu.set(16, UInt32(bitPattern: Int32(bitPattern: cpu.get(0)) >> 31))
    default: cpu.set(16, UInt64(bitPattern: Int64(bitPattern: cpu.get(0)) >> 63))
    }
    return Next.op
  }
  static let decimalAdjust: Handler = { CPU(raw: $0).decimalAdjust($1.op.pointee.aux) }
  static let adjustMultiply: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let base = UInt8(truncatingIfNeeded: op.op.pointee.imm)
    guard base != 0 else { return cpu.fault(Vector.divide) }
    let al = cpu.get(0, UInt8.self)
    cpu.set(1, al / base)
    cpu.set(0, UInt8.or(al % base, 0, cpu.flags))
    return Next.op
  }
  static let adjustDivide: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let base = UInt8(truncatingIfNeeded: op.op.pointee.imm)
    let sum = cpu.get(0, UInt8.self) &+ cpu.get(1, UInt8.self) &* base
    cpu.set(0, UInt16(UInt8.or(sum, 0, cpu.flags)))
    return Next.op
  }
  static let setALFromCarry: Handler = { raw, _ in
    CPU(raw: raw).set(0, CPU(raw: raw).carry ? UInt8(0xFF) : UInt8(0))
    return Next.op
  }
  static let translateByte: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let mask = UInt64.max >> UInt64(op.op.pointee.addressShift)
    let at = (cpu[3] &+ UInt64(cpu.get(0, UInt8.self))) & mask
    guard let value = cpu.load(op.op.pointee.segment, at, UInt8.self) else { return Next.fault }
    cpu.set(0, value)
    return Next.op
  }
  static let conditionalMove: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard let value = cpu.loadRM(op.op) else { return Next.fault }
    let size = op.op.pointee.size
    if cpu.condition(op.op.pointee.aux) {
      cpu.set(op.op.pointee.reg, size: size, value)
    } else if size == 2 {
      cpu.set(op.op.pointee.reg, cpu.get(op.op.pointee.reg, UInt32.self))
    }
    return Next.op
  }
  static let setByCondition: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    return cpu.storeRM(op.op, cpu.condition(op.op.pointee.aux) ? 1 : 0)
  }
  static let scanBits: Handler = { CPU(raw: $0).scanBits($1.op) }
  static let countOnes: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard let value = cpu.loadRM(op.op) else { return Next.fault }
    cpu.set(op.op.pointee.reg, size: op.op.pointee.size, UInt64(value.nonzeroBitCount))
    cpu.flags.pointee = 0x200 | (value == 0 ? FlagWord.zero : 0)
    return Next.op
  }
  static let checksum: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard let value = cpu.loadRM(op.op) else { return Next.fault }
    let crc = ci_crc32(
      cpu.get(op.op.pointee.reg, UInt32.self), value, Int32(1) << Int32(op.op.pointee.size))
    cpu.set(op.op.pointee.reg, crc)
    return Next.op
  }
  static let moveSwapped: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let size = op.op.pointee.size
    let shift = UInt64(64) - (UInt64(8) << UInt64(size))
    if op.op.pointee.aux == 0 {
      guard let value = cpu.load(op.op, size: size) else { return Next.fault }
      cpu.set(op.op.pointee.reg, size: size, value.byteSwapped >> shift)
      return Next.op
    }
    return cpu.storeRM(op.op, cpu.get(op.op.pointee.reg, size: size).byteSwapped >> shift)
  }
  static let storeAH: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    let ah = UInt16(cpu.get(1, UInt8.self)) & 0xD5 | 2
    cpu.flags.pointee = ah << 8 | cpu.flags.pointee & 1
    return Next.op
  }
  static let loadAH: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    cpu.set(1, UInt8(truncatingIfNeeded: cpu.rflags & 0xD5 | 2))
    return Next.op
  }
  static let clearCarry: Handler = { raw, _ in
    CPU(raw: raw).flags.pointee &= ~FlagWord.carry
    return Next.op
  }
  static let setCarry: Handler = { raw, _ in
    CPU(raw: raw).flags.pointee |= FlagWord.carry
    return Next.op
  }
  static let complementCarry: Handler = { raw, _ in
    CPU(raw: raw).flags.pointee ^= FlagWord.carry
    return Next.op
  }
  static let clearDirection: Handler = { raw, _ in
    CPU(raw: raw).s.pointee.eflags &= ~RFlag.direction
    return Next.op
  }
  static let setDirection: Handler = { raw, _ in
    CPU(raw: raw).s.pointee.eflags |= RFlag.direction
    return Next.op
  }
  static let fence: Handler = { _, _ in
    ci_fence()
    return Next.op
  }
  static let probe: Handler = { raw, op in
    // CLFLUSH: a load's rights are checked, caches are coherent anyway.
    let cpu = CPU(raw: raw)
    guard cpu.load(op.op, UInt8.self) != nil else { return Next.fault }
    return Next.op
  }
  static let bound: Handler = { CPU(raw: $0).bound($1.op) }
  static let random: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    var value: UInt64 = 0
    let isSeed = op.op.pointee.aux == 7
    guard isSeed ? HostCPUID.hasSeed : HostCPUID.hasRandom else { return cpu.undefined() }
    let done = isSeed ? ci_rdseed(&value) : ci_rdrand(&value)
    cpu.set(op.op.pointee.rm, size: op.op.pointee.size, done ? value : 0)
    cpu.flags.pointee = 0x200 | (done ? FlagWord.carry : 0)
    return Next.op
  }
}

extension CPU {
  fileprivate func exchange(_ o: OpRef) -> Int {
    let size = o.pointee.size
    if o.pointee.flags & Op.memory == 0 {
      let a = get(o.pointee.rm, size: size)
      set(o.pointee.rm, size: size, get(o.pointee.reg, size: size))
      set(o.pointee.reg, size: size, a)
      return Next.op
    }
    switch size {
    case 0: return exchangeMemory(o, UInt8.self)
    case 1: return exchangeMemory(o, UInt16.self)
    case 2: return exchangeMemory(o, UInt32.self)
    default: return exchangeMemory(o, UInt64.self)
    }
  }

  private func exchangeMemory<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let new = get(o.pointee.reg, W.self)
    if let p = writable(o.pointee.segment, offset(o), UInt64(MemoryLayout<W>.size)) {
      set(o.pointee.reg, W.swap(p, new))
      return Next.op
    }
    var old: W = 0
    let result = modifyAtomically(o) { (value: W) in
      old = value
      return new
    }
    if result != Next.fault { set(o.pointee.reg, old) }
    return result
  }

  fileprivate func lockedUnary(_ o: OpRef) -> Int {
    switch o.pointee.size {
    case 0: lockedUnary(o, UInt8.self)
    case 1: lockedUnary(o, UInt16.self)
    case 2: lockedUnary(o, UInt32.self)
    default: lockedUnary(o, UInt64.self)
    }
  }

  private func lockedUnary<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let kind = o.pointee.aux
    return modifyAtomically(o) { (old: W) in
      switch kind {
      case 0: W.inc(old, flags)
      case 1: W.dec(old, flags)
      case 2: ~old
      default: W.neg(old, flags)
      }
    }
  }

  // MARK: Multiply and divide

  fileprivate func multiply(_ o: OpRef) -> Int {
    guard let value = loadRM(o) else { return Next.fault }
    let size = o.pointee.size
    let isSigned = o.pointee.aux == 5
    let low: UInt64
    let high: UInt64
    let fits: Bool
    let shift = UInt64(64) &- (UInt64(8) << UInt64(size))
    if isSigned {
      let a = Int64(bitPattern: get(0, size: size) << shift) >> Int64(shift)
      let b = Int64(bitPattern: value << shift) >> Int64(shift)
      let product = a.multipliedFullWidth(by: b)
      low = product.low
      high = UInt64(bitPattern: product.high)
      let truncated = Int64(bitPattern: low << shift) >> Int64(shift)
      fits = Int64(bitPattern: low) == truncated && product.high == truncated >> 63
    } else {
      let product = get(0, size: size).multipliedFullWidth(by: value)
      low = product.low
      high = product.high
      fits = high == 0 && (low >> (UInt64(63) &- shift)) >> 1 == 0
    }
    switch size {
    case 0: set(0, UInt16(truncatingIfNeeded: low))
    case 1:
      set(0, UInt16(truncatingIfNeeded: low))
      set(16, UInt16(truncatingIfNeeded: low >> 16))
    case 2:
      set(0, UInt32(truncatingIfNeeded: low))
      set(16, UInt32(truncatingIfNeeded: low >> 32))
    default:
      set(0, low)
      set(16, high)
    }
    setMultiplyFlags(fits)
    return Next.op
  }

  private func setMultiplyFlags(_ fits: Bool) {
    setFlag(FlagWord.carry, !fits)
    setFlag(FlagWord.overflow, !fits)
  }

  fileprivate func multiplySigned(_ o: OpRef, _ a: UInt64, _ b: UInt64) -> Int {
    let size = o.pointee.size
    let shift = UInt64(64) &- (UInt64(8) << UInt64(size))
    let x = Int64(bitPattern: a << shift) >> Int64(shift)
    let y = Int64(bitPattern: b << shift) >> Int64(shift)
    let product = x.multipliedReportingOverflow(by: y)
    let truncated = Int64(truncatingIfNeeded: product.partialValue << shift) >> Int64(shift)
    set(o.pointee.reg, size: size, UInt64(bitPattern: product.partialValue))
    setMultiplyFlags(!product.overflow && truncated == product.partialValue)
    return Next.op
  }

  fileprivate func divide(_ o: OpRef) -> Int {
    guard let divisor = loadRM(o) else { return Next.fault }
    guard divisor != 0 else { return fault(Vector.divide) }
    let isSigned = o.pointee.aux == 7
    switch o.pointee.size {
    case 0:
      let value = UInt64(get(0, UInt16.self))
      return isSigned
        ? divideSigned(
          Int64(Int16(truncatingIfNeeded: value)), Int64(Int8(truncatingIfNeeded: divisor)), 0)
        : divideUnsigned(value, divisor, 0)
    case 1:
      let value = UInt64(get(16, UInt16.self)) << 16 | UInt64(get(0, UInt16.self))
      return isSigned
        ? divideSigned(
          Int64(Int32(truncatingIfNeeded: value)), Int64(Int16(truncatingIfNeeded: divisor)), 1)
        : divideUnsigned(value, divisor, 1)
    case 2:
      let value = UInt64(get(16, UInt32.self)) << 32 | UInt64(get(0, UInt32.self))
      return isSigned
        ? divideSigned(Int64(bitPattern: value), Int64(Int32(truncatingIfNeeded: divisor)), 2)
        : divideUnsigned(value, divisor, 2)
    default: return isSigned ? divideWideSigned(divisor) : divideWide(divisor)
    }
  }

  private func setQuotient(_ quotient: UInt64, _ remainder: UInt64, _ size: UInt8) -> Int {
    if size == 0 {
      set(0, UInt8(truncatingIfNeeded: quotient))
      set(1, UInt8(truncatingIfNeeded: remainder))
    } else {
      set(0, size: size, quotient)
      set(16, size: size, remainder)
    }
    return Next.op
  }

  private func divideUnsigned(_ value: UInt64, _ divisor: UInt64, _ size: UInt8) -> Int {
    let quotient = value / divisor
    guard quotient >> (UInt64(8) << UInt64(size)) == 0 else { return fault(Vector.divide) }
    return setQuotient(quotient, value % divisor, size)
  }

  private func divideSigned(_ value: Int64, _ divisor: Int64, _ size: UInt8) -> Int {
    if value == .min && divisor == -1 { return fault(Vector.divide) }
    let quotient = value / divisor
    let shift = Int64(64) - (Int64(8) << Int64(size))
    guard (quotient << shift) >> shift == quotient else { return fault(Vector.divide) }
    return setQuotient(
      UInt64(bitPattern: quotient), UInt64(bitPattern: value % divisor), size)
  }

  private func divideWide(_ divisor: UInt64) -> Int {
    let high = self[2]
    guard high < divisor else { return fault(Vector.divide) }
    let result = divisor.dividingFullWidth((high, self[0]))
    return setQuotient(result.quotient, result.remainder, 3)
  }

  private func divideWideSigned(_ divisor: UInt64) -> Int {
    let isNegative = Int64(bitPattern: self[2]) < 0
    var low = self[0]
    var high = self[2]
    if isNegative {
      low = 0 &- low
      high = ~high &+ (low == 0 ? 1 : 0)
    }
    let signed = Int64(bitPattern: divisor)
    let magnitude = signed.magnitude
    guard high < magnitude else { return fault(Vector.divide) }
    let result = magnitude.dividingFullWidth((high, low))
    let negativeQuotient = isNegative != (signed < 0)
    let limit = UInt64(1) << 63
    guard result.quotient < limit || negativeQuotient && result.quotient == limit else {
      return fault(Vector.divide)
    }
    return setQuotient(
      negativeQuotient ? 0 &- result.quotient : result.quotient,
      isNegative ? 0 &- result.remainder : result.remainder, 3)
  }

  // MARK: Bits

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

  // MARK: Compare and exchange

  fileprivate func compareExchange(_ o: OpRef) -> Int {
    switch o.pointee.size {
    case 0: compareExchange(o, UInt8.self)
    case 1: compareExchange(o, UInt16.self)
    case 2: compareExchange(o, UInt32.self)
    default: compareExchange(o, UInt64.self)
    }
  }

  private func compareExchange<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let expected = get(0, W.self)
    let new = get(o.pointee.reg, W.self)
    if o.pointee.flags & Op.memory == 0 {
      let old = get(o.pointee.rm, W.self)
      _ = W.sub(expected, old, flags)
      if old == expected { set(o.pointee.rm, new) } else { set(0, old) }
      return Next.op
    }
    var seen: W = 0
    let result = modifyAtomically(o) { (old: W) in
      seen = old
      return old == expected ? new : old
    }
    guard result != Next.fault else { return result }
    _ = W.sub(expected, seen, flags)
    if seen != expected { set(0, seen) }
    return result
  }

  fileprivate func compareExchange8(_ o: OpRef) -> Int {
    let expected = self[0] & 0xFFFF_FFFF | self[2] << 32
    let new = self[3] & 0xFFFF_FFFF | self[1] << 32
    var seen: UInt64 = 0
    let result = modifyAtomically(o) { (old: UInt64) in
      seen = old
      return old == expected ? new : old
    }
    guard result != Next.fault else { return result }
    setFlag(FlagWord.zero, seen == expected)
    if seen != expected {
      set(0, UInt32(truncatingIfNeeded: seen))
      set(16, UInt32(truncatingIfNeeded: seen >> 32))
    }
    return result
  }

  fileprivate func compareExchange16(_ o: OpRef) -> Int {
    let at = offset(o)
    let seg = o.pointee.segment
    guard (segment(seg).pointee.base &+ at) & 15 == 0 else { return protectionFault() }
    guard slowProbeWrite(seg, at, 16), let p = slowPointer(seg, at, 16) else { return Next.fault }
    var old = (self[0], self[2])
    let new = (self[3], self[1])
    let done = withUnsafeMutablePointer(to: &old) { oldPointer in
      withUnsafePointer(to: new) { newPointer in
        oldPointer.withMemoryRebound(to: UInt64.self, capacity: 2) { a in
          newPointer.withMemoryRebound(to: UInt64.self, capacity: 2) { b in ci_cas128(p, a, b) }
        }
      }
    }
    setFlag(FlagWord.zero, done)
    if !done {
      self[0] = old.0
      self[2] = old.1
    }
    return Next.leave
  }

  fileprivate func exchangeAdd(_ o: OpRef) -> Int {
    switch o.pointee.size {
    case 0: exchangeAdd(o, UInt8.self)
    case 1: exchangeAdd(o, UInt16.self)
    case 2: exchangeAdd(o, UInt32.self)
    default: exchangeAdd(o, UInt64.self)
    }
  }

  private func exchangeAdd<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let value = get(o.pointee.reg, W.self)
    if o.pointee.flags & Op.memory == 0 {
      let old = get(o.pointee.rm, W.self)
      let sum = W.add(old, value, flags)
      set(o.pointee.reg, old)
      set(o.pointee.rm, sum)
      return Next.op
    }
    var seen: W = 0
    let result = modifyAtomically(o) { (old: W) in
      seen = old
      return W.add(old, value, flags)
    }
    if result != Next.fault { set(o.pointee.reg, seen) }
    return result
  }

  // MARK: Decimal arithmetic

  /// DAA, DAS, AAA, AAS by their opcodes (Intel SDM vol. 2).
  fileprivate func decimalAdjust(_ opcode: UInt8) -> Int {
    let al = get(0, UInt8.self)
    let hasAuxiliary = flags.pointee & FlagWord.auxiliary != 0
    let adjusts = al & 15 > 9 || hasAuxiliary
    if opcode == 0x37 || opcode == 0x3F {
      let ax = get(0, UInt16.self)
      let changed = adjusts ? (opcode == 0x37 ? ax &+ 0x106 : ax &- 0x106) : ax
      set(0, changed & 0xFF0F)
      _ = UInt8.or(get(0, UInt8.self), 0, flags)
      setFlag(FlagWord.carry, adjusts)
      setFlag(FlagWord.auxiliary, adjusts)
      return Next.op
    }
    let adds = opcode == 0x27
    let hadCarry = carry
    var result = al
    var carries = false
    if adjusts {
      result = adds ? result &+ 6 : result &- 6
      carries = hadCarry || (adds ? al > 0xF9 : al < 6)
    }
    if al > 0x99 || hadCarry {
      result = adds ? result &+ 0x60 : result &- 0x60
      carries = true
    }
    set(0, result)
    _ = UInt8.or(result, 0, flags)
    setFlag(FlagWord.carry, carries)
    setFlag(FlagWord.auxiliary, adjusts)
    return Next.op
  }

  fileprivate func bound(_ o: OpRef) -> Int {
    let size = o.pointee.size
    let at = offset(o)
    let step = UInt64(1) << UInt64(size)
    guard let low = load(o.pointee.segment, at, size: size),
      let high = load(o.pointee.segment, at &+ step, size: size)
    else { return Next.fault }
    let shift = UInt64(64) &- (UInt64(8) << UInt64(size))
    let index = Int64(bitPattern: get(o.pointee.reg, size: size) << shift)
    if index < Int64(bitPattern: low << shift) || index > Int64(bitPattern: high << shift) {
      return fault(Vector.bound)
    }
    return Next.op
  }
}
