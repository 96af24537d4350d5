import KVMEngine

/// What devices, vCPUs and the user ask of a machine's life: to reset, to stop, to look at a wire.
///
/// Requests come from any thread, also with device locks held; the machine's own thread carries
/// them out. A vCPU that asked executes nothing more until that is done. Its lock is a leaf.
final class MachineControl: @unchecked Sendable {
  // SAFETY: `processors` is written once, before any thread that reads it exists. What follows
  // `monitor` is read and written with it held.
  /// What the machine's thread is asked to do.
  enum Request { case reset(ResetKind), stop(StopReason), errand(MachineErrand) }

  /// What a reset reaches.
  enum ResetKind {
    /// The processors alone: the keyboard controller's and port 92h's line, and a triple fault.
    case processors
    /// All of the machine: the button on the case, and port CF9h.
    case machine
  }

  let gate: RunGate
  private var processors: [VirtualCPU] = []

  private let monitor = Monitor()
  private var resetRequested: ResetKind?
  private var stopReason: StopReason?
  private var finished = false
  private var errands: [MachineErrand] = []

  init(gate: RunGate) { self.gate = gate }

  /// Takes the vCPUs, once, before they start.
  func attach(_ processors: [VirtualCPU]) { self.processors = processors }

  /// The 8259 pair's INTR wire changed: the boot vCPU looks at one that went up.
  func interruptWire(raised: Bool) { if raised { processors.first?.kick() } }

  /// Makes every vCPU come out of guest code and look at the gate.
  func kickAll() { for processor in processors { processor.kick() } }

  /// A reset of all outranks one of the processors that was asked for with it.
  func requestReset(_ kind: ResetKind) {
    gate.close()
    kickAll()
    monitor.withLock {
      if resetRequested != .machine { resetRequested = kind }
      monitor.broadcast()
    }
  }

  /// The first reason counts.
  func requestStop(_ reason: StopReason) {
    gate.close()
    kickAll()
    monitor.withLock {
      if stopReason == nil { stopReason = reason }
      monitor.broadcast()
    }
  }

  /// Sleeps until something is asked for. Stopping goes first.
  func nextRequest() -> Request {
    monitor.withLock {
      while true {
        if let stopReason { return .stop(stopReason) }
        if let kind = resetRequested {
          resetRequested = nil
          return .reset(kind)
        }
        if !errands.isEmpty { return .errand(errands.removeFirst()) }
        monitor.wait()
      }
    }
  }

  /// Leaves `errand` to the machine's thread; one that comes too late is told so.
  func request(_ errand: MachineErrand) {
    let isTooLate = monitor.withLock {
      if stopReason == nil { errands.append(errand) }
      monitor.broadcast()
      return stopReason != nil
    }
    if isTooLate { errand.abandon() }
  }

  /// The reset that was asked for and not begun; the caller carries it out.
  func takeReset() -> ResetKind? {
    monitor.withLock {
      defer { resetRequested = nil }
      return resetRequested
    }
  }

  /// Whether a stop was asked for.
  var isStopping: Bool { monitor.withLock { stopReason != nil } }

  /// Says that the machine has stopped and all its threads have ended.
  func finish() {
    let left = monitor.withLock {
      finished = true
      monitor.broadcast()
      defer { errands = [] }
      return errands
    }
    for errand in left { errand.abandon() }
  }

  /// Waits until the machine has stopped, but no longer than until `deadline`
  /// (``Monitor/monotonic()`` nanoseconds).
  /// - Returns: whether it has.
  func isFinished(by deadline: UInt64) -> Bool {
    monitor.withLock {
      while !finished && monitor.wait(until: deadline) {}
      return finished
    }
  }

  /// Waits for ``finish()``.
  func waitUntilFinished() -> StopReason {
    monitor.withLock {
      while !finished { monitor.wait() }
      return stopReason ?? .poweredOff
    }
  }
}

/// Work for the machine's thread, for which somebody waits.
final class MachineErrand: @unchecked Sendable {
  // SAFETY: `outcome` is read and written with `monitor` held.
  private let monitor = Monitor()
  private let body: @Sendable () -> Void
  private var outcome: Bool?

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  /// Does it. On the machine's thread.
  func run() {
    body()
    end(true)
  }

  /// Says that it will not be done.
  func abandon() { end(false) }

  private func end(_ outcome: Bool) {
    monitor.withLock {
      self.outcome = outcome
      monitor.broadcast()
    }
  }

  /// Waits until it is done.
  /// - Returns: false where it will not be.
  func wait() -> Bool {
    monitor.withLock {
      while true {
        if let outcome { return outcome }
        monitor.wait()
      }
    }
  }
}
