import KVMEngine
import Synchronization

/// Why the loop ends.
enum Leave: UInt8 {
  case none, halted, firmwareTrap, backdoor, shutdown, kicked, window, initialize, user, failed
}

/// Everything of a processor but registers, flags and segments.
struct CPUState {
  var rip: UInt64 = 0xFFF0
  /// RFLAGS without the arithmetic flags.
  var eflags: UInt64 = 2
  var linearMask: UInt64 = 0xFFFF_FFFF
  var stackMask: UInt64 = 0xFFFF
  /// What translated code may take as given: see ``Flatness``.
  var flatness: UInt8 = 0
  /// What RIP wraps at.
  var ripMask: UInt64 = 0xFFFF
  /// The TLB set of the privilege of the moment.
  var tlb: UnsafeMutableRawPointer
  /// Changes when the mode or a translation may have changed.
  var stamp: UInt64 = 0
  var generation: UInt64 = 1
  /// The number of the ``World`` of the moment; changes with whatever a known block depends on.
  var world: UInt64 = 0
  var worldCount: UInt64 = 0
  /// TLB entries filled; above `Layout.filledEntries` their numbers are not known.
  var filledCount = Layout.filledEntries + 1
  /// Instructions that may run before the loop gets a turn.
  var credit: Int64 = 0
  /// Reasons to look up before the next block: see ``Slow``.
  var slow: UInt64 = 0
  /// Reasons that wait for IF.
  var parked: UInt64 = 0
  var cpl: UInt8 = 0
  /// 1, 2 or 3: 16-, 32- or 64-bit code.
  var codeSize: UInt8 = 1
  var isProtected = false
  var isV86 = false
  var isLongMode = false
  var is64 = false
  var leave = Leave.none
  var faultHasCode = false
  var faultVector: UInt8 = 0
  var faultCode: UInt32 = 0
  var deliveryDepth: UInt8 = 0
  var injected: Int = -1
  var shadowedRip: UInt64 = 0
  var wantsWindow = false
  var largePages = false
  /// The last walk ended at a large page, at a global one.
  var endedLarge = false
  /// The last walk ended at a page that users may access.
  var endedUser = false
  var endedGlobal = false
  /// Translations of 1 GiB pages are about.
  var hugePages = false
  /// Accesses of the moment are checked for alignment.
  var checksAlignment = false
  /// The debug exception that is recorded is a fault: RIP is the instruction's.
  var debugIsFault = false
  /// An NMI is being handled: the next one waits for IRET.
  var blocksNMI = false
  /// PAUSE instructions run.
  var pauses: UInt32 = 0
  var watched = WatchedLine()

  var cr0: UInt64 = 0x6000_0010
  var cr2: UInt64 = 0
  var cr3: UInt64 = 0
  var cr4: UInt64 = 0
  var cr8: UInt64 = 0
  var efer: UInt64 = 0
  var xcr0: UInt64 = 1
  var gdtBase: UInt64 = 0
  var idtBase: UInt64 = 0
  var gdtLimit: UInt64 = 0xFFFF
  var idtLimit: UInt64 = 0xFFFF
  var dr0: UInt64 = 0
  var dr1: UInt64 = 0
  var dr2: UInt64 = 0
  var dr3: UInt64 = 0
  var dr6: UInt64 = 0xFFFF_0FF0
  var dr7: UInt64 = 0x400
  var pdpte: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  var apicBase: UInt64 = 0xFEE0_0900
  var sysenterCS: UInt64 = 0
  var sysenterESP: UInt64 = 0
  var sysenterEIP: UInt64 = 0
  var star: UInt64 = 0
  var lstar: UInt64 = 0
  var cstar: UInt64 = 0
  var sfmask: UInt64 = 0
  var kernelGSBase: UInt64 = 0
  var tscAux: UInt64 = 0
  var tscOffset: UInt64 = 0
  /// MSR_KVM_SYSTEM_TIME_NEW and MSR_KVM_WALL_CLOCK_NEW, and what the clock there counts from.
  var systemTimePage: UInt64 = 0
  var wallClockPage: UInt64 = 0
  var clockAnchor = ParavirtualClock.Anchor(count: GuestTimestampCounter.startCount)
  /// IA32_TSC_ADJUST.
  var tscAdjust: UInt64 = 0
  var tscDeadline: UInt64 = 0
  var pat: UInt64 = 0x0007_0406_0007_0406
  var miscEnable: UInt64 = 1
  /// Write-back where no other range says otherwise, as firmware leaves it.
  var mtrrDefault: UInt64 = 0xC06
  var feature: UInt64 = 0

  /// There is a ``UserEngine`` that runs 64-bit user code.
  var hasUserEngine = false
  /// So many instructions of user code are run here before the user engine gets the next.
  var userHold = 0
  /// Whether and how long user code is run here first.
  var userShare = UserShare()
  /// Where the newest FPU and vector state is.
  var fpuPlace = FPUPlace.here
  /// Code was decoded from pages that native user code may write to.
  var decodesUserPages = false
  /// How often any processor's native user code had run when user code was last decoded here.
  var seenUserRuns: UInt64 = 0

  var environment: Unmanaged<Environment>
  var attention: UnsafeMutablePointer<Atomic<UInt32>>
  /// Operations done, for those who measure.
  var executed: UInt64 = 0
  /// Where execution stops for a test: operations left.
  var budget: Int64 = .max
}

/// Bits of ``CPUState/flatness``: a data segment is all 4 GiB of a protected mode that is not 64-bit,
/// and which width the stack pointer has there.
enum Flatness {
  static let narrowStack: UInt8 = 64
  static let wideStack: UInt8 = 128

  /// Of the segment at byte `offset` of the state; 0 where there is none for it.
  static func segment(_ offset: UInt16) -> UInt8 {
    guard offset >= Seg.es.rawValue, offset <= Seg.gs.rawValue else { return 0 }
    return 1 << UInt8((offset - Seg.es.rawValue) / 64)
  }
  static func stack(mask: UInt64) -> UInt8 { mask == 0xFFFF ? narrowStack : wideStack }
}

/// Bits of ``CPUState/slow``.
enum Slow {
  static let shadow: UInt64 = 1
  static let singleStep: UInt64 = 2
  static let window: UInt64 = 4
  static let injected: UInt64 = 8
  static let debugTrap: UInt64 = 16
  static let budget: UInt64 = 32
  static let pendingInterrupt: UInt64 = 64
  /// The code is what the user engine runs.
  static let user: UInt64 = 128
  /// A breakpoint is enabled in DR7: instructions run one by one.
  static let breakpoints: UInt64 = 256
}

/// Which side has the newest FPU and vector state: this one, the user engine, or both.
enum FPUPlace: UInt8 { case here, away, both }

/// Bits of the attention word, beside those of ``PageChange``.
enum Attention {
  static let exit: UInt32 = 1 << 8
  static let interrupt: UInt32 = 1 << 9
  static let nonMaskable: UInt32 = 1 << 10
  static let reset: UInt32 = 1 << 11
}

/// What lies around a processor.
final class Environment {
  let ports: PortBus
  let memory: AddressSpace
  var localAPIC: LocalAPIC?
  var cpuid: (UInt32, UInt32) -> CPUIDResult
  /// What the guest's time-stamp counter is, for those on other threads.
  let timestampCounter = GuestTimestampCounter()
  let blocks = BlockCache()
  let stubs = StubPool()
  var translated = TranslatedCode()
  /// There are other processors, for one of which this one may be spinning.
  var hasSiblings = false
  /// What runs 64-bit user code; nil: the interpreter.
  var userEngine: UserEngine?
  /// Whether user code is interpreted first, as long as it is short.
  var triesUserCode = true

  init(ports: PortBus, memory: AddressSpace) {
    self.ports = ports
    self.memory = memory
    cpuid = { HostCPUID.result($0, $1) }
  }
}
