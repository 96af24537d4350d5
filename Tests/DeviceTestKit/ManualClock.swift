import KVMEngine
import Synchronization

/// A clock that stands still until a test turns it. Timers fire in order of their deadlines, on the
/// thread that turns the clock.
public final class ManualClock: Clock {
  private struct State {
    var time: UInt64 = 0
    var timers: [ManualTimer] = []
  }
  private let state = Mutex(State())

  final class ManualTimer: DeviceTimer {
    let handler: @Sendable () -> Void
    let deadline = Mutex<UInt64?>(nil)
    init(handler: @escaping @Sendable () -> Void) { self.handler = handler }
    func arm(at deadline: UInt64) { self.deadline.withLock { $0 = deadline } }
    func cancel() { deadline.withLock { $0 = nil } }
  }

  public init() {}

  public func now() -> UInt64 { state.withLock { $0.time } }

  public func makeTimer(
    _ name: String, handler: @escaping @Sendable () -> Void
  ) -> any DeviceTimer {
    let timer = ManualTimer(handler: handler)
    state.withLock { $0.timers.append(timer) }
    return timer
  }

  /// Lets `nanoseconds` pass. A handler sees its deadline as the time.
  public func advance(_ nanoseconds: UInt64) {
    let end = now() + nanoseconds
    while let (timer, deadline) = next(until: end) {
      state.withLock { $0.time = max($0.time, deadline) }
      timer.cancel()
      timer.handler()
    }
    state.withLock { $0.time = end }
  }

  private func next(until end: UInt64) -> (ManualTimer, UInt64)? {
    state.withLock { state in
      var best: (ManualTimer, UInt64)?
      for timer in state.timers {
        guard let deadline = timer.deadline.withLock({ $0 }), deadline <= end else { continue }
        if deadline < best?.1 ?? .max { best = (timer, deadline) }
      }
      return best
    }
  }
}
