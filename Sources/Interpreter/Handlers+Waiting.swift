import CInterpreter
import Glibc

/// Waiting for others: PAUSE, MONITOR and MWAIT (Intel SDM vol. 2B).
extension Handlers {
  /// So many PAUSEs of a processor that has siblings, some microseconds, lend the host's processor to
  /// whoever holds what it spins for.
  private static let pausesBeforeYield: UInt32 = 64

  static let pause: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    cpu.s.pointee.pauses &+= 1
    if cpu.s.pointee.pauses % pausesBeforeYield == 0 && cpu.environment.hasSiblings {
      sched_yield()
    } else {
      ci_pause()
    }
    return Next.leave
  }
  static let monitor: Handler = { CPU(raw: $0).monitor($1.op) }
  static let monitorWait: Handler = { raw, _ in CPU(raw: raw).monitorWait() }
}

/// The line of memory that MONITOR watches, as it was then.
///
/// Nobody is told of stores to it: who waits looks at it from time to time, ever more seldom.
struct WatchedLine {
  /// Its physical address; all ones: none is watched.
  var address = UInt64.max
  var content: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) =
    (0, 0, 0, 0, 0, 0, 0, 0)
  /// The processor waits for a store to it, by MWAIT.
  var isWaiting = false
  /// Interrupts end the wait although IF is 0.
  var endsByMasked = false

  static let bytes = 64
  /// Microseconds from one look at the line to the next, at first and at last.
  static let shortestWait: UInt32 = 50
  static let longestWait: UInt32 = 1000
}

extension CPU {
  private static let offeredBit: UInt32 = 1 << 3
  private static let maskedBit: UInt32 = 1 << 1

  /// Whether CPUID offers them, and the privilege is theirs.
  private var mayMonitor: Bool {
    s.pointee.cpl == 0 && environment.cpuid(1, 0).ecx & Self.offeredBit != 0
  }

  fileprivate func monitor(_ o: OpRef) -> Int {
    guard mayMonitor else { return undefined() }
    if get(8, size: s.pointee.is64 ? 3 : 2) != 0 { return protectionFault() }
    let at = offset(o)
    guard load(o.pointee.segment, at, UInt8.self) != nil else { return Next.fault }
    let linear = (segment(o.pointee.segment).pointee.base &+ at) & s.pointee.linearMask
    guard let physical = translate(linear, writing: false, user: false) else { return Next.fault }
    let line = physical & ~UInt64(WatchedLine.bytes - 1)
    s.pointee.watched.address = .max
    // A device's memory is no memory to watch.
    guard let place = linePlace(line) else { return Next.op }
    withUnsafeMutableBytes(of: &s.pointee.watched.content) {
      $0.copyMemory(from: UnsafeRawBufferPointer(start: place, count: WatchedLine.bytes))
    }
    s.pointee.watched.address = line
    return Next.op
  }

  fileprivate func monitorWait() -> Int {
    guard mayMonitor else { return undefined() }
    let extensions = get(8, size: s.pointee.is64 ? 3 : 2)
    let endsByMasked = extensions & 1 != 0
    if extensions > 1 || endsByMasked && environment.cpuid(5, 0).ecx & Self.maskedBit == 0 {
      return protectionFault()
    }
    if isWatchedLineChanged { return Next.leave }
    s.pointee.watched.isWaiting = true
    s.pointee.watched.endsByMasked = endsByMasked
    s.pointee.leave = .halted
    return Next.leave
  }

  private func linePlace(_ line: UInt64) -> UnsafeMutableRawPointer? {
    guard let base = physicalPage(line & ~4095).pointee.base else { return nil }
    return base + Int(truncatingIfNeeded: line & 4095)
  }

  /// Whether there was a store to the watched line; also where none is watched.
  var isWatchedLineChanged: Bool {
    guard s.pointee.watched.address != .max, let place = linePlace(s.pointee.watched.address)
    else { return true }
    return withUnsafeBytes(of: &s.pointee.watched.content) {
      $0.baseAddress.map { memcmp($0, place, WatchedLine.bytes) != 0 } ?? true
    }
  }
}
