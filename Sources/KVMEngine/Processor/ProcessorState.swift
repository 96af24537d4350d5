import CKVM

/// All of one processor that a guest could tell apart, in a form that no engine owns: what one
/// engine gives, another takes.
///
/// It is complete between two instructions. Caches, the TLB among them, are not state. Not carried:
/// system management mode and nested virtualization, which no engine here offers.
public struct ProcessorState: Codable, Equatable, Sendable {
  /// One model-specific register.
  public struct ModelRegister: Codable, Equatable, Sendable {
    public var index: UInt32
    public var value: UInt64

    public init(index: UInt32, value: UInt64) {
      self.index = index
      self.value = value
    }
  }

  /// DR0 to DR3, DR6 and DR7 (Intel SDM vol. 3, 18.2).
  public struct DebugRegisters: Codable, Equatable, Sendable {
    /// Linear addresses of the four breakpoints.
    public var addresses: [UInt64] = [0, 0, 0, 0]
    public var status: UInt64 = 0xFFFF_0FF0
    public var control: UInt64 = 0x400

    public init() {}
  }

  /// What the processor was about to deliver, and what holds it back (Intel SDM vol. 3, 7.6 to 7.9).
  public struct Events: Codable, Equatable, Sendable {
    /// An exception or an interrupt whose handler was not reached yet.
    public enum Delivery: Codable, Equatable, Sendable {
      case exception(vector: UInt8, errorCode: UInt32?)
      /// An interrupt that was acknowledged, or INT n with RIP behind it.
      case interrupt(vector: UInt8, isSoftware: Bool)
      case nonMaskable
    }

    /// What the instruction before keeps from being delivered.
    public enum Shadow: String, Codable, Sendable { case none, enabledInterrupts, loadedStack }

    public var delivery: Delivery?
    public var shadow = Shadow.none
    /// An NMI is being served: the next waits for IRET.
    public var blocksNMI = false

    public init() {}
  }

  /// What the processor does.
  public enum Activity: String, Codable, Sendable {
    case running
    /// After HLT, until an interrupt.
    case halted
    /// An application processor before its start-up message.
    case waitingForStartup
  }

  public var registers = Registers()
  public var system = SystemRegisters()
  /// By index, each once: those of ``carriedRegisters`` that the engine has.
  public var modelRegisters: [ModelRegister] = []
  /// What the guest's time-stamp counter is ahead of the host's.
  public var timestampOffset: UInt64 = 0
  /// A moment of ``ParavirtualClock``; nil where the guest does not use it.
  public var clockAnchor: ParavirtualClock.Anchor?
  public var vectors = VectorState()
  public var debug = DebugRegisters()
  /// The four entries that PAE paging holds in the processor (Intel SDM vol. 3, 4.4.1); empty in
  /// every other mode, and where the engine cannot tell.
  public var pageDirectoryPointers: [UInt64] = []
  public var events = Events()
  public var activity = Activity.running
  /// Nil where the processor has none.
  public var localAPIC: LocalAPICState?

  public init() {}

  /// The model-specific registers that stand in ``modelRegisters`` (Intel SDM vol. 4, table 2-2):
  /// SYSENTER, MISC_ENABLE, MTRRs, PAT, system calls, KERNEL_GS_BASE, TSC_AUX, and those of
  /// ``ParavirtualClock``. EFER, FS and GS bases and the APIC's are in their places.
  public static let carriedRegisters: [UInt32] =
    [0x174, 0x175, 0x176, 0x1A0] + (0x200...0x20F) + [0x250, 0x258, 0x259]
    + (0x268...0x26F) + [0x277, 0x2FF] + (0xC000_0081...0xC000_0084)
    + [0xC000_0102, 0xC000_0103, ParavirtualClock.wallClockRegister]
    + [ParavirtualClock.systemTimeRegister]

  /// The value of a model-specific register; nil where it is not among those carried.
  public func modelRegister(_ index: UInt32) -> UInt64? {
    modelRegisters.first { $0.index == index }?.value
  }

  /// Whether the guest has turned the page of ``ParavirtualClock`` on.
  public var usesClock: Bool {
    (modelRegister(ParavirtualClock.systemTimeRegister) ?? 0) & 1 != 0
  }

  /// The state on an engine whose time-stamp counter is always `offset` ahead of the host's: the
  /// local APIC's deadline keeps its distance, and KVM's clock its time.
  public func counted(from offset: UInt64) -> ProcessorState {
    var state = self
    let distance = offset &- timestampOffset
    state.timestampOffset = offset
    state.clockAnchor?.count &+= distance
    if let deadline = localAPIC?.tscDeadline, deadline != 0 {
      state.localAPIC?.tscDeadline = max(1, deadline &+ distance)
    }
    return state
  }

  /// What no engine can take, as a sentence's end; nil where nothing is wrong. A state may come from
  /// a file that anybody wrote.
  var problem: String? {
    if debug.addresses.count != 4 { return "it has \(debug.addresses.count) breakpoints" }
    if ![0, 4].contains(pageDirectoryPointers.count) { return "its paging is not possible" }
    if modelRegisters.count > Self.carriedRegisters.count { return "it has too many registers" }
    let paging = ControlBits.cr0Paging
    if system.cr0 & paging != 0 && system.cr0 & ControlBits.cr0ProtectionEnable == 0 {
      return "it pages in real mode"
    }
    if system.efer & ControlBits.eferLongModeActive != 0
      && (system.cr0 & paging == 0 || system.cr4 & ControlBits.cr4PhysicalAddressExtension == 0)
    {
      return "it is in long mode without paging"
    }
    return vectors.problem
  }

  /// - Throws: ``ProcessorStateError`` where the state can't be anybody's.
  public func check() throws(ProcessorStateError) {
    if let problem { throw ProcessorStateError("the processor's state is damaged: \(problem)") }
  }
}

/// A processor's state that an engine cannot take; the text is a sentence for the user.
public struct ProcessorStateError: Error, CustomStringConvertible, Sendable, Equatable {
  public let description: String

  public init(_ description: String) { self.description = description }
}

/// The host's time-stamp counter, which every engine's is counted from.
public enum HostTimestamp {
  public static func now() -> UInt64 { ckvm_timestamp() }
}
