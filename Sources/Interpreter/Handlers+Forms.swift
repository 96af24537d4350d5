/// The forms that operands come in. The way without a look is all there is to a handler; what the TLB
/// does not answer jumps to a slow way of its own, so that the fast one keeps no frame.
extension CPU {
  @inline(__always)
  func rr<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> UInt {
    let result = A.apply(get(o.pointee.reg, W.self), get(o.pointee.rm, W.self), flags)
    if A.writes { set(o.pointee.reg, result) }
    return go(o)
  }
  @inline(__always)
  func ri<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> UInt {
    let result = A.apply(
      get(o.pointee.reg, W.self), W(truncatingIfNeeded: o.pointee.imm), flags)
    if A.writes { set(o.pointee.reg, result) }
    return go(o)
  }
  @inline(__always)
  func rm<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> UInt {
    guard let p = readable(o, W.self) else { return Handlers.slowRM(raw, o, A.self, W.self) }
    return finishRM(o, p.loadUnaligned(as: W.self), A.self)
  }
  @inline(__always)
  fileprivate func finishRM<A: Arithmetic, W: Word>(
    _ o: OpRef, _ value: W, _ operation: A.Type
  ) -> UInt {
    let result = A.apply(get(o.pointee.reg, W.self), value, flags)
    if A.writes { set(o.pointee.reg, result) }
    return go(o)
  }
  @inline(__always)
  func mr<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> UInt {
    let value = get(o.pointee.reg, W.self)
    guard let p = A.writes ? writable(o, W.self) : readable(o, W.self) else {
      return Handlers.slowMR(raw, o, A.self, W.self)
    }
    let result = A.apply(p.loadUnaligned(as: W.self), value, flags)
    if A.writes { p.storeBytes(of: result, as: W.self) }
    return go(o)
  }
  @inline(__always)
  func mi<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> UInt {
    let value = W(truncatingIfNeeded: o.pointee.imm)
    guard let p = A.writes ? writable(o, W.self) : readable(o, W.self) else {
      return Handlers.slowMI(raw, o, A.self, W.self)
    }
    let result = A.apply(p.loadUnaligned(as: W.self), value, flags)
    if A.writes { p.storeBytes(of: result, as: W.self) }
    return go(o)
  }
  @inline(__always)
  fileprivate func change<A: Arithmetic, W: Word>(
    _ o: OpRef, _ value: W, _ operation: A.Type
  ) -> UInt {
    if A.writes { return done(o, modify(o) { A.apply($0, value, flags) }) }
    guard let old = load(o, W.self) else { return say(o, Next.fault) }
    _ = A.apply(old, value, flags)
    return go(o)
  }
  func lockedRegister<A: Arithmetic, W: Word>(
    _ o: OpRef, _ operation: A.Type, _ width: W.Type
  ) -> UInt {
    let value = get(o.pointee.reg, W.self)
    return done(o, modifyAtomically(o) { A.apply($0, value, flags) })
  }
  func lockedImmediate<A: Arithmetic, W: Word>(
    _ o: OpRef, _ operation: A.Type, _ width: W.Type
  ) -> UInt {
    let value = W(truncatingIfNeeded: o.pointee.imm)
    return done(o, modifyAtomically(o) { A.apply($0, value, flags) })
  }

  @inline(__always) func incR<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    set(o.pointee.rm, W.inc(get(o.pointee.rm), flags))
    return go(o)
  }
  @inline(__always) func decR<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    set(o.pointee.rm, W.dec(get(o.pointee.rm), flags))
    return go(o)
  }
  @inline(__always) func incM<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    done(o, modify(o) { W.inc($0, flags) })
  }
  @inline(__always) func decM<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    done(o, modify(o) { W.dec($0, flags) })
  }
  @inline(__always) func notR<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    set(o.pointee.rm, ~get(o.pointee.rm, W.self))
    return go(o)
  }
  @inline(__always) func negR<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    set(o.pointee.rm, W.neg(get(o.pointee.rm), flags))
    return go(o)
  }
  @inline(__always) func notM<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    done(o, modify(o) { (old: W) in ~old })
  }
  @inline(__always) func negM<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    done(o, modify(o) { W.neg($0, flags) })
  }

  @inline(__always) func shiftR<S: Shift, W: Word>(
    _ o: OpRef, _ operation: S.Type, _ width: W.Type
  ) -> UInt {
    let count =
      o.pointee.flags & Op.countInCL != 0 ? get(8) : UInt8(truncatingIfNeeded: o.pointee.imm)
    set(o.pointee.rm, S.apply(get(o.pointee.rm, W.self), count, flags))
    return go(o)
  }
  @inline(__always) func shiftM<S: Shift, W: Word>(
    _ o: OpRef, _ operation: S.Type, _ width: W.Type
  ) -> UInt {
    let count =
      o.pointee.flags & Op.countInCL != 0 ? get(8) : UInt8(truncatingIfNeeded: o.pointee.imm)
    return done(o, modify(o) { (old: W) in S.apply(old, count, flags) })
  }

  // MARK: Moves

  @inline(__always) func movRR<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    set(o.pointee.reg, get(o.pointee.rm, W.self))
    return go(o)
  }
  @inline(__always) func movRM<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    guard let p = readable(o, W.self) else { return Handlers.slowMovRM(raw, o, W.self) }
    set(o.pointee.reg, p.loadUnaligned(as: W.self))
    return go(o)
  }
  @inline(__always) func movMR<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    guard let p = writable(o, W.self) else { return Handlers.slowMovMR(raw, o, W.self) }
    p.storeBytes(of: get(o.pointee.reg, W.self), as: W.self)
    return go(o)
  }
  @inline(__always) func movRI<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    set(o.pointee.rm, W(truncatingIfNeeded: o.pointee.imm))
    return go(o)
  }
  @inline(__always) func movMI<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    guard let p = writable(o, W.self) else { return Handlers.slowMovMI(raw, o, W.self) }
    p.storeBytes(of: W(truncatingIfNeeded: o.pointee.imm), as: W.self)
    return go(o)
  }
  @inline(__always) func zxR<F: Word, T: Word>(_ o: OpRef, _ from: F.Type, _ to: T.Type) -> UInt {
    set(o.pointee.reg, T(truncatingIfNeeded: get(o.pointee.rm, F.self)))
    return go(o)
  }
  @inline(__always) func zxM<F: Word, T: Word>(_ o: OpRef, _ from: F.Type, _ to: T.Type) -> UInt {
    guard let p = readable(o, F.self) else { return Handlers.slowZxM(raw, o, F.self, T.self) }
    set(o.pointee.reg, T(truncatingIfNeeded: p.loadUnaligned(as: F.self)))
    return go(o)
  }
  @inline(__always) func sxR<F: Word, T: Word>(_ o: OpRef, _ from: F.Type, _ to: T.Type) -> UInt {
    set(
      o.pointee.reg,
      T(truncatingIfNeeded: F.Signed(truncatingIfNeeded: get(o.pointee.rm, F.self))))
    return go(o)
  }
  @inline(__always) func sxM<F: Word, T: Word>(_ o: OpRef, _ from: F.Type, _ to: T.Type) -> UInt {
    guard let p = readable(o, F.self) else { return Handlers.slowSxM(raw, o, F.self, T.self) }
    let value = F.Signed(truncatingIfNeeded: p.loadUnaligned(as: F.self))
    set(o.pointee.reg, T(truncatingIfNeeded: value))
    return go(o)
  }
  @inline(__always) func lea<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    set(o.pointee.reg, W(truncatingIfNeeded: offset(o)))
    return go(o)
  }
}

/// The slow ways.
extension Handlers {
  @inline(never) static func slowRM<A: Arithmetic, W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ operation: A.Type, _ width: W.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    guard let value = cpu.load(o, W.self) else { return cpu.say(o, Next.fault) }
    return cpu.finishRM(o, value, A.self)
  }
  @inline(never) static func slowMR<A: Arithmetic, W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ operation: A.Type, _ width: W.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    return cpu.change(o, cpu.get(o.pointee.reg, W.self), A.self)
  }
  @inline(never) static func slowMI<A: Arithmetic, W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ operation: A.Type, _ width: W.Type
  ) -> UInt {
    CPU(raw: raw).change(o, W(truncatingIfNeeded: o.pointee.imm), A.self)
  }
  @inline(never) static func slowMovRM<W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ width: W.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    guard let value = cpu.load(o, W.self) else { return cpu.say(o, Next.fault) }
    cpu.set(o.pointee.reg, value)
    return cpu.go(o)
  }
  @inline(never) static func slowMovMR<W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ width: W.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    return cpu.done(o, cpu.store(o, cpu.get(o.pointee.reg, W.self)))
  }
  @inline(never) static func slowMovMI<W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ width: W.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    return cpu.done(o, cpu.store(o, W(truncatingIfNeeded: o.pointee.imm)))
  }
  @inline(never) static func slowZxM<F: Word, T: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ from: F.Type, _ to: T.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    guard let value = cpu.load(o, F.self) else { return cpu.say(o, Next.fault) }
    cpu.set(o.pointee.reg, T(truncatingIfNeeded: value))
    return cpu.go(o)
  }
  @inline(never) static func slowSxM<F: Word, T: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ from: F.Type, _ to: T.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    guard let value = cpu.load(o, F.self) else { return cpu.say(o, Next.fault) }
    cpu.set(o.pointee.reg, T(truncatingIfNeeded: F.Signed(truncatingIfNeeded: value)))
    return cpu.go(o)
  }
}
