/// Near jumps, calls and returns, and single registers on the stack.
extension CPU {
  /// The target of a relative jump; it wraps at the operand's size.
  @inline(__always) func target(_ o: OpRef) -> UInt64 {
    (self[17] &+ o.pointee.imm) & (UInt64.max &>> UInt64(o.pointee.scale))
  }
  /// Whether a jump may go there.
  @inline(__always) func isInsideLimit(_ rip: UInt64) -> Bool {
    s.pointee.is64 ? Self.isCanonical(rip) : rip <= UInt64(segment(.cs).pointee.limit)
  }
  @inline(__always) func nextRip(_ o: OpRef) -> UInt64 {
    (self[17] &+ UInt64(o.pointee.end)) & s.pointee.ripMask
  }

  @inline(__always) func jcc(_ o: OpRef, _ code: UInt8) -> UInt {
    condition(code) ? chain(o, target(o)) : go(o)
  }
  @inline(__always) func jumpRelative(_ o: OpRef) -> UInt { chain(o, target(o)) }

  @inline(__always) func callRelative<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    let rip = target(o)
    guard let block = linked(o, rip), pushFast(W(truncatingIfNeeded: nextRip(o)))
    else { return Handlers.slowCall(raw, o, W.self) }
    return enter(block, rip, o)
  }
  @inline(__always) func returnNear<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    let top = stackPointer(for: W.self)
    guard let p = readableStack(top, W.self) else { return Handlers.slowReturn(raw, o, W.self) }
    let rip = UInt64(p.loadUnaligned(as: W.self))
    guard let block = knownBlock(rip) else { return Handlers.slowReturn(raw, o, W.self) }
    setStackPointer(top &+ UInt64(MemoryLayout<W>.size) &+ o.pointee.imm, for: W.self)
    return enter(block, rip, o)
  }
  /// Calls or jumps to what an operand says.
  @inline(__always) func goTo(_ o: OpRef, _ rip: UInt64) -> UInt {
    if let block = knownBlock(rip) { return enter(block, rip, o) }
    guard isInsideLimit(rip) else { return say(o, protectionFault()) }
    s.pointee.rip = rip
    return say(o, Next.jump)
  }
  @inline(__always) func jumpIndirect<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    if o.pointee.flags & Op.memory == 0 { return goTo(o, UInt64(get(o.pointee.rm, W.self))) }
    guard let rip = load(o, W.self) else { return say(o, Next.fault) }
    return goTo(o, UInt64(rip))
  }
  @inline(__always) func callIndirect<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    let rip: UInt64
    if o.pointee.flags & Op.memory == 0 {
      rip = UInt64(get(o.pointee.rm, W.self))
    } else {
      guard let value = load(o, W.self) else { return say(o, Next.fault) }
      rip = UInt64(value)
    }
    guard isInsideLimit(rip) else { return say(o, protectionFault()) }
    guard push(W(truncatingIfNeeded: nextRip(o))) != Next.fault else { return say(o, Next.fault) }
    return goTo(o, rip)
  }

  /// A push, where the TLB answers; else nothing happens.
  @inline(__always) private func pushFast<W: Word>(_ value: W) -> Bool {
    var top = self[4] &- UInt64(MemoryLayout<W>.size)
    if W.self != UInt64.self { top &= s.pointee.stackMask }
    guard let p = writableStack(top, W.self) else { return false }
    p.storeBytes(of: value, as: W.self)
    setStackPointer(top, for: W.self)
    return true
  }
  @inline(__always) func pushR<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    pushFast(get(o.pointee.reg, W.self)) ? go(o) : Handlers.slowPush(raw, o, W.self)
  }
  @inline(__always) func pushI<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    let value = W(truncatingIfNeeded: o.pointee.imm)
    return pushFast(value) ? go(o) : done(o, push(value))
  }
  @inline(__always) func popR<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt {
    let top = stackPointer(for: W.self)
    guard let p = readableStack(top, W.self) else { return Handlers.slowPop(raw, o, W.self) }
    let value = p.loadUnaligned(as: W.self)
    setStackPointer(top &+ UInt64(MemoryLayout<W>.size), for: W.self)
    set(o.pointee.reg, value)
    return go(o)
  }
}

extension Handlers {
  @inline(never) static func slowCall<W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ width: W.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    let rip = cpu.target(o)
    guard cpu.isInsideLimit(rip) else { return cpu.say(o, cpu.protectionFault()) }
    guard cpu.push(W(truncatingIfNeeded: cpu.nextRip(o))) != Next.fault else {
      return cpu.say(o, Next.fault)
    }
    cpu.s.pointee.rip = rip
    return cpu.say(o, Next.link)
  }
  @inline(never) static func slowReturn<W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ width: W.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    let top = cpu.stackPointer
    guard let rip = cpu.load(Seg.ss.rawValue, top, W.self) else { return cpu.say(o, Next.fault) }
    guard cpu.isInsideLimit(UInt64(rip)) else { return cpu.say(o, cpu.protectionFault()) }
    cpu.setStackPointer(top &+ UInt64(MemoryLayout<W>.size) &+ o.pointee.imm)
    cpu.s.pointee.rip = UInt64(rip)
    return cpu.say(o, Next.jump)
  }
  @inline(never) static func slowPush<W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ width: W.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    return cpu.done(o, cpu.push(cpu.get(o.pointee.reg, W.self)))
  }
  @inline(never) static func slowPop<W: Word>(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ width: W.Type
  ) -> UInt {
    let cpu = CPU(raw: raw)
    guard let value = cpu.pop(W.self) else { return cpu.say(o, Next.fault) }
    cpu.set(o.pointee.reg, value)
    return cpu.go(o)
  }
}
