import CInterpreter
import CKVM
import Glibc
import KVMEngine
import Synchronization

/// Runs 64-bit user code in KVM on behalf of the interpreter.
///
/// KVM is entered in ring 3 with an interrupt descriptor table of no length: whatever raises the
/// privilege (a fault, a trap, SYSCALL, INT n) ends in a shutdown exit with the registers as they
/// were and the vector and error code in the vCPU's events (Linux, Documentation/virt/kvm/api.rst,
/// KVM_GET_VCPU_EVENTS). Page faults are delivered by the interpreter as they came; everything else
/// is one instruction that the interpreter executes itself, so that what an instruction does is
/// written once.
final class UserEngine: @unchecked Sendable {
  // SAFETY: confined to the vCPU's thread.
  let core: BareVirtualCPU
  let machine: HybridMachine
  let memory: AddressSpace
  /// The processor's word, for the others of the machine.
  let attention: AttentionWord
  /// Whether the interpreter executes at the moment.
  let isInterpreting = Atomic<Bool>(false)
  /// The page-table root with which the processor is in KVM, or about to be; all ones: it is not.
  let activeRoot = Atomic<UInt64>(.max)
  private var readiness = ShadowedTables.Readiness()
  /// What KVM was given last of what seldom changes.
  private var given = Lent()
  /// The XSAVE image that travels between the two sides, 4096 bytes.
  let vectors: UnsafeMutableRawPointer
  /// What the guest's system does not know of its images, by their linear addresses.
  var hiddenImages: [UInt64: HiddenImage] = [:]
  /// The last page fault, which is looked at more closely if it comes again at once.
  var lastFault = PageFault()
  /// How often user code was entered.
  var entries: UInt64 = 0
  /// Why the host failed, as a sentence.
  var failure = ""
  private let runRequest = ckvm_request_number(CKVM_RUN)

  /// What is written to KVM only when it differs.
  private struct Lent: Equatable {
    var cr3: UInt64 = .max
    var efer: UInt64 = 0
    var fsBase: UInt64 = 0
    var gsBase: UInt64 = 0
  }

  struct PageFault: Equatable {
    var rip: UInt64 = 0
    var address: UInt64 = 0
    var code: UInt32 = 0
  }

  /// Where SYSCALL leads in KVM: a page that no user may have, so that it faults at once.
  static let systemCallTarget: UInt64 = 0xFFFF_FFFF_FFFF_F000
  private static let synced = UInt64(
    KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS)
  static let vectorBytes = 4096

  init(
    _ machine: HybridMachine, index: Int, memory: AddressSpace, attention: AttentionWord
  ) throws(HostError) {
    self.machine = machine
    self.memory = memory
    self.attention = attention
    guard machine.hypervisor.system.value(of: .syncRegisters) & 7 == 7 else {
      throw HostError(
        "run user code in KVM: this host's KVM lacks KVM_CAP_SYNC_REGS",
        advice: "use --engine software")
    }
    core = try BareVirtualCPU(machine.hypervisor, index: index)
    vectors = .allocate(byteCount: Self.vectorBytes, alignment: 64)
    vectors.initializeMemory(as: UInt8.self, repeating: 0, count: Self.vectorBytes)
    settle()
    try prepare()
    machine.add(self)
  }

  deinit { vectors.deallocate() }

  /// Flat segments, paging, no handlers; SYSCALL to its page.
  private func prepare() throws(HostError) {
    var sregs = kvm_sregs()
    try core.get(CKVM_GET_SREGS, &sregs)
    sregs.cs = Self.segment(selector: 0x33, type: 11, isLong: true)
    sregs.ss = Self.segment(selector: 0x2B, type: 3, isLong: false)
    (sregs.ds, sregs.es, sregs.fs, sregs.gs) = (sregs.ss, sregs.ss, sregs.ss, sregs.ss)
    // A task state segment too short for an I/O bitmap: port accesses are faults.
    sregs.tr = Self.segment(selector: 0x40, type: 11, isLong: false)
    sregs.tr.s = 0
    sregs.tr.dpl = 0
    sregs.tr.limit = 0
    sregs.tr.g = 0
    sregs.ldt.unusable = 1
    sregs.idt.limit = 0
    sregs.idt.base = 0
    sregs.gdt.limit = 0
    sregs.cr0 = Bits.pg | Bits.wp | Bits.ne | Bits.mp | Bits.pe | 0x10
    sregs.cr4 = Bits.pae | Bits.osfxsr | Bits.osxmmexcpt
    sregs.efer = Bits.lme | Bits.lma | Bits.sce
    template = sregs
    for register in [
      (UInt32(0xC000_0081), UInt64(0x23) << 48 | 0x10 << 32),
      (0xC000_0082, Self.systemCallTarget), (0xC000_0084, 0),
    ] {
      let result = ckvm_set_msr(core.number, register.0, register.1)
      guard result >= 0 else { throw HostError("set up SYSCALL in KVM", code: -result) }
    }
    let result = ckvm_ioctl_pointer(core.number, ckvm_request_number(CKVM_GET_XSAVE), vectors)
    guard result >= 0 else { throw HostError("read the vector registers of KVM", code: -result) }
    core.shared.pointee.kvm_valid_regs = Self.synced
  }
  private var template = kvm_sregs()

  private static func segment(selector: UInt16, type: UInt8, isLong: Bool) -> kvm_segment {
    var result = kvm_segment()
    result.selector = selector
    result.limit = 0xFFFF_FFFF
    result.type = type
    result.s = 1
    result.dpl = 3
    result.present = 1
    result.db = isLong ? 0 : 1
    result.l = isLong ? 1 : 0
    result.g = 1
    return result
  }

  /// Gets what KVM still has to finish of the last exit behind us, without running guest code.
  /// - Returns: 0 where there is one more exit to serve, else -EINTR.
  @discardableResult
  func settle() -> Int32 {
    ckvm_set_immediate_exit(core.shared, 1)
    defer { ckvm_set_immediate_exit(core.shared, 0) }
    return ckvm_ioctl(core.number, runRequest, 0)
  }

  // MARK: Running

  /// Runs user code from the interpreter's state on, until it needs the interpreter, which has the
  /// state again then.
  /// - Returns: `.none` to go on there.
  func run(_ cpu: CPU) -> Leave {
    let root = cpu.s.pointee.cr3 & PageEntry.frame
    activeRoot.store(root, ordering: .sequentiallyConsistent)
    defer { activeRoot.store(.max, ordering: .sequentiallyConsistent) }
    if !machine.tables.isReady(root, readiness), let leave = prepareTables(root, cpu) {
      return leave
    }
    if cpu.s.pointee.fpuPlace == .here, let leave = lendVectors(cpu) { return leave }
    let begin = ci_rdtsc()
    guard let result = enter(cpu) else { return .none }
    cpu.s.pointee.userShare.stayed(ci_rdtsc() &- begin)
    guard result >= 0 || result == -EINTR || result == -EAGAIN else {
      return fail(HostError("run user code in KVM", code: -result).description)
    }
    machine.userRuns.add(1, ordering: .sequentiallyConsistent)
    cpu.s.pointee.fpuPlace = .away
    if cpu.s.pointee.decodesUserPages { cpu.newGeneration() }
    takeBack(cpu)
    return result < 0 ? leaveForSignal(cpu) : serve(cpu)
  }

  /// Enters KVM, unless there is something to look at first.
  /// - Returns: KVM_RUN's result.
  private func enter(_ cpu: CPU) -> Int32? {
    let shared = core.shared
    let word = attention.word
    // A kick from now on is seen by KVM; one before, by the look that follows.
    ckvm_set_exit_flag(ckvm_exit_flag(shared))
    defer {
      ckvm_set_exit_flag(UnsafeMutableRawPointer(word).assumingMemoryBound(to: UInt8.self) + 1)
      if shared.pointee.immediate_exit != 0 {
        ckvm_set_immediate_exit(shared, 0)
        attention.raise(Attention.exit)
      }
    }
    guard word.pointee.load(ordering: .sequentiallyConsistent) == 0 else { return nil }
    lend(cpu)
    entries &+= 1
    return ckvm_ioctl(core.number, runRequest, 0)
  }

  func fail(_ sentence: String) -> Leave {
    failure = sentence
    return .failed
  }

  /// Has KVM forget what the interpreter changed in the guest's page tables.
  private func prepareTables(_ root: UInt64, _ cpu: CPU) -> Leave? {
    let ready = machine.tables.prepare(
      root, cpu, activeRoots: { machine.activeRoots }, forget: forget,
      settle: {
        cpu.dropDirectWrites()
        machine.settle(but: self)
      })
    guard let ready else { return .failed }
    readiness = ready
    return nil
  }

  private func forget(_ change: ShadowedTables.Change) -> Bool {
    if case .entries(let entries) = change {
      given.cr3 = .max
      core.shared.pointee.kvm_dirty_regs = forgetException()
      if machine.forgetter.forget(entries, core, template) { return true }
    }
    do { try machine.forgetAll() } catch {
      failure = error.description
      return false
    }
    return true
  }

  // MARK: State

  /// Gives KVM the registers.
  private func lend(_ cpu: CPU) {
    let s = cpu.s
    let shared = core.shared
    ckvm_sync_regs(shared).pointee = kvm_regs(
      rax: cpu[0], rbx: cpu[3], rcx: cpu[1], rdx: cpu[2], rsi: cpu[6], rdi: cpu[7], rsp: cpu[4],
      rbp: cpu[5], r8: cpu[8], r9: cpu[9], r10: cpu[10], r11: cpu[11], r12: cpu[12],
      r13: cpu[13], r14: cpu[14], r15: cpu[15], rip: s.pointee.rip,
      rflags: cpu.rflags & ~(RFlag.privilege | RFlag.virtualInterrupt | RFlag.virtualPending)
        | RFlag.interrupt)
    var dirty = UInt64(KVM_SYNC_X86_REGS)
    let now = Lent(
      cr3: s.pointee.cr3, efer: s.pointee.efer & Bits.nxe,
      fsBase: cpu.segment(.fs).pointee.hiddenBase, gsBase: cpu.segment(.gs).pointee.hiddenBase)
    if now != given {
      given = now
      template.cr3 = now.cr3 & ~0xFFF
      template.efer = Bits.lme | Bits.lma | Bits.sce | now.efer
      template.fs.base = now.fsBase
      template.gs.base = now.gsBase
      ckvm_sync_sregs(shared).pointee = template
      dirty |= UInt64(KVM_SYNC_X86_SREGS)
    }
    shared.pointee.kvm_dirty_regs = dirty | forgetException()
  }

  /// Takes back what KVM had found but not reported when a signal made it leave: it is the last
  /// code's, and served. Of INT 3 KVM tells the number only, and keeps telling it, so that is wiped
  /// out, too: when it is seen again, it is a new one.
  /// - Returns: what KVM has to read of the shared page.
  private func forgetException() -> UInt64 {
    guard let events = ckvm_sync_events(core.shared) else { return 0 }
    let exception = events.pointee.exception
    let isKnown =
      exception.injected | exception.pending | events.pointee.triple_fault.pending != 0
      || exception.nr == Vector.breakpoint
    guard isKnown else { return 0 }
    events.pointee.exception.injected = 0
    events.pointee.exception.pending = 0
    events.pointee.exception.nr = 0
    events.pointee.triple_fault.pending = 0
    return UInt64(KVM_SYNC_X86_EVENTS)
  }

  /// Takes the registers back.
  func takeBack(_ cpu: CPU) {
    let s = cpu.s
    guard let regs = ckvm_sync_regs(core.shared), let sregs = ckvm_sync_sregs(core.shared) else {
      return
    }
    cpu[0] = regs.pointee.rax
    cpu[1] = regs.pointee.rcx
    cpu[2] = regs.pointee.rdx
    cpu[3] = regs.pointee.rbx
    cpu[4] = regs.pointee.rsp
    cpu[5] = regs.pointee.rbp
    cpu[6] = regs.pointee.rsi
    cpu[7] = regs.pointee.rdi
    cpu[8] = regs.pointee.r8
    cpu[9] = regs.pointee.r9
    cpu[10] = regs.pointee.r10
    cpu[11] = regs.pointee.r11
    cpu[12] = regs.pointee.r12
    cpu[13] = regs.pointee.r13
    cpu[14] = regs.pointee.r14
    cpu[15] = regs.pointee.r15
    s.pointee.rip = regs.pointee.rip
    takeBackFlags(cpu, regs.pointee.rflags)
    if sregs.pointee.fs.base != given.fsBase {
      given.fsBase = sregs.pointee.fs.base
      takeBackBase(cpu, .fs, given.fsBase)
    }
    if sregs.pointee.gs.base != given.gsBase {
      given.gsBase = sregs.pointee.gs.base
      takeBackBase(cpu, .gs, given.gsBase)
    }
  }

  /// Takes what user code may change of RFLAGS.
  func takeBackFlags(_ cpu: CPU, _ image: UInt64) {
    let mask =
      RFlag.trap | RFlag.direction | RFlag.nested | RFlag.alignment | RFlag.identification
    let old = cpu.s.pointee.eflags
    let new = old & ~(mask | RFlag.resume) | image & mask
    cpu.setArithmeticFlags(image)
    guard new != old else { return }
    cpu.s.pointee.eflags = new
    if (old ^ new) & RFlag.alignment != 0 { cpu.modeChanged() }
    cpu.flagsChanged()
  }

  private func takeBackBase(_ cpu: CPU, _ seg: Seg, _ base: UInt64) {
    cpu.segment(seg).pointee.hiddenBase = base
    cpu.updateSegment(seg.rawValue)
  }
}
