import Synchronization

/// The local APIC of one processor, as Pentium 4 and later have it, in xAPIC and x2APIC mode (Intel
/// SDM vol. 3, chapter 11; AMD APM vol. 2, chapter 16).
///
/// Version 0x14 with six entries in the vector table (timer, thermal, performance, LINT0, LINT1,
/// error). The APIC ID can't be written. SMIs are ignored; nothing drives the thermal and the
/// performance entry; lowest-priority delivery knows no focus processor. Delivery is immediate, so
/// that delivery status bits read 0. An acknowledge finds what was announced or nothing, so that no
/// spurious interrupt is ever sent. The boot processor comes out of reset in virtual wire mode.
///
/// The processor that it belongs to reads and writes registers and takes events on its own thread,
/// and looks at ``pendingEvents`` without a lock. Messages, pins and the timer come from any thread;
/// an event that is new then calls the closure given to ``connect(wake:)``.
///
/// Lock order: device, 8259 pair or I/O APIC, then this, then the clock. The lock is never held
/// while another local APIC, the I/O APIC or the processor is called.
public final class LocalAPIC: Device, MemoryDevice {
  /// The frequency that the timer counts before its divider, Hz: one count a nanosecond.
  public static let busFrequency: UInt64 = 1_000_000_000

  public typealias SavedState = LocalAPICState

  /// The guest's time-stamp counter, for TSC-deadline mode.
  public struct TimestampCounter: Sendable {
    /// Hz, not zero. Called with the local APIC's lock held.
    public let frequency: @Sendable () -> UInt64
    /// What RDTSC gives the guest now. Called with the local APIC's lock held.
    public let read: @Sendable () -> UInt64

    public init(frequency: UInt64, read: @escaping @Sendable () -> UInt64) {
      let known = max(1, frequency)
      self.frequency = { known }
      self.read = read
    }

    /// The counter of a processor in software.
    public init(_ counter: GuestTimestampCounter) {
      frequency = { GuestTimestampCounter.frequency }
      read = { counter.read() }
    }
  }

  struct Guarded {
    var registers: LocalAPICState
    var timer: (any DeviceTimer)?
    /// What the timer is armed for, nanoseconds; nil where it sleeps.
    var armed: UInt64?
    var wake: (@Sendable () -> Void)?
  }

  public let name: String
  /// The APIC ID in both modes.
  public let identifier: UInt32
  private let state: Mutex<Guarded>
  private let clock: any Clock
  private let counter: TimestampCounter
  let addressMask: UInt64
  unowned let bus: APICBus

  @usableFromInline let events = Atomic<UInt8>(0)
  @usableFromInline let page = Atomic<UInt64>(.max)
  private let publishedWord = Atomic<UInt64>(0)

  /// A local APIC in its state after RESET#, attached to `bus`, which owns it.
  /// - Parameters:
  ///   - identifier: the APIC ID, 0 to 254 where the guest may use xAPIC mode.
  ///   - isBootstrap: whether its processor boots; the others wait for a start-up message.
  ///   - physicalAddressBits: what CPUID leaf 0x8000_0008 tells the guest, 32 to 52.
  public init(
    identifier: UInt32, isBootstrap: Bool, clock: any Clock, timestampCounter: TimestampCounter,
    bus: APICBus, physicalAddressBits: UInt64 = 48
  ) {
    name = "lapic\(identifier)"
    self.identifier = identifier
    self.clock = clock
    counter = timestampCounter
    addressMask = ((1 << min(max(physicalAddressBits, 32), 52)) - 1) & ~0xFFF
    self.bus = bus
    let registers = LocalAPICState(identifier: identifier, isBootstrap: isBootstrap)
    state = Mutex(Guarded(registers: registers))
    let timer = clock.makeTimer(name) { [weak self] in self?.timerFired() }
    state.withLock { $0.timer = timer }
    publish(registers)
    bus.attach(self)
  }

  /// Says how the processor is made to look at ``pendingEvents``: out of guest code, out of HLT.
  /// The closure is called on any thread with no lock of a local APIC held; a device's or the I/O
  /// APIC's may be, so it must not call back into them.
  public func connect(wake: @escaping @Sendable () -> Void) {
    state.withLock { $0.wake = wake }
  }

  public func reset() {
    changeTimed(byOwnProcessor: true) { state, _ in state.reset() }
  }

  public func save() -> LocalAPICState { state.withLock { $0.registers } }

  public func restore(_ state: LocalAPICState) throws(RestoreError) {
    let problem = state.problem(for: save(), addressMask: addressMask)
    if let problem { throw RestoreError(device: name, problem: problem) }
    let wake = self.state.withLock { guarded in
      guarded.registers = state
      publish(state)
      arm(&guarded, clock.now())
      return state.events.isEmpty ? nil : guarded.wake
    }
    wake?()
  }
}

/// What the processor's engine asks for, on the processor's thread.
extension LocalAPIC {
  /// Whether the processor has anything to look at. No lock; any thread.
  @inlinable public var hasPending: Bool { events.load(ordering: .acquiring) != 0 }

  /// What the processor has to look at. No lock; any thread.
  @inlinable public var pendingEvents: LocalAPICEvents {
    LocalAPICEvents(rawValue: events.load(ordering: .acquiring))
  }

  /// Where the processor finds the registers in its memory: the address of a 4 KiB page, or
  /// `UInt64.max` in x2APIC mode and where the local APIC is disabled. No lock.
  @inlinable public var registerPage: UInt64 { page.load(ordering: .relaxed) }

  /// Whether the 8259 pair may interrupt the processor: LINT0 is an open ExtINT, or the local APIC
  /// is disabled. No lock.
  public var externalInterruptAllowed: Bool { published.allowsExternalInterrupt }

  /// Acknowledges the interrupt of highest priority: it is in service from now on.
  /// - Returns: its vector; nil where none is above the processor priority.
  public func nextInterrupt() -> UInt8? {
    guard pendingEvents.contains(.interrupt) else { return nil }
    return change(byOwnProcessor: true) { $0.acknowledge() }
  }

  /// Whether an NMI waits.
  public var pendingNMI: Bool { pendingEvents.contains(.nonMaskable) }

  /// Takes the NMI that waits; false where none does.
  public func takeNMI() -> Bool {
    guard pendingNMI else { return false }
    return change(byOwnProcessor: true) { state in
      defer { state.nmiPending = false }
      return state.nmiPending
    }
  }

  /// Takes an INIT, which puts the local APIC's registers into their state after reset.
  /// - Returns: whether the processor has to do the same; an application processor then waits for
  ///   ``takeStartup()``.
  public func takeInit() -> Bool {
    guard pendingEvents.contains(.initialize) else { return false }
    return changeTimed(byOwnProcessor: true) { state, _ in state.takeInit() }
  }

  /// Takes a start-up message.
  /// - Returns: the page number at which the processor begins, CS = vector << 8; nil for none.
  public func takeStartup() -> UInt8? {
    guard pendingEvents.contains(.startup) else { return nil }
    return change(byOwnProcessor: true) { $0.takeStartup() }
  }

  /// Whether the processor stands still until a start-up message comes.
  public var waitsForStartup: Bool {
    state.withLock { $0.registers.waitsForStartup }
  }

  /// TPR.
  public var taskPriority: UInt8 {
    get { published.taskPriority }
    set { change(byOwnProcessor: true) { $0.taskPriority = newValue } }
  }

  /// CR8: the task priority's class, 0 to 15 (11.8.6).
  public var taskPriorityClass: UInt8 {
    get { taskPriority >> 4 }
    set { taskPriority = newValue << 4 }
  }

  /// The guest's time-stamp counter was set: a deadline comes sooner or later than was thought.
  public func timestampCounterChanged() { changeTimed(byOwnProcessor: true) { _, _ in } }
}

/// What comes from elsewhere.
extension LocalAPIC {
  /// Drives LINT0: the 8259 pair's INTR.
  public func setLINT0(_ asserted: Bool) {
    change(byOwnProcessor: false) { $0.setLINT0(asserted) }
  }

  /// Drives LINT1: the PC's NMI.
  public func setLINT1(_ asserted: Bool) {
    change(byOwnProcessor: false) { $0.setLINT1(asserted) }
  }

  /// Takes what the APIC bus brings.
  /// - Parameter byOwnProcessor: whether the caller is the thread of this local APIC's processor.
  func accept(_ message: APICBusMessage, byOwnProcessor: Bool) -> Bool {
    change(byOwnProcessor: byOwnProcessor) { $0.accept(message) }
  }

  /// What everyone may see of the state without the lock.
  var published: LocalAPICPublished {
    LocalAPICPublished(rawValue: publishedWord.load(ordering: .acquiring))
  }

  private func timerFired() {
    state.withLock { $0.armed = nil }
    changeTimed(byOwnProcessor: false) { _, _ in }
  }
}

/// The lock, and what follows from every change under it.
extension LocalAPIC {
  /// Changes the state; the timer must not be concerned.
  @discardableResult
  func change<Result: Sendable>(
    byOwnProcessor: Bool, _ body: (inout LocalAPICState) -> Result
  ) -> Result {
    var wake: (@Sendable () -> Void)?
    let result = state.withLock { guarded in
      let result = body(&guarded.registers)
      if publish(guarded.registers), !byOwnProcessor { wake = guarded.wake }
      return result
    }
    wake?()
    return result
  }

  /// Like ``change(byOwnProcessor:_:)`` with the time, nanoseconds: serves what the timer owes
  /// before `body`, and arms it anew after.
  @discardableResult
  func changeTimed<Result: Sendable>(
    byOwnProcessor: Bool, _ body: (inout LocalAPICState, UInt64) -> Result
  ) -> Result {
    var wake: (@Sendable () -> Void)?
    let result = state.withLock { guarded in
      let now = clock.now()
      guarded.registers.expire(now, counter)
      let result = body(&guarded.registers, now)
      arm(&guarded, now)
      if publish(guarded.registers), !byOwnProcessor { wake = guarded.wake }
      return result
    }
    wake?()
    return result
  }

  private func arm(_ guarded: inout Guarded, _ now: UInt64) {
    let wanted = guarded.registers.nextWake(now, counter)
    guard wanted != guarded.armed else { return }
    guarded.armed = wanted
    if let wanted { guarded.timer?.arm(at: wanted) } else { guarded.timer?.cancel() }
  }

  /// Writes what is read without the lock. Lock held.
  /// - Returns: whether the processor has to look at something that it had not to before.
  @discardableResult
  private func publish(_ registers: LocalAPICState) -> Bool {
    publishedWord.store(LocalAPICPublished(registers).rawValue, ordering: .releasing)
    let isMapped = registers.isEnabled && !registers.isX2APIC
    page.store(isMapped ? registers.base & addressMask : .max, ordering: .relaxed)
    let new = registers.events.rawValue
    let old = events.exchange(new, ordering: .acquiringAndReleasing)
    return new & ~old != 0
  }
}
