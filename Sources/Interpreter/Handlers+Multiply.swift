import CInterpreter
import KVMEngine

/// Multiplication and division.
extension Handlers {
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
}

extension CPU {
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
}
