/// What executes operations. A handler gets the processor and the operation and says ``Next``.
enum Handlers {
  static let undefined: Handler = { raw, _ in CPU(raw: raw).undefined() }
  static let nothing: Handler = { _, _ in Next.op }

  static func lockedArithmetic(_ operation: UInt8, immediate: Bool, _ size: UInt8) -> Handler {
    let index = operation << 2 | size & 3
    return immediate ? lockedImmediate(index) : lockedRegister(index)
  }
}

/// An operation of two operands on the host's own arithmetic unit.
protocol Arithmetic {
  static var writes: Bool { get }
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W
}

extension Arithmetic {
  @inline(__always) static var writes: Bool { true }
}

enum Add: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.add(a, b, f)
  }
}
enum Or: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.or(a, b, f)
  }
}
enum Adc: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.adc(a, b, f)
  }
}
enum Sbb: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.sbb(a, b, f)
  }
}
enum And: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.and(a, b, f)
  }
}
enum Sub: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.sub(a, b, f)
  }
}
enum Xor: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.xor(a, b, f)
  }
}
enum Cmp: Arithmetic {
  @inline(__always) static var writes: Bool { false }
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.sub(a, b, f)
  }
}
enum Test: Arithmetic {
  @inline(__always) static var writes: Bool { false }
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.and(a, b, f)
  }
}

/// A shift or rotation by a count.
protocol Shift {
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W
}
enum Rol: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.rol(a, count, f)
  }
}
enum Ror: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.ror(a, count, f)
  }
}
enum Rcl: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.rcl(a, count, f)
  }
}
enum Rcr: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.rcr(a, count, f)
  }
}
enum Shl: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.shl(a, count, f)
  }
}
enum Shr: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.shr(a, count, f)
  }
}
enum Sar: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.sar(a, count, f)
  }
}

extension CPU {
  @inline(__always)
  func rr<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> Int {
    let result = A.apply(get(o.pointee.reg, W.self), get(o.pointee.rm, W.self), flags)
    if A.writes { set(o.pointee.reg, result) }
    return Next.op
  }
  @inline(__always)
  func ri<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> Int {
    let result = A.apply(
      get(o.pointee.reg, W.self), W(truncatingIfNeeded: o.pointee.imm), flags)
    if A.writes { set(o.pointee.reg, result) }
    return Next.op
  }
  @inline(__always)
  func rm<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> Int {
    guard let value = load(o, W.self) else { return Next.fault }
    let result = A.apply(get(o.pointee.reg, W.self), value, flags)
    if A.writes { set(o.pointee.reg, result) }
    return Next.op
  }
  @inline(__always)
  func mr<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> Int {
    change(o, get(o.pointee.reg, W.self), operation)
  }
  @inline(__always)
  func mi<A: Arithmetic, W: Word>(_ o: OpRef, _ operation: A.Type, _ width: W.Type) -> Int {
    change(o, W(truncatingIfNeeded: o.pointee.imm), operation)
  }
  @inline(__always)
  private func change<A: Arithmetic, W: Word>(_ o: OpRef, _ value: W, _ operation: A.Type) -> Int {
    if A.writes { return modify(o) { A.apply($0, value, flags) } }
    guard let old = load(o, W.self) else { return Next.fault }
    _ = A.apply(old, value, flags)
    return Next.op
  }
  func lockedRegister<A: Arithmetic, W: Word>(
    _ o: OpRef, _ operation: A.Type, _ width: W.Type
  ) -> Int {
    let value = get(o.pointee.reg, W.self)
    return modifyAtomically(o) { A.apply($0, value, flags) }
  }
  func lockedImmediate<A: Arithmetic, W: Word>(
    _ o: OpRef, _ operation: A.Type, _ width: W.Type
  ) -> Int {
    let value = W(truncatingIfNeeded: o.pointee.imm)
    return modifyAtomically(o) { A.apply($0, value, flags) }
  }

  @inline(__always) func incR<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    set(o.pointee.rm, W.inc(get(o.pointee.rm), flags))
    return Next.op
  }
  @inline(__always) func decR<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    set(o.pointee.rm, W.dec(get(o.pointee.rm), flags))
    return Next.op
  }
  @inline(__always) func incM<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    modify(o) { W.inc($0, flags) }
  }
  @inline(__always) func decM<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    modify(o) { W.dec($0, flags) }
  }
  @inline(__always) func notR<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    set(o.pointee.rm, ~get(o.pointee.rm, W.self))
    return Next.op
  }
  @inline(__always) func negR<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    set(o.pointee.rm, W.neg(get(o.pointee.rm), flags))
    return Next.op
  }
  @inline(__always) func notM<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    modify(o) { (old: W) in ~old }
  }
  @inline(__always) func negM<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    modify(o) { W.neg($0, flags) }
  }

  @inline(__always) func shiftR<S: Shift, W: Word>(
    _ o: OpRef, _ operation: S.Type, _ width: W.Type
  ) -> Int {
    let count =
      o.pointee.flags & Op.countInCL != 0 ? get(8) : UInt8(truncatingIfNeeded: o.pointee.imm)
    set(o.pointee.rm, S.apply(get(o.pointee.rm, W.self), count, flags))
    return Next.op
  }
  @inline(__always) func shiftM<S: Shift, W: Word>(
    _ o: OpRef, _ operation: S.Type, _ width: W.Type
  ) -> Int {
    let count =
      o.pointee.flags & Op.countInCL != 0 ? get(8) : UInt8(truncatingIfNeeded: o.pointee.imm)
    return modify(o) { (old: W) in S.apply(old, count, flags) }
  }

  // MARK: Moves

  @inline(__always) func movRR<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    set(o.pointee.reg, get(o.pointee.rm, W.self))
    return Next.op
  }
  @inline(__always) func movRM<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    guard let value = load(o, W.self) else { return Next.fault }
    set(o.pointee.reg, value)
    return Next.op
  }
  @inline(__always) func movMR<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    store(o, get(o.pointee.reg, W.self))
  }
  @inline(__always) func movRI<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    set(o.pointee.rm, W(truncatingIfNeeded: o.pointee.imm))
    return Next.op
  }
  @inline(__always) func movMI<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    store(o, W(truncatingIfNeeded: o.pointee.imm))
  }
  @inline(__always) func zxR<F: Word, T: Word>(_ o: OpRef, _ from: F.Type, _ to: T.Type) -> Int {
    set(o.pointee.reg, T(truncatingIfNeeded: get(o.pointee.rm, F.self)))
    return Next.op
  }
  @inline(__always) func zxM<F: Word, T: Word>(_ o: OpRef, _ from: F.Type, _ to: T.Type) -> Int {
    guard let value = load(o, F.self) else { return Next.fault }
    set(o.pointee.reg, T(truncatingIfNeeded: value))
    return Next.op
  }
  @inline(__always) func sxR<F: Word, T: Word>(_ o: OpRef, _ from: F.Type, _ to: T.Type) -> Int {
    set(
      o.pointee.reg,
      T(truncatingIfNeeded: F.Signed(truncatingIfNeeded: get(o.pointee.rm, F.self))))
    return Next.op
  }
  @inline(__always) func sxM<F: Word, T: Word>(_ o: OpRef, _ from: F.Type, _ to: T.Type) -> Int {
    guard let value = load(o, F.self) else { return Next.fault }
    set(o.pointee.reg, T(truncatingIfNeeded: F.Signed(truncatingIfNeeded: value)))
    return Next.op
  }
  @inline(__always) func lea<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    set(o.pointee.reg, W(truncatingIfNeeded: offset(o)))
    return Next.op
  }

  // MARK: Jumps, calls, the stack

  @inline(__always) func target<W: Word>(_ o: OpRef, _ width: W.Type) -> UInt64 {
    UInt64(W(truncatingIfNeeded: self[17] &+ o.pointee.imm))
  }
  /// Whether a jump may go there.
  @inline(__always) func isInsideLimit(_ rip: UInt64) -> Bool {
    s.pointee.is64 ? Self.isCanonical(rip) : rip <= UInt64(segment(.cs).pointee.limit)
  }
  @inline(__always) func nextRip(_ o: OpRef) -> UInt64 {
    (self[17] &+ UInt64(o.pointee.end)) & ripMask
  }
  @inline(__always) func jcc(_ o: OpRef, _ code: UInt8) -> Int {
    if condition(code) {
      var rip = self[17] &+ o.pointee.imm
      if o.pointee.size == 1 { rip &= 0xFFFF } else if o.pointee.size == 2 { rip &= 0xFFFF_FFFF }
      guard isInsideLimit(rip) else { return protectionFault() }
      s.pointee.rip = rip
    } else {
      s.pointee.rip = nextRip(o)
    }
    return Next.jump
  }
  @inline(__always) func jumpRelative<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let rip = target(o, W.self)
    guard isInsideLimit(rip) else { return protectionFault() }
    s.pointee.rip = rip
    return Next.jump
  }
  @inline(__always) func callRelative<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let rip = target(o, W.self)
    guard isInsideLimit(rip) else { return protectionFault() }
    guard push(W(truncatingIfNeeded: nextRip(o))) != Next.fault else { return Next.fault }
    s.pointee.rip = rip
    return Next.jump
  }
  @inline(__always) func returnNear<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    guard let rip = load(Seg.ss.rawValue, stackPointer, W.self) else { return Next.fault }
    guard isInsideLimit(UInt64(rip)) else { return protectionFault() }
    setStackPointer(stackPointer &+ UInt64(MemoryLayout<W>.size) &+ o.pointee.imm)
    s.pointee.rip = UInt64(rip)
    return Next.jump
  }
  @inline(__always) func pushR<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    push(get(o.pointee.reg, W.self))
  }
  @inline(__always) func popR<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    guard let value = pop(W.self) else { return Next.fault }
    set(o.pointee.reg, value)
    return Next.op
  }
}
