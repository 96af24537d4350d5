import CInterpreter
import CKVM
import Glibc
import KVMEngine
import Synchronization

/// A processor in software: every mode of x86, on any host.
///
/// It decodes guest code to blocks of operations and runs those; pages that hold decoded code are
/// marked so that whoever writes to them makes the blocks stale. Vector and floating-point
/// instructions run on the host's own processor with the guest's state.
///
/// Not modelled, and not offered by CPUID: AVX-512, supervisor state in XSAVE, protection keys,
/// performance counters, machine checks, SMM. MONITOR and MWAIT are there, but ``HostCPUID`` does not
/// offer them: a system would wait by them in place of HLT, which wakes by itself.
public final class InterpretedProcessor: Processor, @unchecked Sendable {
  // SAFETY: everything but `requestExit`, `raiseInterrupt` and `attention` is confined to the
  // vCPU's thread. `memory` lives from init to deinit and all of `cpu` lies in it.
  private let storage: UnsafeMutableRawPointer
  let cpu: CPU
  let environment: Environment
  private let attention = AttentionWord()
  /// The processor sleeps or is in the user engine: only a signal makes it look up.
  private let isOutside = Atomic<Bool>(false)
  private var thread = pthread_self()
  var isHalted = false
  private var isWaitingForStartup = false
  /// A state was taken over whose next event was a triple fault.
  var isShutDown = false

  /// The vCPU's number, 0 for the one that boots.
  public let index: Int
  /// Who is told when the processor sleeps; given once before it runs.
  public var guestActivity: GuestActivity?
  private var isResting = false
  /// Whether HLT waits for the next interrupt in ``run()``; else ``run()`` says `.halted`.
  public var sleepsWhenHalted = true

  /// Makes vCPU `index`. Ports and memory are those of the machine.
  public init(index: Int, ports: PortBus, memory: AddressSpace) {
    self.index = index
    environment = Environment(ports: ports, memory: memory)
    storage = .allocate(byteCount: Layout.total, alignment: 4096)
    storage.initializeMemory(as: UInt8.self, repeating: 0, count: Layout.total)
    cpu = CPU(raw: storage)
    cpu.s.initialize(
      to: CPUState(
        tlb: storage + Layout.tlb, environment: .passUnretained(environment),
        attention: attention.word))
    // No tag that a page has, and no device bits that count without one.
    (storage + Layout.emptySet).initializeMemory(
      as: UInt8.self, repeating: 1, count: Layout.tlbEntries * 32)
    memory.watchPages(attention)
    reset()
  }

  deinit { storage.deallocate() }

  public func attachToCurrentThread() {
    thread = pthread_self()
    // The kick signal's handler stores to the byte of the attention word that asks for an exit.
    ckvm_set_exit_flag(
      UnsafeMutableRawPointer(attention.word).assumingMemoryBound(to: UInt8.self) + 1)
  }

  // MARK: Running

  public func run() -> ProcessorExit {
    if isShutDown { return .shutdown }
    if isHalted {
      if let exit = waitForWork() { return exit }
    }
    while true {
      if isResting {
        isResting = false
        guestActivity?.stir()
      }
      switch executeAll() {
      case .failed: return .failed(environment.userEngine?.failure ?? "")
      case .kicked, .none, .user: return .kicked
      case .window: return .interruptWindow
      case .firmwareTrap: return .firmwareTrap
      case .backdoor: return .backdoor
      case .shutdown: return .shutdown
      case .initialize:
        _ = takesInit()
        if isHalted, let exit = waitForWork() { return exit }
      case .halted:
        isHalted = true
        if let exit = waitForWork() { return exit }
      }
    }
  }

  /// Runs guest code here and in the user engine until something outside is needed.
  private func executeAll() -> Leave {
    while true {
      guard let engine = environment.userEngine else { return cpu.execute() }
      engine.isInterpreting.store(true, ordering: .sequentiallyConsistent)
      let leave = cpu.execute()
      engine.isInterpreting.store(false, ordering: .sequentiallyConsistent)
      guard leave == .user else { return leave }
      isOutside.store(true, ordering: .sequentiallyConsistent)
      let result = engine.run(cpu)
      isOutside.store(false, ordering: .sequentiallyConsistent)
      if result != .none { return result }
    }
  }

  /// Has 64-bit user code run in KVM from now on. Once, before the processor runs.
  func attach(to machine: HybridMachine) throws(HostError) {
    environment.userEngine = try UserEngine(
      machine, index: index, memory: environment.memory, attention: attention)
    reset()
  }

  /// Sleeps until something may wake the processor; nil: it is awake.
  private func waitForWork() -> ProcessorExit? {
    var patience = cpu.s.pointee.watched.isWaiting ? WatchedLine.shortestWait : 0
    while true {
      // Taken before the look at what it stands for: what comes after the look ends the sleep.
      if attention.take(Attention.interrupt) != 0 { cpu.s.pointee.slow |= Slow.pendingInterrupt }
      if cpu.s.pointee.injected >= 0 && !isWaitingForStartup {
        isHalted = false
        return nil
      }
      let bits = attention.word.pointee.load(ordering: .sequentiallyConsistent)
      if bits & Attention.exit != 0 { return .kicked }
      if takesInit() { continue }
      if isWaitingForStartup {
        if let page = environment.localAPIC?.takeStartup() {
          start(at: page)
          return nil
        }
      } else if hasLocalInterrupt || isWatchOver {
        isHalted = false
        cpu.s.pointee.slow |= Slow.pendingInterrupt
        return nil
      }
      if cpu.s.pointee.wantsWindow && canAcceptInterrupt { return .interruptWindow }
      guard sleepsWhenHalted else { return .halted }
      if !isResting {
        isResting = true
        guestActivity?.rest()
      }
      isOutside.store(true, ordering: .sequentiallyConsistent)
      ci_sleep(
        UnsafeMutableRawPointer(attention.word).assumingMemoryBound(to: UInt32.self),
        Attention.exit | Attention.interrupt, patience)
      patience = min(2 * patience, WatchedLine.longestWait)
      isOutside.store(false, ordering: .sequentiallyConsistent)
    }
  }

  /// Whether the local APIC has what ends HLT.
  private var hasLocalInterrupt: Bool {
    guard let local = environment.localAPIC else { return false }
    let events = local.pendingEvents
    if events.contains(.nonMaskable) && !cpu.s.pointee.blocksNMI { return true }
    return events.contains(.interrupt) && (cpu.s.pointee.eflags & RFlag.interrupt != 0 || isOpen)
  }

  /// MWAIT ends by interrupts although they are masked.
  private var isOpen: Bool {
    cpu.s.pointee.watched.isWaiting && cpu.s.pointee.watched.endsByMasked
  }

  /// Whether MWAIT ends for another reason than an interrupt that may be delivered.
  private var isWatchOver: Bool {
    guard cpu.s.pointee.watched.isWaiting else { return false }
    return !sleepsWhenHalted || cpu.isWatchedLineChanged || isOpen && cpu.s.pointee.wantsWindow
  }

  /// Takes an INIT: the state after it is that after RESET#, but for the caches and the FPU. All
  /// processors but the one that boots then wait for a start-up message.
  private func takesInit() -> Bool {
    guard let local = environment.localAPIC, local.pendingEvents.contains(.initialize),
      local.takeInit()
    else { return false }
    let (counterOffset, anchor) = (cpu.s.pointee.tscOffset, cpu.s.pointee.clockAnchor)
    reset()
    cpu.s.pointee.tscOffset = counterOffset
    cpu.s.pointee.clockAnchor = anchor
    environment.timestampCounter.offset = counterOffset
    isWaitingForStartup = local.waitsForStartup
    isHalted = isWaitingForStartup
    return true
  }

  /// Begins at the page of a start-up message (Intel SDM vol. 3, 9.4.4).
  private func start(at page: UInt8) {
    isWaitingForStartup = false
    isHalted = false
    cpu.segment(.cs).pointee.selector = UInt16(page) << 8
    cpu.segment(.cs).pointee.hiddenBase = UInt64(page) << 12
    cpu.s.pointee.rip = 0
    cpu.modeChanged()
  }

  /// What the processor does between two instructions.
  var activity: ProcessorState.Activity {
    get {
      if isWaitingForStartup { return .waitingForStartup }
      // MWAIT may end for no reason.
      return isHalted && !cpu.s.pointee.watched.isWaiting ? .halted : .running
    }
    set {
      isWaitingForStartup = newValue == .waitingForStartup
      isHalted = newValue != .running
    }
  }

  /// Takes INIT and start-up messages that wait, so that no state needs them.
  func takeMessages() {
    _ = takesInit()
    if isWaitingForStartup, let page = environment.localAPIC?.takeStartup() { start(at: page) }
  }

  public func requestExit() { wake(Attention.exit) }

  public func beginRun() { _ = attention.take(Attention.exit) }

  public func cancelRun() { _ = attention.take(Attention.exit) }

  private func wake(_ bits: UInt32) {
    attention.raise(bits)
    if isOutside.load(ordering: .sequentiallyConsistent) { _ = ckvm_send_kick(thread) }
  }

  // MARK: Interrupts

  public var canAcceptInterrupt: Bool {
    cpu.s.pointee.eflags & RFlag.interrupt != 0 && cpu.s.pointee.slow & Slow.shadow == 0
      && cpu.s.pointee.injected < 0
      && environment.localAPIC?.externalInterruptAllowed != false
  }

  public var requestInterruptWindow: Bool {
    get { cpu.s.pointee.wantsWindow }
    set {
      cpu.s.pointee.wantsWindow = newValue
      cpu.s.pointee.parked &= ~Slow.window
      if newValue { cpu.s.pointee.slow |= Slow.window } else { cpu.s.pointee.slow &= ~Slow.window }
    }
  }

  public func injectInterrupt(_ vector: UInt8) {
    cpu.s.pointee.injected = Int(vector)
    cpu.s.pointee.slow |= Slow.injected
  }

  /// The local APIC of this processor, given once before it runs; nil: only the 8259 interrupts.
  /// Its MSRs, its page, CR8, interrupts, NMI, INIT and start-up messages work from then on.
  public var localAPIC: LocalAPIC? {
    get { environment.localAPIC }
    set {
      environment.localAPIC = newValue
      newValue?.connect { [weak self] in self?.wake(Attention.interrupt) }
    }
  }
  /// The guest's time-stamp counter.
  public var timestampCounter: GuestTimestampCounter { environment.timestampCounter }
  /// Bits of a guest-physical address, as CPUID tells them: what emulated PCs usually have. UEFI
  /// firmware maps all of it where there are more.
  public static let physicalAddressBits: UInt64 = 40
  /// What CPUID answers to a leaf and a subleaf. ``HostCPUID`` by default.
  public var cpuid: (UInt32, UInt32) -> CPUIDResult {
    get { environment.cpuid }
    set { environment.cpuid = newValue }
  }
  /// Whether the machine has other processors: one that spins then lends its host's processor to
  /// them now and then. False at first.
  public var hasSiblings: Bool {
    get { environment.hasSiblings }
    set { environment.hasSiblings = newValue }
  }
  /// How many instructions were run, at most: counted by whole blocks.
  public var executedInstructions: UInt64 { cpu.s.pointee.executed }

  /// Whether user code that KVM can run is interpreted first, as long as it is short. True unless
  /// somebody measures.
  public var triesUserCode: Bool {
    get { environment.triesUserCode }
    set {
      environment.triesUserCode = newValue
      cpu.s.pointee.userShare.isUseful = newValue && UserShare.isSafe
    }
  }

  /// How often code is run before it is translated to the host's, at most 65,535; nil for never. For
  /// code that is met from now on.
  public var translationThreshold: UInt16? {
    get { environment.translated.threshold }
    set { environment.translated.threshold = newValue }
  }

  /// How often the user engine was entered.
  var userEntries: UInt64 { environment.userEngine?.entries ?? 0 }

  /// Runs at most `count` instructions, one by one; for tests.
  public func run(instructions count: Int) -> ProcessorExit {
    cpu.s.pointee.budget = Int64(count)
    cpu.s.pointee.slow |= Slow.budget
    defer { cpu.s.pointee.slow &= ~Slow.budget }
    switch cpu.execute() {
    case .kicked, .none, .initialize, .user, .failed: return .kicked
    case .window: return .interruptWindow
    case .firmwareTrap: return .firmwareTrap
    case .backdoor: return .backdoor
    case .shutdown: return .shutdown
    case .halted: return .halted
    }
  }

  public func reset() {
    for number in 0..<24 { cpu[number] = 0 }
    // The family and model, as after RESET#.
    cpu[2] = UInt64(HostCPUID.result(1, 0).eax)
    cpu.s.pointee = CPUState(
      tlb: storage + Layout.tlb, generation: cpu.s.pointee.generation &+ 1,
      worldCount: cpu.s.pointee.worldCount, environment: .passUnretained(environment),
      attention: attention.word)
    environment.timestampCounter.offset = 0
    cpu.s.pointee.hasUserEngine = environment.userEngine != nil
    cpu.s.pointee.userShare.isUseful = environment.triesUserCode && UserShare.isSafe
    cpu.flags.pointee = 0x200
    for number in UInt8(0)..<10 {
      cpu.segment(Seg.offset(number)).initialize(to: SegmentState())
    }
    for flat in [Seg.flat, .flatStack] {
      cpu.segment(flat).pointee.readLimit = .max
      cpu.segment(flat).pointee.writeLimit = .max
      cpu.segment(flat).pointee.limit = .max
    }
    cpu.segment(.cs).pointee.selector = 0xF000
    cpu.segment(.cs).pointee.hiddenBase = 0xFFFF_0000
    cpu.segment(.ldt).pointee.rights = 0x82
    cpu.segment(.tr).pointee.rights = 0x8B
    if index == 0 { cpu.s.pointee.apicBase |= 0x100 } else { cpu.s.pointee.apicBase &= ~0x100 }
    cpu.resetFPU()
    cpu.resetRanges()
    isWaitingForStartup = environment.localAPIC?.waitsForStartup ?? (index != 0)
    isHalted = isWaitingForStartup
    isShutDown = false
    cpu.flushPhysical()
    cpu.flushTLB()
    cpu.modeChanged()
  }
}
