/// Where the vCPUs of one machine wait while it is paused, and learn that it stops.
///
/// Its lock is a leaf: nothing is called with it held.
public final class RunGate: @unchecked Sendable {
  // SAFETY: every stored property is read and written with `monitor` held.
  private let monitor = Monitor()
  private let processors: Int
  private var state = State.paused
  private var waiting = 0

  private enum State { case running, paused, stopped }

  /// A closed gate for `processors` vCPUs.
  public init(processors: Int) { self.processors = processors }

  /// Called by a vCPU before it enters the guest: waits while the gate is closed.
  /// - Returns: false when the machine stops and the vCPU's thread has to end.
  public func pass() -> Bool {
    monitor.withLock {
      guard state != .running else { return true }
      waiting += 1
      monitor.broadcast()
      while state == .paused { monitor.wait() }
      waiting -= 1
      return state == .running
    }
  }

  /// Closes the gate; the caller kicks the vCPUs.
  public func close() {
    monitor.withLock { if state == .running { state = .paused } }
  }

  /// Waits until every vCPU stands at the closed gate.
  public func waitUntilAllStand() {
    monitor.withLock { while state == .paused && waiting < processors { monitor.wait() } }
  }

  /// Lets the vCPUs in.
  public func open() {
    monitor.withLock {
      if state == .paused { state = .running }
      monitor.broadcast()
    }
  }

  /// Ends every vCPU's thread; the caller kicks them.
  public func stop() {
    monitor.withLock {
      state = .stopped
      monitor.broadcast()
    }
  }
}
