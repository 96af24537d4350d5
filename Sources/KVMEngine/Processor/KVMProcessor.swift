import CKVM
import Glibc
import Synchronization

/// A vCPU of KVM.
///
/// Its shared page (`struct kvm_run`) carries exits and, where the host can, registers: then a
/// firmware service costs no ioctl (KVM_CAP_SYNC_REGS).
public final class KVMProcessor: Processor, @unchecked Sendable {
  // SAFETY: everything but `requestExit` is confined to the vCPU's thread. `shared` maps
  // `sharedBytes` bytes from init to deinit. `thread` is written before `insideRun` is first true,
  // and read only while it is.
  let machine: KVMVirtualMachine
  let descriptor: Descriptor
  let shared: UnsafeMutablePointer<kvm_run>
  private let sharedBytes: Int
  private let ports: PortBus
  private let memory: AddressSpace
  let insideRun = Atomic<Bool>(false)
  private var thread = pthread_self()
  private let powerOn: KVMProcessorState
  /// What KVM leaves to us where it has no local APICs.
  var local: LocalInterrupts?
  /// Who is told when the processor sleeps, where KVM leaves that to us; given once before it runs.
  public var guestActivity: GuestActivity?
  private var wantsWindow = false
  private let runRequest = ckvm_request_number(CKVM_RUN)
  private let canSyncRegisters: Bool
  /// How many more exits registers are kept in the shared page. They cost a little on every exit
  /// and save four ioctls on a firmware trap, so they stay on while such traps keep coming.
  private var syncedExits = 0
  private static let syncedExitsAfterTrap = 256
  /// The vector last handed to KVM, which may still hold it.
  var lastInjected: UInt8 = 0

  /// The vCPU's number, 0 for the one that boots; its APIC ID.
  public let index: Int

  /// Makes vCPU `index` of `machine`.
  /// - Parameters:
  ///   - processors: how many the machine has, for CPUID.
  ///   - model: what CPUID tells of what the host has.
  public init(
    _ machine: KVMVirtualMachine, index: Int, processors: Int, model: CPUModel = .host,
    ports: PortBus, memory: AddressSpace
  ) throws(HostError) {
    self.machine = machine
    self.index = index
    self.ports = ports
    self.memory = memory
    let vm = machine.descriptor.number
    let fd = ckvm_ioctl(vm, ckvm_request_number(CKVM_CREATE_VCPU), UInt(index))
    guard fd >= 0 else { throw HostError("make vCPU \(index)", code: -fd) }
    descriptor = Descriptor(owning: fd)
    sharedBytes = try machine.system.sharedPageBytes()
    let address = mmap(nil, sharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
    guard let address, address != MAP_FAILED else {
      throw HostError("map the page of vCPU \(index)", code: errno)
    }
    shared = address.bindMemory(to: kvm_run.self, capacity: 1)
    canSyncRegisters = machine.system.value(of: .syncRegisters) & 3 == 3
    let leaves = try GuestCPUID.leaves(
      machine.system, index: index, processors: processors, model: model,
      hasLocalAPIC: machine.localAPICs != .none)
    let result = ckvm_set_cpuid(fd, leaves, UInt32(leaves.count))
    guard result >= 0 else { throw HostError("set the CPUID of vCPU \(index)", code: -result) }
    powerOn = try KVMProcessorState(
      reading: fd, hasLocalAPIC: machine.localAPICs != .none)
  }

  deinit { munmap(shared, sharedBytes) }

  /// Makes kicks work in this process. Once, before a vCPU runs.
  public static func installKickHandler() throws(HostError) {
    let code = ckvm_install_kick_handler()
    guard code >= 0 else { throw HostError("install the kick signal's handler", code: -code) }
  }

  public func attachToCurrentThread() {
    thread = pthread_self()
    ckvm_set_exit_flag(ckvm_exit_flag(shared))
  }

  // MARK: Running

  public func run() -> ProcessorExit {
    if syncedExits > 0 || areSynced { chooseSynced() }
    if local != nil, !prepareEntry() {
      insideRun.store(false, ordering: .relaxed)
      return .kicked
    }
    let result = ckvm_ioctl(descriptor.number, runRequest, 0)
    insideRun.store(false, ordering: .relaxed)
    if local != nil { finishEntry() }
    guard result >= 0 else { return exit(forError: -result) }
    switch Int32(bitPattern: shared.pointee.exit_reason) {
    case KVM_EXIT_IO: return servePort()
    case KVM_EXIT_MMIO: return serveMemory()
    case KVM_EXIT_IRQ_WINDOW_OPEN: return .interruptWindow
    case KVM_EXIT_INTR: return .kicked
    case KVM_EXIT_HLT:
      guard local != nil else { return .halted }
      local?.isHalted = true
      return .served
    case KVM_EXIT_SET_TPR: return .served
    case KVM_EXIT_IOAPIC_EOI: return .endOfInterrupt(vector: ckvm_eoi_vector(shared))
    case KVM_EXIT_SHUTDOWN: return shutdownOrUnsupported()
    case KVM_EXIT_INTERNAL_ERROR: return internalError()
    case KVM_EXIT_FAIL_ENTRY:
      let reason = String(ckvm_hardware_entry_failure(shared), radix: 16)
      return .failed("the host's processor refused to enter the guest (reason 0x\(reason))")
    case let reason:
      return .failed("KVM came back for a reason that is not known here (\(reason))")
    }
  }

  /// Enters the guest `count` times and looks at nothing: the floor that benchmarks compare with.
  /// - Returns: nanoseconds for all of them.
  public func timeBareRuns(_ count: UInt64) -> UInt64 {
    let start = Monitor.monotonic()
    for _ in 0..<count { _ = ckvm_ioctl(descriptor.number, runRequest, 0) }
    return Monitor.monotonic() - start
  }

  private func exit(forError code: Int32) -> ProcessorExit {
    // EAGAIN: an application processor that was just woken by INIT or SIPI.
    if code == EINTR || code == EAGAIN { return .kicked }
    return .failed(HostError("run vCPU \(index)", code: code).description)
  }

  public func requestExit() {
    guard insideRun.load(ordering: .sequentiallyConsistent) else { return }
    ckvm_set_immediate_exit(shared, 1)
    _ = ckvm_send_kick(thread)
  }

  public func beginRun() {
    ckvm_set_immediate_exit(shared, 0)
    insideRun.store(true, ordering: .sequentiallyConsistent)
  }

  public func cancelRun() { insideRun.store(false, ordering: .relaxed) }

  // MARK: Ports and device memory

  private func servePort() -> ProcessorExit {
    let io = ckvm_io(shared)
    guard let data = io.data, let width = AccessWidth(rawValue: io.size) else { return .served }
    if io.direction == KVM_EXIT_IO_OUT {
      if io.port == FirmwareTrap.port && isInFirmware() {
        syncedExits = Self.syncedExitsAfterTrap
        return .firmwareTrap
      }
      for index in 0..<Int(io.count) {
        let value = Self.load(data + index * width.bytes, width)
        ports.write(io.port, width: width, value: UInt32(truncatingIfNeeded: value))
      }
    } else {
      if io.port == VMwareBackdoor.port && width == .dword && io.count == 1 { return .backdoor }
      for index in 0..<Int(io.count) {
        Self.store(
          UInt64(ports.read(io.port, width: width)), to: data + index * width.bytes, width)
      }
    }
    return .served
  }

  private func serveMemory() -> ProcessorExit {
    let address = ckvm_mmio_address(shared)
    guard let data = ckvm_mmio_data(shared) else { return .served }
    let length = Int(ckvm_mmio_length(shared))
    if let chip = local?.chip, address & ~0xFFF == chip.registerPage {
      return serveLocalAPIC(chip, address & 0xFFF, data, length)
    }
    if let width = AccessWidth(rawValue: UInt8(truncatingIfNeeded: length)) {
      if ckvm_mmio_is_write(shared) {
        memory.bus.write(address, width: width, value: Self.load(data, width))
      } else {
        Self.store(memory.bus.read(address, width: width), to: data, width)
      }
    } else {
      serveOddMemory(address, data, length: min(length, 8))
    }
    return .served
  }

  /// The page of the local APIC, where that is ours.
  private func serveLocalAPIC(
    _ chip: LocalAPIC, _ offset: UInt64, _ data: UnsafeMutableRawPointer, _ length: Int
  ) -> ProcessorExit {
    guard let width = AccessWidth(rawValue: UInt8(truncatingIfNeeded: length)) else {
      return .served
    }
    if ckvm_mmio_is_write(shared) {
      chip.writeMemory(offset, width: width, value: Self.load(data, width))
    } else {
      Self.store(chip.readMemory(offset, width: width), to: data, width)
    }
    return .served
  }

  /// 3, 5, 6 or 7 bytes: the tail of an access that crosses a page.
  private func serveOddMemory(_ address: UInt64, _ data: UnsafeMutableRawPointer, length: Int) {
    for index in 0..<length {
      let at = address &+ UInt64(index)
      if ckvm_mmio_is_write(shared) {
        memory.bus.write(at, width: .byte, value: Self.load(data + index, .byte))
      } else {
        Self.store(memory.bus.read(at, width: .byte), to: data + index, .byte)
      }
    }
  }

  @inline(__always)
  private static func load(_ data: UnsafeMutableRawPointer, _ width: AccessWidth) -> UInt64 {
    switch width {
    case .byte: UInt64(data.loadUnaligned(as: UInt8.self))
    case .word: UInt64(data.loadUnaligned(as: UInt16.self))
    case .dword: UInt64(data.loadUnaligned(as: UInt32.self))
    case .qword: data.loadUnaligned(as: UInt64.self)
    }
  }

  @inline(__always)
  private static func store(
    _ value: UInt64, to data: UnsafeMutableRawPointer, _ width: AccessWidth
  ) {
    switch width {
    case .byte: data.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
    case .word: data.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
    case .dword: data.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
    case .qword: data.storeBytes(of: value, as: UInt64.self)
    }
  }

  // MARK: Interrupts

  public var canAcceptInterrupt: Bool {
    isOpen && local?.chip.externalInterruptAllowed != false
  }

  /// Whether KVM takes a vector at this moment.
  var isOpen: Bool {
    shared.pointee.if_flag != 0 && shared.pointee.ready_for_interrupt_injection != 0
      && local?.hasVector != true
  }

  public var requestInterruptWindow: Bool {
    get { wantsWindow }
    set {
      wantsWindow = newValue
      if local == nil { shared.pointee.request_interrupt_window = newValue ? 1 : 0 }
    }
  }

  public func injectInterrupt(_ vector: UInt8) {
    lastInjected = vector
    local?.hasVector = true
    local?.isHalted = false
    var interrupt = kvm_interrupt(irq: UInt32(vector))
    _ = ckvm_ioctl_pointer(
      descriptor.number, ckvm_request_number(CKVM_INTERRUPT), &interrupt)
  }

  // MARK: Registers

  /// Whether the shared page holds the registers of the last exit.
  private var areSynced: Bool { shared.pointee.kvm_valid_regs != 0 }

  /// Decides whether the coming exit leaves the registers in the shared page.
  private func chooseSynced() {
    syncedExits = max(0, syncedExits - 1)
    shared.pointee.kvm_valid_regs =
      canSyncRegisters && syncedExits > 0 ? UInt64(KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS) : 0
  }

  public func registers() -> Registers {
    if areSynced { return Registers(ckvm_sync_regs(shared).pointee) }
    var regs = kvm_regs()
    _ = ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(CKVM_GET_REGS), &regs)
    return Registers(regs)
  }

  public func setRegisters(_ registers: Registers) {
    if areSynced {
      ckvm_sync_regs(shared).pointee = kvm_regs(registers)
      shared.pointee.kvm_dirty_regs |= UInt64(KVM_SYNC_X86_REGS)
      return
    }
    var regs = kvm_regs(registers)
    _ = ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(CKVM_SET_REGS), &regs)
  }

  /// KVM writes what was read over RAX when it ends the instruction, so that comes first.
  public func finishInput(_ registers: Registers) {
    if let data = ckvm_io(shared).data { Self.store(registers.rax, to: data, .dword) }
    completePendingAccess()
    var after = self.registers()
    after.rbx = registers.rbx
    after.rcx = registers.rcx
    after.rdx = registers.rdx
    after.rsi = registers.rsi
    after.rdi = registers.rdi
    setRegisters(after)
  }

  public func systemRegisters() -> SystemRegisters { SystemRegisters(kernelSystemRegisters()) }

  public func setSystemRegisters(_ system: SystemRegisters) {
    var sregs = kernelSystemRegisters()
    sregs.apply(system)
    if areSynced {
      ckvm_sync_sregs(shared).pointee = sregs
      shared.pointee.kvm_dirty_regs |= UInt64(KVM_SYNC_X86_SREGS)
      return
    }
    _ = ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(CKVM_SET_SREGS), &sregs)
  }

  private func kernelSystemRegisters() -> kvm_sregs {
    if areSynced { return ckvm_sync_sregs(shared).pointee }
    var sregs = kvm_sregs()
    _ = ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(CKVM_GET_SREGS), &sregs)
    return sregs
  }

  public func reset() {
    settle()
    powerOn.write(to: descriptor.number)
    local?.reset()
    lookAgain()
  }

  /// Finishes what the last exit left open; registers are then in KVM alone.
  func settle() {
    completePendingAccess()
    shared.pointee.kvm_valid_regs = 0
    shared.pointee.kvm_dirty_regs = 0
    syncedExits = 0
    requestInterruptWindow = false
    shared.pointee.request_interrupt_window = 0
  }

  /// Has KVM say whether it takes interrupts in the state that it was given, where that is for us to
  /// know: a processor that sleeps has no exit that would tell.
  func lookAgain() {
    guard let local else { return }
    shared.pointee.cr8 = UInt64(local.chip.taskPriorityClass)
    completePendingAccess()
  }

  /// KVM finishes an IN or a device load on the next entry, over whatever registers were set before:
  /// an entry that leaves at once gets that behind us.
  private func completePendingAccess() {
    ckvm_set_immediate_exit(shared, 1)
    _ = ckvm_ioctl(descriptor.number, runRequest, 0)
    ckvm_set_immediate_exit(shared, 0)
  }

  private func isInFirmware() -> Bool {
    let place = kernelSystemRegisters().cs.base &+ registers().rip
    return place &- FirmwareTrap.romAddress < FirmwareTrap.romBytes
  }

  // MARK: What the host can't run

  private func internalError() -> ProcessorExit {
    let suberror = ckvm_internal_suberror(shared)
    guard suberror == UInt32(KVM_INTERNAL_ERROR_EMULATION) else {
      return .failed("KVM reports an internal error (suberror \(suberror))")
    }
    var bytes = [UInt8](repeating: 0, count: 15)
    let count = Int(ckvm_failed_instruction(shared, &bytes))
    return .unsupported(
      describe(
        bytes: count > 0 ? Array(bytes[..<count]) : instructionBytes(),
        reason: "this host's KVM can't run that instruction in this mode;"
          + " `porthole doctor` tells what it can"))
  }

  /// A host whose KVM has no 32-bit paging answers the guest's attempt to turn it on with a
  /// shutdown: that is the host's lack, not the guest's triple fault.
  private func shutdownOrUnsupported() -> ProcessorExit {
    let system = systemRegisters()
    let code = instructionBytes()
    let isMoveToCR0 = code.count > 2 && code[0] == 0x0F && code[1] == 0x22 && code[2] >> 3 & 7 == 0
    guard isMoveToCR0, system.cr0 & ControlBits.cr0Paging == 0,
      registers().value(at: code[2] & 7) & ControlBits.cr0Paging != 0,
      system.idt.limit > 0 || system.gdt.limit > 0
    else { return .shutdown }
    return .unsupported(
      describe(
        bytes: Array(code[..<3]),
        reason: "this host's KVM has no 32-bit paging; `porthole doctor` tells what it has"))
  }

  private func describe(bytes: [UInt8], reason: String) -> UnsupportedInstruction {
    let registers = registers()
    let system = systemRegisters()
    return UnsupportedInstruction(
      mode: ProcessorMode(registers, system), codeSegment: system.cs.selector,
      instructionPointer: registers.rip, bytes: bytes, reason: reason)
  }

  private func instructionBytes() -> [UInt8] {
    let system = systemRegisters()
    let linear = LinearMemory(space: memory, system: system)
    return linear.bytes(at: system.cs.base &+ registers().rip, count: 15)
  }
}
