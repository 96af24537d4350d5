import CInterpreter
import KVMEngine
import Synchronization

/// One decoded instruction. A register is its byte offset in the register file, a segment its byte
/// offset in the state.
struct Op {
  /// What executes it and goes on with the operation behind it.
  var go: Threaded
  /// What executes it alone, for `Handlers.alone` to call; of a jump, where it led before.
  private var other: UInt
  /// The immediate operand, or the distance of a relative branch from the block's start.
  var imm: UInt64 = 0
  /// The displacement of the memory operand.
  var disp: UInt64 = 0
  var reg: UInt8 = 0
  var rm: UInt8 = 0
  var base = Layout.zeroRegister
  var index = Layout.zeroRegister
  /// The shift of the index register.
  var scale: UInt8 = 0
  /// The shift that makes the address mask: 0, 32 or 48.
  var addressShift: UInt8 = 0
  /// The operand size as a power of two of bytes.
  var size: UInt8 = 2
  /// A REP prefix (0, F2h, F3h), a condition, a count: what the handler takes it for.
  var aux: UInt8 = 0
  var segment: UInt16 = 0
  /// Where the instruction starts and ends, counted from the block's start.
  var start: UInt16 = 0
  var end: UInt16 = 0
  var flags: UInt8 = 0
  var length: UInt8 = 0

  /// The operand is memory.
  static let memory: UInt8 = 1
  static let lock: UInt8 = 2
  /// The shift count is CL.
  static let countInCL: UInt8 = 4
  /// Does nothing: it needs no place of its own in a block.
  static let nothing: UInt8 = 8
  /// A comparison of registers: `aux` says which (``Fusible``), `size` how wide.
  static let fusible: UInt8 = 16
  static let conditionalJump: UInt8 = 32
  /// The memory operand of 64-bit code lies in no segment, and its address has all 64 bits.
  static let flat: UInt8 = 64
  /// An x87 instruction that x87's pointers tell of: `size` and `rm` hold its opcode's lowest 11
  /// bits. In others `size` is 1 if they load the pointers, 0 if they leave them.
  static let pointed: UInt8 = 128

  init(run: Handler) {
    go = Handlers.alone
    other = UInt(bitPattern: unsafeBitCast(run, to: OpaquePointer.self))
  }

  /// What executes it where that needs no speed.
  var run: Handler {
    @inline(__always) get { unsafeBitCast(other, to: Handler.self) }
    set {
      other = UInt(bitPattern: unsafeBitCast(newValue, to: OpaquePointer.self))
      go = Handlers.alone
    }
  }

  /// What executes a jump, which keeps the block that it led to.
  var jump: Threaded {
    get { go }
    set {
      other = 0
      go = newValue
    }
  }

  /// The block that the jump led to the last time; it may be another's by now, so look who it is.
  var link: UnsafeMutablePointer<Block>? {
    @inline(__always) get { UnsafeMutablePointer(bitPattern: other) }
    set { other = UInt(bitPattern: newValue) }
  }
}

/// What a handler tells the loop.
enum Next {
  /// Go on with the operation that follows.
  static let op = 0
  /// A fault is recorded; the instruction has not happened.
  static let fault = 1
  /// RIP is set; look for the block there.
  static let jump = 2
  /// The instruction is done; look up before the next one.
  static let leave = 3
  /// Like ``jump``, and the operation wants to know the block that is found there.
  static let link = 4
  /// The bits that hold one of these below an operation's address.
  static let mask: UInt = 7
}

/// Runs an operation and all that follow, until one has something to say to the loop: the address
/// of that operation with a ``Next`` in the low bits.
typealias Threaded = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> UInt

typealias Handler = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Int
typealias OpRef = UnsafeMutablePointer<Op>

/// Where everything lies in the one piece of memory that holds a processor.
enum Layout {
  static let zeroRegister: UInt8 = 16 * 8
  /// RIP of the block that runs.
  static let blockRegister: UInt8 = 17 * 8
  static let flags = 192
  static let segments = 256
  static let state = 1024
  static let fpu = 4096
  static let bounce = 5120
  static let tlb = 8192
  static let tlbEntries = 1024
  static let tlbSets = 3
  static let executable = tlb + tlbSets * tlbEntries * 32
  static let executableEntries = 256
  static let physical = executable + executableEntries * 32
  static let physicalEntries = 256
  static let jumps = physical + physicalEntries * 32
  static let jumpEntries = 16384
  /// One bit for the hash of each linear page that code was fetched from.
  static let executed = jumps + jumpEntries * 8
  static let executedBytes = 4096
  /// The latest worlds, looked up where one is left for another.
  static let worlds = executed + executedBytes
  static let worldEntries = 16
  /// Numbers of the TLB entries that were filled since all were forgotten.
  static let filled = worlds + worldEntries * 32
  static let filledEntries = 1024
  /// A TLB set that is always empty, for accesses that all have to be looked at.
  static let emptySet = (filled + filledEntries * 2 + 63) & ~63
  static let total = emptySet + tlbEntries * 32
  /// The MTRRs: 16 of variable ranges, 11 of fixed ones.
  static let ranges = 3584
}

/// A segment register: what the guest loaded, and what accesses use in the mode of the moment.
struct SegmentState {
  /// What is added to an offset: 0 for most segments in 64-bit mode.
  var base: UInt64 = 0
  /// The highest offset that may be read, or written, without a closer look; -1 for none.
  var readLimit: Int64 = -1
  var writeLimit: Int64 = -1
  var hiddenBase: UInt64 = 0
  var limit: UInt32 = 0xFFFF
  var selector: UInt16 = 0
  /// Bits 8 to 15 and 20 to 23 of a descriptor's second word, at their places, shifted by 8: type,
  /// S, DPL, P in the low byte, AVL, L, D/B, G in bits 12 to 15.
  var rights: UInt16 = 0x93

  var type: UInt8 { UInt8(truncatingIfNeeded: rights & 15) }
  var isCodeOrData: Bool { rights & 0x10 != 0 }
  var privilege: UInt8 { UInt8(truncatingIfNeeded: rights >> 5 & 3) }
  var present: Bool { rights & 0x80 != 0 }
  var isLong: Bool { rights & 0x2000 != 0 }
  var isBig: Bool { rights & 0x4000 != 0 }
  var isCode: Bool { rights & 0x18 == 0x18 }
  var isConforming: Bool { rights & 0x1C == 0x1C }
  var isReadable: Bool { rights & 0x18 == 0x10 || rights & 0x1A == 0x1A }
  var isWritable: Bool { rights & 0x1A == 0x12 }
  var expandsDown: Bool { rights & 0x1C == 0x14 }
}

/// One entry of the software TLB.
struct TLBEntry {
  /// The linear page, where loads, or stores, may go straight to memory; 1 for none.
  var readTag: UInt64 = 1
  var writeTag: UInt64 = 1
  /// What is added to a linear address to make a pointer; the linear page for device memory.
  var addend: UInt64 = 0
  /// The physical page and the bits below.
  var physical: UInt64 = 0

  static let deviceRead: UInt64 = 1
  static let deviceWrite: UInt64 = 2
  static let window: UInt64 = 4
  static let large: UInt64 = 8
  /// Loads of CR3 leave it.
  static let global: UInt64 = 16
  /// Every byte of an entry that was not filled since all were forgotten: no tag that a page has,
  /// and no device bits that count without one.
  static let emptyByte: UInt8 = 1
  static let empty: UInt64 = 0x0101_0101_0101_0101
  static let nothing = TLBEntry(readTag: empty, writeTag: empty, addend: empty, physical: empty)
}

/// A linear page that code is fetched from.
struct ExecutableEntry {
  var tag: UInt64 = 1
  var stamp: UInt64 = 0
  var base: UnsafeMutableRawPointer?
  var code: UnsafeMutablePointer<CodePage>?
}

/// A physical page found before.
struct PhysicalEntry {
  var tag: UInt64 = 1
  var base: UnsafeMutableRawPointer?
  var code: UnsafeMutablePointer<CodePage>?
  /// Bit 0: writable, bit 1: in a window.
  var flags: UInt64 = 0
}

/// What makes the way from RIP to a block: a mode, translations, CS.
struct World {
  var stamp: UInt64 = 0
  var base: UInt64 = 0
  var limit: UInt64 = 0
  /// The number that this one was given; 0 for none.
  var number: UInt64 = 0
}

/// A run of decoded operations. It is entered at its start, may be left by conditional jumps, and
/// ends with another jump or with the operation that only goes on.
struct Block {
  var ops: OpRef
  var code: UnsafeMutablePointer<CodePage>?
  var generation: UInt64
  /// The page's key, the offset and the mode.
  var key: UInt64
  /// Bytes of code.
  var length: UInt64
  /// Instructions, at most.
  var count: Int64
  /// RIP and the ``World`` in which it was found there the last time; world 0 for never.
  var rip: UInt64 = 0
  var world: UInt64 = 0
}

/// Why the loop ends.
enum Leave: UInt8 {
  case none, halted, firmwareTrap, shutdown, kicked, window, initialize, user, failed
}

/// Everything of a processor but registers, flags and segments.
struct CPUState {
  var rip: UInt64 = 0xFFF0
  /// RFLAGS without the arithmetic flags.
  var eflags: UInt64 = 2
  var linearMask: UInt64 = 0xFFFF_FFFF
  var stackMask: UInt64 = 0xFFFF
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
  /// There are other processors, for one of which this one may be spinning.
  var hasSiblings = false
  /// What runs 64-bit user code; nil: the interpreter.
  var userEngine: UserEngine?

  init(ports: PortBus, memory: AddressSpace) {
    self.ports = ports
    self.memory = memory
    cpuid = { HostCPUID.result($0, $1) }
  }
}

/// A processor's memory, seen as what it holds.
struct CPU {
  // SAFETY: `raw` is one allocation of `Layout.total` bytes that outlives every CPU made from it;
  // all offsets are constants below that, or indices masked to a table's size.
  let raw: UnsafeMutableRawPointer

  @inline(__always) var s: UnsafeMutablePointer<CPUState> {
    (raw + Layout.state).assumingMemoryBound(to: CPUState.self)
  }
  @inline(__always) var flags: UnsafeMutablePointer<UInt16> {
    (raw + Layout.flags).assumingMemoryBound(to: UInt16.self)
  }
  @inline(__always) func segment(_ offset: UInt16) -> UnsafeMutablePointer<SegmentState> {
    (raw + Int(offset)).assumingMemoryBound(to: SegmentState.self)
  }
  @inline(__always) func segment(_ name: Seg) -> UnsafeMutablePointer<SegmentState> {
    (raw + Int(name.rawValue)).assumingMemoryBound(to: SegmentState.self)
  }
  @inline(__always) var environment: Environment {
    s.pointee.environment._withUnsafeGuaranteedRef { $0 }
  }

  /// A register by its byte offset.
  @inline(__always) func get<W: Word>(_ offset: UInt8, _ type: W.Type = W.self) -> W {
    raw.load(fromByteOffset: Int(offset), as: W.self)
  }
  @inline(__always) func set<W: Word>(_ offset: UInt8, _ value: W) {
    if W.self == UInt32.self {
      raw.storeBytes(
        of: UInt64(truncatingIfNeeded: value), toByteOffset: Int(offset), as: UInt64.self)
    } else {
      raw.storeBytes(of: value, toByteOffset: Int(offset), as: W.self)
    }
  }
  /// A register by its number, whole.
  @inline(__always) subscript(_ number: Int) -> UInt64 {
    get { raw.load(fromByteOffset: (number & 31) * 8, as: UInt64.self) }
    nonmutating set {
      raw.storeBytes(of: newValue, toByteOffset: (number & 31) * 8, as: UInt64.self)
    }
  }
  @inline(__always) func get(_ offset: UInt8, size: UInt8) -> UInt64 {
    switch size {
    case 0: UInt64(get(offset, UInt8.self))
    case 1: UInt64(get(offset, UInt16.self))
    case 2: UInt64(get(offset, UInt32.self))
    default: get(offset, UInt64.self)
    }
  }
  @inline(__always) func set(_ offset: UInt8, size: UInt8, _ value: UInt64) {
    switch size {
    case 0: set(offset, UInt8(truncatingIfNeeded: value))
    case 1: set(offset, UInt16(truncatingIfNeeded: value))
    case 2: set(offset, UInt32(truncatingIfNeeded: value))
    default: set(offset, value)
    }
  }

  // MARK: Faults

  /// Records a fault without an error code.
  @inline(never) func fault(_ vector: UInt8) -> Int {
    s.pointee.faultVector = vector
    s.pointee.faultHasCode = false
    s.pointee.faultCode = 0
    return Next.fault
  }
  /// Records a fault with an error code.
  @inline(never) func fault(_ vector: UInt8, code: UInt32) -> Int {
    s.pointee.faultVector = vector
    s.pointee.faultHasCode = true
    s.pointee.faultCode = code
    return Next.fault
  }
  @inline(never) func protectionFault(_ code: UInt32 = 0) -> Int {
    fault(Vector.protection, code: code)
  }
  @inline(never) func undefined() -> Int { fault(Vector.undefined) }

  // MARK: Flags

  @inline(__always) var carry: Bool { flags.pointee & FlagWord.carry != 0 }
  @inline(__always) func setFlag(_ bit: UInt16, _ on: Bool) {
    if on { flags.pointee |= bit } else { flags.pointee &= ~bit }
  }

  /// RFLAGS as the guest sees it.
  var rflags: UInt64 {
    let f = UInt64(flags.pointee)
    return s.pointee.eflags | (f >> 8 & 0xD5) | (f & 1) << 11 | 2
  }

  /// Sets the arithmetic flags from an RFLAGS image.
  func setArithmeticFlags(_ image: UInt64) {
    flags.pointee = UInt16(truncatingIfNeeded: (image & 0xD5) << 8 | 0x200 | (image >> 11 & 1))
  }

  /// Sets all of RFLAGS.
  func setRFlags(_ image: UInt64) {
    setArithmeticFlags(image)
    let old = s.pointee.eflags
    s.pointee.eflags = image & 0x003F_7700
    if (old ^ image) & (RFlag.virtual8086 | RFlag.alignment) != 0 { modeChanged() }
    flagsChanged()
  }

  /// After a change of TF or IF: the loop has to look up.
  @inline(__always) func flagsChanged() {
    if s.pointee.eflags & RFlag.trap != 0 {
      s.pointee.slow |= Slow.singleStep
    } else {
      s.pointee.slow &= ~Slow.singleStep
    }
    if s.pointee.eflags & RFlag.interrupt != 0 { unpark() }
  }

  /// What waited for IF is looked at again.
  @inline(__always) func unpark() {
    s.pointee.slow |= s.pointee.parked
    s.pointee.parked = 0
  }

  /// The condition `code` of Jcc, SETcc and CMOVcc.
  @inline(__always) func condition(_ code: UInt8) -> Bool {
    let f = flags.pointee
    let result: Bool
    switch code >> 1 & 7 {
    case 0: result = f & 1 != 0
    case 1: result = f & FlagWord.carry != 0
    case 2: result = f & FlagWord.zero != 0
    case 3: result = f & (FlagWord.zero | FlagWord.carry) != 0
    case 4: result = f & FlagWord.sign != 0
    case 5: result = f & FlagWord.parity != 0
    case 6: result = (f >> 15 ^ f) & 1 != 0
    default: result = (f >> 15 ^ f) & 1 != 0 || f & FlagWord.zero != 0
    }
    return result != (code & 1 != 0)
  }
}

/// Segment registers by their offsets in the state, in the order of their numbers.
enum Seg: UInt16 {
  case es = 256
  case cs = 320
  case ss = 384
  case ds = 448
  case fs = 512
  case gs = 576
  /// No base and no limit: data segments of 64-bit mode, and system accesses.
  case flat = 640
  case ldt = 704
  case tr = 768
  /// Like ``flat``, for operands that would lie in SS: what is wrong with one is #SS.
  case flatStack = 832

  /// The segment register of number 0 to 5.
  static func offset(_ number: UInt8) -> UInt16 { 256 + UInt16(number) * 64 }
}

/// Bits of the flags as LAHF and SETO give them.
enum FlagWord {
  static let overflow: UInt16 = 1
  static let carry: UInt16 = 1 << 8
  static let parity: UInt16 = 1 << 10
  static let auxiliary: UInt16 = 1 << 12
  static let zero: UInt16 = 1 << 14
  static let sign: UInt16 = 1 << 15
}

/// Bits of RFLAGS that are kept beside the arithmetic ones (Intel SDM vol. 1, 3.4.3).
enum RFlag {
  static let trap: UInt64 = 1 << 8
  static let interrupt: UInt64 = 1 << 9
  static let direction: UInt64 = 1 << 10
  static let privilege: UInt64 = 3 << 12
  static let nested: UInt64 = 1 << 14
  static let resume: UInt64 = 1 << 16
  static let virtual8086: UInt64 = 1 << 17
  static let alignment: UInt64 = 1 << 18
  static let virtualInterrupt: UInt64 = 1 << 19
  static let virtualPending: UInt64 = 1 << 20
  static let identification: UInt64 = 1 << 21
}

/// Exception vectors (Intel SDM vol. 3, table 6-1).
enum Vector {
  static let divide: UInt8 = 0
  static let debug: UInt8 = 1
  static let nonMaskable: UInt8 = 2
  static let breakpoint: UInt8 = 3
  static let overflow: UInt8 = 4
  static let bound: UInt8 = 5
  static let undefined: UInt8 = 6
  static let deviceMissing: UInt8 = 7
  static let double: UInt8 = 8
  static let taskState: UInt8 = 10
  static let notPresent: UInt8 = 11
  static let stack: UInt8 = 12
  static let protection: UInt8 = 13
  static let page: UInt8 = 14
  static let floatingPoint: UInt8 = 16
  static let alignment: UInt8 = 17
  static let vector: UInt8 = 19
}

/// Bits of CR0, CR4 and EFER.
enum Bits {
  static let pe: UInt64 = 1 << 0
  static let mp: UInt64 = 1 << 1
  static let em: UInt64 = 1 << 2
  static let ts: UInt64 = 1 << 3
  static let ne: UInt64 = 1 << 5
  static let wp: UInt64 = 1 << 16
  static let am: UInt64 = 1 << 18
  static let pg: UInt64 = 1 << 31
  static let vme: UInt64 = 1 << 0
  static let pvi: UInt64 = 1 << 1
  static let tsd: UInt64 = 1 << 2
  static let de: UInt64 = 1 << 3
  static let pse: UInt64 = 1 << 4
  static let pae: UInt64 = 1 << 5
  static let pce: UInt64 = 1 << 8
  static let osfxsr: UInt64 = 1 << 9
  static let osxmmexcpt: UInt64 = 1 << 10
  static let umip: UInt64 = 1 << 11
  static let pge: UInt64 = 1 << 7
  static let fsgsbase: UInt64 = 1 << 16
  static let pcide: UInt64 = 1 << 17
  static let osxsave: UInt64 = 1 << 18
  static let smep: UInt64 = 1 << 20
  static let smap: UInt64 = 1 << 21
  static let sce: UInt64 = 1 << 0
  static let lme: UInt64 = 1 << 8
  static let lma: UInt64 = 1 << 10
  static let nxe: UInt64 = 1 << 11
}

extension UnsafeMutableRawPointer {
  @inline(__always) var op: OpRef { assumingMemoryBound(to: Op.self) }
}
