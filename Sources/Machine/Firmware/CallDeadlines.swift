import KVMEngine
import Synchronization

/// When calls that wait have to end.
///
/// A service that answers `wait` is called again with the same registers after the next interrupt.
/// Its call is known again by its stack frame and return address. One that nobody came back to for
/// a while was abandoned, by Ctrl-Break for one, and a new call from the same place starts afresh.
/// Nothing here is saved with the machine: a restored call starts its wait anew.
final class CallDeadlines: Sendable {
  private struct Entry {
    let frame: UInt64
    let returnAddress: UInt32
    let deadline: UInt64
    var lastSeen: UInt64
  }
  private let entries = Mutex<[Entry]>([])
  private let clock: any Clock

  /// Interrupts come at every timer tick, 55 ms; a call not seen for this long is abandoned.
  private static let abandonedAfter: UInt64 = 1_000_000_000
  private static let limit = 16

  init(clock: any Clock) { self.clock = clock }

  /// How much of `nanoseconds` is left to the call, and whether it has come for the first time.
  func remaining(of nanoseconds: UInt64, for call: FirmwareCall) -> (left: UInt64, isNew: Bool) {
    let now = clock.now()
    return entries.withLock { entries in
      entries.removeAll { now &- $0.lastSeen > Self.abandonedAfter }
      if let index = Self.find(call, in: entries) {
        entries[index].lastSeen = now
        let deadline = entries[index].deadline
        return (deadline > now ? deadline - now : 0, false)
      }
      if entries.count >= Self.limit { entries.removeFirst() }
      entries.append(
        Entry(
          frame: Self.frame(call), returnAddress: Self.returnAddress(call),
          deadline: now &+ nanoseconds, lastSeen: now))
      return (nanoseconds, true)
    }
  }

  /// Whether the call waits already.
  func contains(_ call: FirmwareCall) -> Bool {
    entries.withLock { Self.find(call, in: $0) != nil }
  }

  /// Forgets the call; it has ended.
  func finish(_ call: FirmwareCall) {
    entries.withLock { entries in
      if let index = Self.find(call, in: entries) { entries.remove(at: index) }
    }
  }

  private static func find(_ call: FirmwareCall, in entries: [Entry]) -> Int? {
    let frame = frame(call)
    let address = returnAddress(call)
    return entries.firstIndex { $0.frame == frame && $0.returnAddress == address }
  }

  private static func frame(_ call: FirmwareCall) -> UInt64 {
    call.system.ss.base &+ UInt64(UInt16(truncatingIfNeeded: call.registers.rsp))
  }

  private static func returnAddress(_ call: FirmwareCall) -> UInt32 {
    UInt32(call.returnCS) << 16 | UInt32(call.returnIP)
  }
}
