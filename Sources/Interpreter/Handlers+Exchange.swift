import CInterpreter
import KVMEngine

/// Instructions that exchange or change memory atomically.
extension Handlers {
  static let exchange: Handler = { CPU(raw: $0).exchange($1.op) }
  static let lockedUnary: Threaded = { CPU(raw: $0).done($1.op, CPU(raw: $0).lockedUnary($1.op)) }
  static let compareExchange: Handler = { CPU(raw: $0).compareExchange($1.op) }
  static let compareExchange8: Handler = { CPU(raw: $0).compareExchange8($1.op) }
  static let compareExchange16: Handler = { CPU(raw: $0).compareExchange16($1.op) }
  static let exchangeAdd: Handler = { CPU(raw: $0).exchangeAdd($1.op) }
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
}
