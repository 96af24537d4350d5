import CKVM

/// The clock of a running machine: CLOCK_MONOTONIC from the machine's start, minus what it spent
/// paused.
///
/// The handlers of timers whose deadline came are called by one thread: the one that was given by
/// ``attachToCurrentThread()``, which a signal tells when to call ``runDueTimers()``, or one of the
/// clock's own, named `timer`.
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
  /// The host's timer that signals the attached thread; negative where none is attached.
  private var kickTimer: Int32 = -1

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

  deinit { if kickTimer >= 0 { ckvm_kick_timer_delete(kickTimer) } }

  /// Makes the calling thread the one that runs timers: it is kicked when one is due, and then calls
  /// ``runDueTimers()``. Where the host gives no timer, a thread of the clock's own does it.
  public func attachToCurrentThread() {
    let timer = ckvm_kick_timer_create()
    guard timer >= 0 else {
      try? start()
      return
    }
    monitor.withLock {
      kickTimer = timer
      armKickTimer()
    }
  }

  /// Calls the handlers of all timers that are due. Only on the attached thread.
  public func runDueTimers() {
    monitor.lock()
    guard kickTimer >= 0 else { return monitor.unlock() }
    while pausedAt == nil, !stopping, let due = takeDue(machineTime) {
      monitor.unlock()
      due.handler()
      monitor.lock()
    }
    armKickTimer()
    monitor.unlock()
  }

  /// Arms the host's timer for the earliest deadline. Lock held.
  private func armKickTimer() {
    var next = UInt64.max
    for timer in timers { next = min(next, timer.deadline ?? .max) }
    guard next != sleepingUntil else { return }
    sleepingUntil = next
    ckvm_kick_timer_arm(kickTimer, next == .max || pausedAt != nil ? 0 : origin &+ next)
  }

  /// Starts the clock's own thread. Timers armed before run late rather than never.
  public func start() throws(HostError) {
    thread = try Thread(name: "timer") { [unowned self] in self.runTimers() }
  }

  /// Ends the thread and waits for it; no handler runs afterwards.
  public func stop() {
    monitor.withLock {
      stopping = true
      if kickTimer >= 0 { ckvm_kick_timer_arm(kickTimer, 0) }
      monitor.broadcast()
    }
    thread?.join()
    thread = nil
  }

  public func now() -> UInt64 { monitor.withLock { machineTime } }

  /// Stops time, for a paused machine. Does nothing where it stands still already.
  public func pause() {
    monitor.withLock {
      guard pausedAt == nil else { return }
      pausedAt = Monitor.monotonic()
      rearm()
    }
  }

  /// Lets time go on from where ``pause()`` stopped it.
  public func resume() {
    monitor.withLock {
      guard let paused = pausedAt else { return }
      origin &+= Monitor.monotonic() &- paused
      pausedAt = nil
      rearm()
      monitor.broadcast()
    }
  }

  /// Lets `nanoseconds` pass at once, for whoever is the guest of a machine without processors.
  package func leap(by nanoseconds: UInt64) {
    monitor.withLock {
      origin &-= nanoseconds
      rearm()
      monitor.broadcast()
    }
  }

  /// Makes the time of a paused machine `elapsed` nanoseconds, for one that is restored.
  public func set(elapsed: UInt64) {
    monitor.withLock {
      guard let paused = pausedAt else { return }
      origin = paused &- elapsed
      rearm()
    }
  }

  /// Sets the host's timer anew, since what its deadline means has changed. Lock held.
  private func rearm() {
    guard kickTimer >= 0 else { return }
    sleepingUntil = .max - 1
    armKickTimer()
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
      guard deadline < sleepingUntil else { return }
      if kickTimer >= 0 { armKickTimer() } else { monitor.broadcast() }
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
