import KVMEngine

/// A processor whose 64-bit user code runs in KVM, at the host's own speed, and everything else in
/// the interpreter: for hosts whose KVM can run user code only (``UserEngine`` tells how).
///
/// What differs from a processor of one piece, on such hosts: CPUID of user code answers as the
/// host's. Whenever KVM runs the code and not the interpreter, RDTSCP, RDPID, XGETBV and reads of
/// segment selectors do as well, and CR4.TSD, CR4.UMIP, CR4.FSGSBASE, CR4.OSFXSR and XCR0 are not
/// enforced, nor is an offset of the time-stamp counter.
public final class HybridProcessor: Processor, @unchecked Sendable {
  // SAFETY: as the interpreter: everything but `requestExit` is confined to the vCPU's thread.
  /// The half that holds the state whenever ``run()`` is not running.
  public let interpreter: InterpretedProcessor

  /// Makes vCPU `index`.
  /// - Parameter machine: with the VM whose memory slots `memory` fills.
  public init(
    _ machine: HybridMachine, index: Int, ports: PortBus, memory: AddressSpace
  ) throws(HostError) {
    interpreter = InterpretedProcessor(index: index, ports: ports, memory: memory)
    try interpreter.attach(to: machine)
  }

  /// The vCPU's number, 0 for the one that boots.
  public var index: Int { interpreter.index }
  /// The local APIC of this processor, given once before it runs.
  public var localAPIC: LocalAPIC? {
    get { interpreter.localAPIC }
    set { interpreter.localAPIC = newValue }
  }
  /// How often user code was entered.
  public var userEntries: UInt64 { interpreter.userEntries }

  public func attachToCurrentThread() { interpreter.attachToCurrentThread() }
  public func run() -> ProcessorExit { interpreter.run() }
  public func requestExit() { interpreter.requestExit() }
  public func beginRun() { interpreter.beginRun() }
  public func cancelRun() { interpreter.cancelRun() }
  public var canAcceptInterrupt: Bool { interpreter.canAcceptInterrupt }
  public var requestInterruptWindow: Bool {
    get { interpreter.requestInterruptWindow }
    set { interpreter.requestInterruptWindow = newValue }
  }
  public func injectInterrupt(_ vector: UInt8) { interpreter.injectInterrupt(vector) }
  public func registers() -> Registers { interpreter.registers() }
  public func setRegisters(_ registers: Registers) { interpreter.setRegisters(registers) }
  public func finishInput(_ registers: Registers) { interpreter.finishInput(registers) }
  public func systemRegisters() -> SystemRegisters { interpreter.systemRegisters() }
  public func setSystemRegisters(_ system: SystemRegisters) {
    interpreter.setSystemRegisters(system)
  }
  public func state(now: UInt64) throws(ProcessorStateError) -> ProcessorState {
    interpreter.state(now: now)
  }
  public func setState(_ state: ProcessorState, now: UInt64) throws(ProcessorStateError) {
    // What runs in KVM reads the host's time-stamp counter, so the rest has to as well.
    try interpreter.setState(state.counted(from: 0), now: now)
  }
  public func moveTimestamp(by distance: UInt64) {}
  public func reset() { interpreter.reset() }
}
