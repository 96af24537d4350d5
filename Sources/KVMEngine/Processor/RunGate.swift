/// Where the vCPUs of one machine wait while it is paused, and learn that it stops.
///
/// Its lock is a leaf: nothing is called with it held.
public final class RunGate: @unchecked Sendable {
  // SAFETY: every stored property is read and written with `monitor` held.
  private let monitor = Monitor()
  private let processors: Int
  private var state = State.paused
  private var waiting = 0
  private var errand: (vCPU: Int, body: @Sendable () -> Void)?

  private enum State { case running, paused, stopped }

  /// A closed gate for `processors` vCPUs.
  public init(processors: Int) { self.processors = processors }

  /// Called by a vCPU before it enters the guest: waits while the gate is closed.
  /// - Parameter vCPU: the caller's number.
  /// - Returns: false when the machine stops and the vCPU's thread has to end.
  public func pass(_ vCPU: Int) -> Bool {
    monitor.withLock {
      guard state != .running else { return true }
      waiting += 1
      monitor.broadcast()
      while state == .paused {
        if let errand, errand.vCPU == vCPU { run(errand.body) } else { monitor.wait() }
      }
      waiting -= 1
      return state == .running
    }
  }

  /// Calls `body` without the lock. Lock held before and after.
  private func run(_ body: @Sendable () -> Void) {
    monitor.unlock()
    body()
    monitor.lock()
    errand = nil
    monitor.broadcast()
  }

  /// Has vCPU number `vCPU`, which stands at the closed gate, call `body` on its thread, and waits
  /// until it has. Only for whoever opens and stops the gate; does nothing while it is open.
  public func perform(on vCPU: Int, _ body: @escaping @Sendable () -> Void) {
    monitor.withLock {
      guard state == .paused else { return }
      errand = (vCPU, body)
      monitor.broadcast()
      while errand != nil { monitor.wait() }
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
