import CKVM
import Synchronization

/// What a vCPU's run loop hands to the machine around it, on the vCPU's thread.
public protocol VirtualCPUOwner: AnyObject, Sendable {
  /// A stub of the firmware asks for its service; answers in the processor's registers.
  func serveFirmwareTrap(_ processor: any Processor)
  /// The guest reads a dword from the backdoor port; answers by ``Processor/finishInput(_:)``.
  func serveBackdoor(_ processor: any Processor)
  /// The guest ended the level-triggered interrupt `vector`.
  func endOfInterrupt(vector: UInt8)
  /// The vCPU can't go on. The machine resets or stops; the vCPU waits at the gate, which the owner
  /// has closed when this returns.
  func processorStopped(_ index: Int, because exit: ProcessorExit)
}

/// The 8259 pair as the boot vCPU sees it: its INTR wire and its acknowledge cycle.
public protocol ExternalInterruptSource: AnyObject, Sendable {
  /// Whether INTR is high.
  var interruptPending: Bool { get }
  /// The INTA cycle: the vector to deliver, nil where there is none.
  func acknowledge() -> UInt8?
}

/// The run loop of one vCPU, and its thread, `vcpu0` and so on.
///
/// It enters the guest, hands out what comes back, and delivers the 8259's interrupts. A kick makes
/// it look again at the gate and at the interrupt wire; none is lost, wherever the loop is.
public final class VirtualCPU: @unchecked Sendable {
  // SAFETY: `processor` is used on the vCPU's thread, but for `requestExit`, which any thread may
  // call. `thread` is changed by start and join, which one owner calls.
  /// The vCPU's number, 0 for the one that boots.
  public let index: Int
  private let processor: any Processor
  private let gate: RunGate
  private unowned let owner: any VirtualCPUOwner
  private let externalInterrupts: (any ExternalInterruptSource)?
  private let clock: MachineClock?
  private let kicked = Atomic<Bool>(false)
  private let resetRequested = Atomic<Bool>(false)
  private var thread: Thread?

  /// - Parameters:
  ///   - externalInterrupts: the 8259 pair, for vCPU 0; nil for the others.
  ///   - clock: the machine's clock, for vCPU 0, whose thread then calls the timers' handlers: a tick
  ///     wakes one thread, not two. Nil for the others.
  public init(
    index: Int, processor: any Processor, gate: RunGate, owner: any VirtualCPUOwner,
    externalInterrupts: (any ExternalInterruptSource)?, clock: MachineClock?
  ) {
    self.index = index
    self.processor = processor
    self.gate = gate
    self.owner = owner
    self.externalInterrupts = externalInterrupts
    self.clock = clock
  }

  /// Starts the thread; it waits at the gate until that is opened.
  public func start() throws(HostError) {
    thread = try Thread(name: "vcpu\(index)", stackBytes: 1 << 20) { [unowned self] in self.loop() }
  }

  /// Waits until the thread has ended, after ``RunGate/stop()`` and a ``kick()``.
  public func join() {
    thread?.join()
    thread = nil
  }

  /// Makes the vCPU look at the gate and at its interrupt wire again, at once. Any thread; cheap
  /// when the vCPU is outside guest code anyway.
  public func kick() {
    kicked.store(true, ordering: .sequentiallyConsistent)
    processor.requestExit()
  }

  /// Has the vCPU's thread call `errand` with its processor, and waits. Only while it stands at the
  /// gate, and for whoever opens that.
  public func perform(_ errand: @escaping @Sendable (any Processor) -> Void) {
    gate.perform(on: index) { [unowned self] in errand(processor) }
  }

  /// Gives the processor its state after RESET# once the gate opens. Only while it is closed.
  public func reset() { resetRequested.store(true, ordering: .releasing) }

  private func loop() {
    processor.attachToCurrentThread()
    clock?.attachToCurrentThread()
    var cameOutByKick = true
    while true {
      processor.beginRun()
      let signalled = ckvm_take_kick()
      if kicked.exchange(false, ordering: .sequentiallyConsistent) || signalled || cameOutByKick {
        processor.cancelRun()
        cameOutByKick = false
        guard gate.pass(index) else { return }
        if resetRequested.exchange(false, ordering: .acquiring) { processor.reset() }
        // What a timer's handler does may kick this vCPU: the next turn sees it.
        clock?.runDueTimers()
        continue
      }
      deliverExternalInterrupt()
      let exit = processor.run()
      cameOutByKick = exit == .kicked
      handle(exit)
    }
  }

  @inline(__always)
  private func handle(_ exit: ProcessorExit) {
    switch exit {
    case .served, .kicked, .interruptWindow: return
    case .firmwareTrap: owner.serveFirmwareTrap(processor)
    case .backdoor: owner.serveBackdoor(processor)
    case .endOfInterrupt(let vector): owner.endOfInterrupt(vector: vector)
    case .halted, .shutdown, .unsupported, .failed:
      owner.processorStopped(index, because: exit)
      kicked.store(true, ordering: .sequentiallyConsistent)
    }
  }

  @inline(__always)
  private func deliverExternalInterrupt() {
    guard let source = externalInterrupts else { return }
    guard source.interruptPending else {
      if processor.requestInterruptWindow { processor.requestInterruptWindow = false }
      return
    }
    if processor.canAcceptInterrupt, let vector = source.acknowledge() {
      processor.injectInterrupt(vector)
    }
    processor.requestInterruptWindow = source.interruptPending
  }
}
