import CInterpreter
import KVMEngine

/// Decimal arithmetic.
extension Handlers {
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
}

extension CPU {
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
}
