import CKVM
import Glibc
import Synchronization

/// The time-stamp counter that a guest reads, as whoever has to wait for it sees it: the host's own,
/// moved by what the guest wrote to it.
///
/// The guest's counter runs with the host's time in every engine; how fast is measured against
/// CLOCK_MONOTONIC, the longer the better, and only once somebody asks.
public final class GuestTimestampCounter: Sendable {
  private let offsetWord: Atomic<UInt64>
  private static let start = Sample()
  private static let measured = Atomic<UInt64>(0)
  /// The least time that a measurement takes, and that after which it is as good as it gets;
  /// nanoseconds.
  private static let shortest: UInt64 = 20_000_000
  private static let longest: UInt64 = 2_000_000_000

  /// A reading of both, as close together as a few tries come.
  private struct Sample {
    var time: UInt64 = 0
    var count: UInt64 = 0

    init() {
      var least = UInt64.max
      for _ in 0..<5 {
        let before = ckvm_timestamp()
        let read = Monitor.monotonic()
        let taken = ckvm_timestamp() &- before
        guard taken < least else { continue }
        least = taken
        (time, count) = (read, before &+ taken / 2)
      }
    }
  }

  /// The host's counter when the process began to look at it.
  public static var startCount: UInt64 { start.count }

  /// Counts to nanoseconds, for all processors the same and for ever.
  public static let scale = ParavirtualClock.Scale(frequency: frequency)

  /// - Parameter offset: what the guest reads when the host's counter is 0.
  public init(offset: UInt64 = 0) {
    offsetWord = Atomic(offset)
    _ = Self.start
  }

  /// What is added to the host's counter. Any thread.
  public var offset: UInt64 {
    get { offsetWord.load(ordering: .relaxed) }
    set { offsetWord.store(newValue, ordering: .relaxed) }
  }

  /// What RDTSC gives the guest now. Any thread.
  public func read() -> UInt64 { ckvm_timestamp() &+ offset }

  /// Counts a second, the host's and so the guest's. The first call may sleep for a fiftieth of a
  /// second where the process has just started.
  public static var frequency: UInt64 {
    let known = measured.load(ordering: .relaxed)
    if known != 0 { return known }
    var now = Sample()
    let early = now.time &- start.time
    if early < shortest {
      usleep(UInt32(truncatingIfNeeded: (shortest &- early) / 1000 &+ 1))
      now = Sample()
    }
    let time = max(1, now.time &- start.time)
    let (high, low) = (now.count &- start.count).multipliedFullWidth(by: 1_000_000_000)
    guard high < time else { return 1_000_000_000 }
    let result = max(1, time.dividingFullWidth((high, low)).quotient)
    if time >= longest { measured.store(result, ordering: .relaxed) }
    return result
  }
}
