/// Why a processor came back from guest code.
public enum ProcessorExit: Sendable, Equatable {
  /// An access to a port or to device memory was served; go on.
  case served
  /// ``Processor/requestExit()`` was called, or a signal came.
  case kicked
  /// The guest takes interrupts again, as asked by ``Processor/requestInterruptWindow``.
  case interruptWindow
  /// The guest executed HLT, on an engine that leaves sleeping to the run loop.
  case halted
  /// A stub of the firmware asks for its service. The registers are those of the caller.
  case firmwareTrap
  /// The guest reads a dword from ``VMwareBackdoor/port``. The registers are those of the reader; he
  /// waits for ``Processor/finishInput(_:)``.
  case backdoor
  /// The guest ended the level-triggered interrupt `vector` at its local APIC.
  case endOfInterrupt(vector: UInt8)
  /// A triple fault.
  case shutdown
  /// An instruction or a mode that this engine can't run on this host.
  case unsupported(UnsupportedInstruction)
  /// The host failed; the sentence says how.
  case failed(String)
}

/// One virtual processor: the narrow interface under the run loop, behind which KVM stands, or an
/// interpreter, or both. Nothing above the run loop knows which of them ran an instruction.
///
/// It is confined to its vCPU's thread, but for ``requestExit()``. Port and memory accesses of the
/// guest go to the buses it was made with, on that thread.
public protocol Processor: AnyObject {
  /// Called once on the thread that will run the processor, before anything else.
  func attachToCurrentThread()

  /// Runs guest code until something outside the processor is needed.
  func run() -> ProcessorExit

  /// Between ``beginRun()`` and the end of the ``run()`` that follows: makes that come back with
  /// `.kicked`. At any other time nothing. Any thread.
  func requestExit()
  /// Forgets earlier requests to exit; later ones count. The run loop looks for work after this and
  /// before ``run()``, so that whoever leaves work and then calls ``requestExit()`` is never missed.
  func beginRun()
  /// Takes ``beginRun()`` back: there was work.
  func cancelRun()

  /// Whether the guest would take an external interrupt at this moment.
  var canAcceptInterrupt: Bool { get }
  /// Makes ``run()`` come back with `.interruptWindow` as soon as ``canAcceptInterrupt`` holds.
  var requestInterruptWindow: Bool { get set }
  /// Delivers the external interrupt `vector` (from the 8259) before the next instruction. Only
  /// while ``canAcceptInterrupt`` holds.
  func injectInterrupt(_ vector: UInt8)

  /// The general registers.
  func registers() -> Registers
  func setRegisters(_ registers: Registers)
  /// Ends the IN that `.backdoor` told of: RAX is what was read, and RBX, RCX, RDX, RSI and RDI are
  /// those of `registers`, too.
  func finishInput(_ registers: Registers)
  /// Segments and control registers.
  func systemRegisters() -> SystemRegisters
  func setSystemRegisters(_ system: SystemRegisters)

  /// All that a guest could tell of the processor, between two instructions.
  /// - Parameter now: the machine's clock, nanoseconds, which the local APIC's timer counts by.
  /// - Throws: ``ProcessorStateError`` where the host does not give it.
  func state(now: UInt64) throws(ProcessorStateError) -> ProcessorState
  /// Makes `state`, of any engine, the processor's. Guest memory holds already what belongs to it.
  /// - Parameter now: the machine's clock, nanoseconds.
  /// - Throws: ``ProcessorStateError`` where this engine or host can't take it; the processor may
  ///   then have some of it and must be reset.
  func setState(_ state: ProcessorState, now: UInt64) throws(ProcessorStateError)
  /// Moves the guest's time-stamp counter by `distance`, modulo 2^64; nothing where the host can't.
  func moveTimestamp(by distance: UInt64)

  /// The state after RESET# (Intel SDM vol. 3, 10.1.1); an application processor waits for SIPI.
  func reset()
}

/// What a host's engine could not run, for the person who has to know.
public struct UnsupportedInstruction: Error, Sendable, Equatable, CustomStringConvertible {
  public var mode: ProcessorMode
  public var codeSegment: UInt16
  public var instructionPointer: UInt64
  /// The instruction, up to 15 bytes; empty where they are not known.
  public var bytes: [UInt8]
  /// What the host lacks, as a sentence's end.
  public var reason: String

  public init(
    mode: ProcessorMode, codeSegment: UInt16, instructionPointer: UInt64, bytes: [UInt8],
    reason: String
  ) {
    self.mode = mode
    self.codeSegment = codeSegment
    self.instructionPointer = instructionPointer
    self.bytes = bytes
    self.reason = reason
  }

  public var description: String {
    let code = bytes.map { Self.hex(UInt64($0), digits: 2) }.joined(separator: " ")
    let place =
      "\(Self.hex(UInt64(codeSegment), digits: 4)):"
      + Self.hex(instructionPointer, digits: instructionPointer > 0xFFFF ? 8 : 4)
    return "the guest stopped at \(place) in \(mode.rawValue)"
      + (code.isEmpty ? "" : " on the instruction \(code)") + ": \(reason)"
  }

  private static func hex(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}
