/// The clock of a running machine: CLOCK_MONOTONIC from the machine's start, minus what it spent
/// paused, and one thread named `timer` that calls the handlers of timers whose deadline came.
///
/// Lock order: a device's lock comes before the clock's, since devices arm timers with their lock
/// held; handlers are called with the clock's lock released.
public final class MachineClock: Clock, @unchecked Sendable {
  // SAFETY: every stored property below is read and written with `monitor` held.
  private let monitor = Monitor()
  private var thread: Thread?
  private var timers: [Timer] = []
  private var origin = Monitor.monotonic()
  private var pausedAt: UInt64?
  private var stopping = false
  /// What the thread sleeps towards, so that arming a later timer need not wake it.
  private var sleepingUntil = UInt64.max

  private final class Timer: DeviceTimer, @unchecked Sendable {
    // SAFETY: `deadline` is read and written with the clock's monitor held.
    let name: String
    let handler: @Sendable () -> Void
    unowned let clock: MachineClock
    var deadline: UInt64?

    init(name: String, clock: MachineClock, handler: @escaping @Sendable () -> Void) {
      self.name = name
      self.clock = clock
      self.handler = handler
    }

    func arm(at deadline: UInt64) { clock.arm(self, at: deadline) }
    func cancel() { clock.monitor.withLock { self.deadline = nil } }
  }

  /// - Parameter elapsed: nanoseconds that have passed already, for a machine that is restored.
  public init(elapsed: UInt64 = 0) { origin &-= elapsed }

  /// Starts the thread. Timers armed before run late rather than never.
  public func start() throws(HostError) {
    thread = try Thread(name: "timer") { [unowned self] in self.runTimers() }
  }

  /// Ends the thread and waits for it; no handler runs afterwards.
  public func stop() {
    monitor.withLock {
      stopping = true
      monitor.broadcast()
    }
    thread?.join()
    thread = nil
  }

  public func now() -> UInt64 { monitor.withLock { machineTime } }

  /// Stops time, for a paused machine. Does nothing where it stands still already.
  public func pause() {
    monitor.withLock {
      if pausedAt == nil { pausedAt = Monitor.monotonic() }
    }
  }

  /// Lets time go on from where ``pause()`` stopped it.
  public func resume() {
    monitor.withLock {
      guard let paused = pausedAt else { return }
      origin &+= Monitor.monotonic() &- paused
      pausedAt = nil
      monitor.broadcast()
    }
  }

  public func makeTimer(
    _ name: String, handler: @escaping @Sendable () -> Void
  ) -> any DeviceTimer {
    let timer = Timer(name: name, clock: self, handler: handler)
    monitor.withLock { timers.append(timer) }
    return timer
  }

  private var machineTime: UInt64 { (pausedAt ?? Monitor.monotonic()) &- origin }

  private func arm(_ timer: Timer, at deadline: UInt64) {
    monitor.withLock {
      timer.deadline = deadline
      if deadline < sleepingUntil { monitor.broadcast() }
    }
  }

  private func runTimers() {
    monitor.lock()
    while !stopping {
      let time = machineTime
      if let due = takeDue(time) {
        monitor.unlock()
        due.handler()
        monitor.lock()
        continue
      }
      sleepUntilNext(from: time)
    }
    monitor.unlock()
  }

  /// The timer whose deadline passed longest ago, disarmed. Lock held.
  private func takeDue(_ time: UInt64) -> Timer? {
    var best: Timer?
    for timer in timers {
      guard let deadline = timer.deadline, deadline <= time else { continue }
      if deadline < best?.deadline ?? .max { best = timer }
    }
    best?.deadline = nil
    return best
  }

  private func sleepUntilNext(from time: UInt64) {
    var next = UInt64.max
    for timer in timers { next = min(next, timer.deadline ?? .max) }
    sleepingUntil = next
    if next == .max || pausedAt != nil {
      monitor.wait()
    } else {
      monitor.wait(until: origin &+ next)
    }
    sleepingUntil = .max
  }
}
