import CInterpreter
import KVMEngine

/// Integer instructions whose width is looked at when they run.
extension Handlers {
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
