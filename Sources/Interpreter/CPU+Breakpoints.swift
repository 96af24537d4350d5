import KVMEngine

/// The debug registers (Intel SDM vol. 3, 18.2). While a breakpoint is enabled, instructions run one
/// by one and watched pages stay out of the TLB; otherwise nothing here costs anything.
extension CPU {
  /// Bits of DR6 and DR7.
  private enum Debug {
    static let accessDetected: UInt64 = 1 << 13
    static let generalDetect: UInt64 = 1 << 13
    static let taskSwitch: UInt64 = 1 << 15
    static let local: UInt64 = 0x155
  }
  /// What a breakpoint waits for.
  private enum Watch {
    static let execution: UInt64 = 0
    static let write: UInt64 = 1
    static let port: UInt64 = 2
    static let access: UInt64 = 3
  }

  /// After a change of DR0 to DR3 or DR7.
  func breakpointsChanged() {
    let were = s.pointee.slow & Slow.breakpoints != 0
    let are = s.pointee.dr7 & 0xFF != 0
    if are { s.pointee.slow |= Slow.breakpoints } else { s.pointee.slow &= ~Slow.breakpoints }
    if were || are { flushTLB() }
  }

  private func breakpoint(_ number: UInt64) -> (address: UInt64, kind: UInt64, bytes: UInt64)? {
    guard s.pointee.dr7 >> (number * 2) & 3 != 0 else { return nil }
    let control = s.pointee.dr7 >> (16 + number * 4)
    let bytes: UInt64
    switch control >> 2 & 3 {
    case 0: bytes = 1
    case 1: bytes = 2
    case 2: bytes = 8
    default: bytes = 4
    }
    let address =
      switch number {
      case 0: s.pointee.dr0
      case 1: s.pointee.dr1
      case 2: s.pointee.dr2
      default: s.pointee.dr3
      }
    return (address & ~(bytes &- 1), control & 3, bytes)
  }

  /// Whether accesses to the page have to be looked at.
  func isWatched(_ linear: UInt64) -> Bool {
    guard s.pointee.slow & Slow.breakpoints != 0 else { return false }
    for number in UInt64(0)..<4 {
      if let watch = breakpoint(number), watch.kind & 1 != 0, (watch.address ^ linear) >> 12 == 0 {
        return true
      }
    }
    return false
  }

  /// The breakpoints of one of `kinds` that the bytes from `start` on touch, as bits of DR6.
  private func hits(_ start: UInt64, _ size: UInt64, _ kinds: (UInt64, UInt64)) -> UInt64 {
    var result: UInt64 = 0
    for number in UInt64(0)..<4 {
      guard let watch = breakpoint(number), watch.kind == kinds.0 || watch.kind == kinds.1,
        start &- watch.address < watch.bytes || watch.address &- start < size
      else { continue }
      result |= 1 << number
    }
    return result
  }

  private func trap(_ bits: UInt64) {
    guard bits != 0 else { return }
    s.pointee.dr6 |= bits
    s.pointee.slow |= Slow.debugTrap
  }

  /// A load or a store was done: the trap comes after the instruction.
  @inline(never)
  func noteAccess(_ linear: UInt64, _ size: Int, writing: Bool) {
    trap(hits(linear, UInt64(size), (writing ? Watch.write : Watch.access, Watch.access)))
  }

  /// A port was accessed.
  @inline(__always)
  func notePort(_ port: UInt16, _ bytes: Int) {
    guard s.pointee.slow & Slow.breakpoints != 0, s.pointee.cr4 & Bits.de != 0 else { return }
    trap(hits(UInt64(port), UInt64(bytes), (Watch.port, Watch.port)))
  }

  /// Whether a breakpoint stops the instruction at `linear`; the fault is recorded then.
  func stopsAtBreakpoint(_ linear: UInt64) -> Bool {
    guard s.pointee.slow & Slow.breakpoints != 0, s.pointee.eflags & RFlag.resume == 0 else {
      return false
    }
    let bits = hits(linear, 1, (Watch.execution, Watch.execution))
    guard bits != 0 else { return false }
    s.pointee.dr6 |= bits
    s.pointee.debugIsFault = true
    _ = fault(Vector.debug)
    return true
  }

  /// MOV to or from a debug register under general detection: true for #DB.
  func detectsAccess() -> Bool {
    guard s.pointee.dr7 & Debug.generalDetect != 0 else { return false }
    s.pointee.dr6 |= Debug.accessDetected
    s.pointee.debugIsFault = true
    _ = fault(Vector.debug)
    return true
  }

  /// A debug exception is delivered: its handler may use the debug registers.
  func allowDebugRegisters() { s.pointee.dr7 &= ~Debug.generalDetect }

  /// A task switch ends the breakpoints of the task; a new one may ask for a trap (vol. 3, 18.3.1.4).
  func debugTaskSwitch(traps: Bool) {
    if s.pointee.dr7 & Debug.local != 0 {
      s.pointee.dr7 &= ~Debug.local
      breakpointsChanged()
    }
    if traps { trap(Debug.taskSwitch) }
  }
}
