import CKVM
import Glibc

/// The whole state, in and out of KVM (Linux, Documentation/virt/kvm/api.rst).
extension KVMProcessor {
  private enum MSR {
    static let timestamp: UInt32 = 0x10
    static let deadline: UInt32 = 0x6E0
  }
  /// Bytes of `struct kvm_xsave`, enough as long as nobody asked the kernel for AMX.
  private static let imageBytes = 4096

  public func state(now: UInt64) throws(ProcessorStateError) -> ProcessorState {
    settle()
    var state = ProcessorState()
    var runState = kvm_mp_state()
    if let local {
      state.activity =
        local.isWaitingForStartup ? .waitingForStartup : local.isHalted ? .halted : .running
    } else {
      // First: KVM takes INIT and start-up messages that wait before it answers.
      try get(CKVM_GET_MP_STATE, &runState)
      state.activity = Self.activity(runState)
    }
    state.registers = registers()
    state.system = systemRegisters()
    for index in ProcessorState.carriedRegisters {
      var value: UInt64 = 0
      guard ckvm_get_msr(descriptor.number, index, &value) == 0 else { continue }
      state.modelRegisters.append(ProcessorState.ModelRegister(index: index, value: value))
    }
    state.timestampOffset = readMSR(MSR.timestamp) &- HostTimestamp.now()
    if state.usesClock {
      state.clockAnchor = machine.clock.map {
        ParavirtualClock.Anchor(count: readMSR(MSR.timestamp), nanoseconds: $0)
      }
    }
    state.vectors = try vectorState()
    state.debug = try debugRegisters()
    var events = kvm_vcpu_events()
    try get(CKVM_GET_VCPU_EVENTS, &events)
    let chip = try localAPIC(state, events, now: now)
    state.localAPIC = chip
    state.events = Self.events(events)
    if state.events.delivery == nil, holdsInterrupt(events, chip) {
      state.events.delivery = .interrupt(vector: lastInjected, isSoftware: false)
    }
    return state
  }

  /// Whether KVM holds a vector of the 8259 pair that it did not begin to deliver, which no call
  /// shows. It was accepted with interrupts open and nothing in the way; if that is still so and
  /// KVM takes no other vector, it has one.
  private func holdsInterrupt(_ events: kvm_vcpu_events, _ local: LocalAPICState) -> Bool {
    lastInjected != 0 && shared.pointee.if_flag != 0
      && shared.pointee.ready_for_interrupt_injection == 0 && events.interrupt.shadow == 0
      && events.nmi.injected == 0 && local.allowsExternalInterrupt
  }

  public func setState(
    _ state: ProcessorState, now: UInt64
  ) throws(ProcessorStateError) {
    try state.check()
    settle()
    lastInjected = 0
    let chip =
      state.localAPIC ?? LocalAPICState(identifier: UInt32(index), isBootstrap: index == 0)
    if let problem = chip.problem(identifier: UInt32(index), isBootstrap: index == 0) {
      throw ProcessorStateError("the local APIC's state is damaged: \(problem)")
    }
    if local == nil { try set(CKVM_SET_MP_STATE, Self.runState(state.activity)) }
    var system = state.system
    system.apicBase = chip.base
    system.cr8 = UInt64(chip.taskPriority >> 4)
    setSystemRegisters(system)
    setRegisters(state.registers)
    try setVectors(state.vectors)
    try setDebugRegisters(state.debug)
    let moved = moveTimestamp(to: state.timestampOffset)
    if let anchor = state.clockAnchor, state.usesClock {
      let count = HostTimestamp.now() &+ state.timestampOffset
      machine.setClock(anchor.nanoseconds(at: count, GuestTimestampCounter.scale))
    }
    if let local {
      try restore(local.chip, chip, state.activity)
    } else {
      var page = chip.page(now: now)
      try setBytes(CKVM_SET_LAPIC, &page, "its local APIC")
    }
    try setModelRegisters(state, deadline: chip.tscDeadline, moved: moved)
    let nmiPending = local == nil && chip.nmiPending
    try set(CKVM_SET_VCPU_EVENTS, Self.events(state.events, nmiPending: nmiPending))
    try checkTaken(state)
    lookAgain()
  }

  /// Gives a local APIC of ours its state.
  private func restore(
    _ chip: LocalAPIC, _ saved: LocalAPICState, _ activity: ProcessorState.Activity
  ) throws(ProcessorStateError) {
    do throws(RestoreError) {
      try chip.restore(saved)
    } catch {
      throw ProcessorStateError("the local APIC's state is damaged: \(error.problem)")
    }
    local?.reset()
    local?.isWaitingForStartup = activity == .waitingForStartup
    local?.isHalted = activity == .halted
  }

  public func moveTimestamp(by distance: UInt64) {
    _ = ckvm_set_msr(descriptor.number, MSR.timestamp, readMSR(MSR.timestamp) &+ distance)
  }

  /// Sets the time-stamp counter's offset from the host's.
  /// - Returns: how far from there it ended up: nothing to speak of, or on a host that has no
  ///   offsets the whole way.
  private func moveTimestamp(to offset: UInt64) -> UInt64 {
    _ = ckvm_set_msr(descriptor.number, MSR.timestamp, HostTimestamp.now() &+ offset)
    return readMSR(MSR.timestamp) &- HostTimestamp.now() &- offset
  }

  private func readMSR(_ index: UInt32) -> UInt64 {
    var value: UInt64 = 0
    return ckvm_get_msr(descriptor.number, index, &value) == 0 ? value : 0
  }

  private func setModelRegisters(
    _ state: ProcessorState, deadline: UInt64, moved: UInt64
  ) throws(ProcessorStateError) {
    for register in state.modelRegisters
    where ProcessorState.carriedRegisters.contains(register.index) {
      let code = ckvm_set_msr(descriptor.number, register.index, register.value)
      guard code == 0 || readMSR(register.index) == register.value else {
        let number = String(register.index, radix: 16)
        throw ProcessorStateError("this host's KVM does not take MSR 0x\(number) of the guest")
      }
    }
    // The deadline keeps its distance where the counter itself could not be moved.
    let due = deadline == 0 ? 0 : deadline &+ moved
    _ = ckvm_set_msr(descriptor.number, MSR.deadline, due)
  }

  /// Hosts that lack a mode drop the bits that ask for it without a word.
  private func checkTaken(_ state: ProcessorState) throws(ProcessorStateError) {
    let taken = systemRegisters()
    let mode = ControlBits.cr0Paging | ControlBits.cr0ProtectionEnable
    guard taken.cr0 & mode == state.system.cr0 & mode, taken.efer == state.system.efer else {
      throw ProcessorStateError(
        "the guest is in \(ProcessorMode(state.registers, state.system).rawValue), which this"
          + " host's KVM does not have; use --engine software")
    }
  }

  // MARK: Parts

  private static func activity(_ state: kvm_mp_state) -> ProcessorState.Activity {
    switch Int32(bitPattern: state.mp_state) {
    case KVM_MP_STATE_HALTED: .halted
    case KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED: .waitingForStartup
    default: .running
    }
  }

  private static func runState(_ activity: ProcessorState.Activity) -> kvm_mp_state {
    let number =
      switch activity {
      case .running: KVM_MP_STATE_RUNNABLE
      case .halted: KVM_MP_STATE_HALTED
      case .waitingForStartup: KVM_MP_STATE_UNINITIALIZED
      }
    return kvm_mp_state(mp_state: UInt32(bitPattern: number))
  }

  private func vectorState() throws(ProcessorStateError) -> VectorState {
    var control = kvm_xcrs()
    try get(CKVM_GET_XCRS, &control)
    var image = [UInt8](repeating: 0, count: Self.imageBytes)
    try getBytes(CKVM_GET_XSAVE, &image)
    let xcr0 = control.nr_xcrs > 0 ? control.xcrs.0.value : 1
    return image.withUnsafeBytes { VectorState(image: $0, xcr0: xcr0) }
  }

  private func setVectors(_ vectors: VectorState) throws(ProcessorStateError) {
    var control = kvm_xcrs()
    control.nr_xcrs = 1
    control.xcrs.0.value = vectors.xcr0
    let mask = vectors.mask
    guard try succeeds(CKVM_SET_XCRS, &control) else {
      throw VectorState.lacks((2..<63).first { mask & (1 << UInt64($0)) != 0 } ?? 0)
    }
    var image = [UInt8](repeating: 0, count: Self.imageBytes)
    var problem: ProcessorStateError?
    image.withUnsafeMutableBytes { buffer in
      do throws(ProcessorStateError) { try vectors.write(to: buffer) } catch { problem = error }
    }
    if let problem { throw problem }
    try setBytes(CKVM_SET_XSAVE, &image, "its vector registers")
  }

  private func debugRegisters() throws(ProcessorStateError) -> ProcessorState.DebugRegisters {
    var registers = kvm_debugregs()
    try get(CKVM_GET_DEBUGREGS, &registers)
    var debug = ProcessorState.DebugRegisters()
    debug.addresses = [registers.db.0, registers.db.1, registers.db.2, registers.db.3]
    debug.status = registers.dr6
    debug.control = registers.dr7
    return debug
  }

  private func setDebugRegisters(
    _ debug: ProcessorState.DebugRegisters
  ) throws(ProcessorStateError) {
    var registers = kvm_debugregs()
    registers.db = (debug.addresses[0], debug.addresses[1], debug.addresses[2], debug.addresses[3])
    registers.dr6 = debug.status
    registers.dr7 = debug.control
    try set(CKVM_SET_DEBUGREGS, registers)
  }

  /// The local APIC, ours or KVM's, of a vCPU in `state` so far.
  private func localAPIC(
    _ state: ProcessorState, _ events: kvm_vcpu_events, now: UInt64
  ) throws(ProcessorStateError) -> LocalAPICState {
    if let local { return local.chip.save() }
    let around = LocalAPICState.Surroundings(
      identifier: UInt32(index), isBootstrap: index == 0, base: state.system.apicBase,
      tscDeadline: readMSR(MSR.deadline), nmiPending: events.nmi.pending != 0,
      waitsForStartup: state.activity == .waitingForStartup)
    var page = [UInt8](repeating: 0, count: LocalAPICState.pageBytes)
    try getBytes(CKVM_GET_LAPIC, &page)
    return LocalAPICState(page: page, around, now: now)
  }

  // MARK: Events

  private static func events(_ events: kvm_vcpu_events) -> ProcessorState.Events {
    var result = ProcessorState.Events()
    if events.exception.injected != 0 || events.exception.pending != 0 {
      result.delivery = .exception(
        vector: events.exception.nr,
        errorCode: events.exception.has_error_code != 0 ? events.exception.error_code : nil)
    } else if events.nmi.injected != 0 {
      result.delivery = .nonMaskable
    } else if events.interrupt.injected != 0 {
      result.delivery = .interrupt(
        vector: events.interrupt.nr, isSoftware: events.interrupt.soft != 0)
    }
    let shadow = UInt32(events.interrupt.shadow)
    if shadow & UInt32(KVM_X86_SHADOW_INT_MOV_SS) != 0 {
      result.shadow = .loadedStack
    } else if shadow & UInt32(KVM_X86_SHADOW_INT_STI) != 0 {
      result.shadow = .enabledInterrupts
    }
    result.blocksNMI = events.nmi.masked != 0
    return result
  }

  private static func events(
    _ events: ProcessorState.Events, nmiPending: Bool
  ) -> kvm_vcpu_events {
    var result = kvm_vcpu_events()
    result.flags = UInt32(KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW)
    switch events.delivery {
    case .exception(let vector, let code):
      result.exception.injected = 1
      result.exception.nr = vector
      result.exception.has_error_code = code == nil ? 0 : 1
      result.exception.error_code = code ?? 0
    case .interrupt(let vector, let isSoftware):
      result.interrupt.injected = 1
      result.interrupt.nr = vector
      result.interrupt.soft = isSoftware ? 1 : 0
    case .nonMaskable: result.nmi.injected = 1
    case nil: break
    }
    switch events.shadow {
    case .none: break
    case .enabledInterrupts: result.interrupt.shadow = UInt8(KVM_X86_SHADOW_INT_STI)
    case .loadedStack: result.interrupt.shadow = UInt8(KVM_X86_SHADOW_INT_MOV_SS)
    }
    result.nmi.masked = events.blocksNMI ? 1 : 0
    result.nmi.pending = nmiPending ? 1 : 0
    return result
  }

  // MARK: Calls

  private func get<Value: BitwiseCopyable>(
    _ request: ckvm_request, _ value: inout Value
  ) throws(ProcessorStateError) {
    let code = ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(request), &value)
    if code < 0 { throw Self.failure("gives no state of vCPU \(index)", code) }
  }

  private func getBytes(
    _ request: ckvm_request, _ bytes: inout [UInt8]
  ) throws(ProcessorStateError) {
    let code = ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(request), &bytes)
    if code < 0 { throw Self.failure("gives no state of vCPU \(index)", code) }
  }

  private func set<Value: BitwiseCopyable>(
    _ request: ckvm_request, _ value: Value
  ) throws(ProcessorStateError) {
    var value = value
    let code = ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(request), &value)
    if code < 0 { throw Self.failure("does not take the guest's state", code) }
  }

  private func succeeds<Value: BitwiseCopyable>(
    _ request: ckvm_request, _ value: inout Value
  ) throws(ProcessorStateError) -> Bool {
    ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(request), &value) >= 0
  }

  private func setBytes(
    _ request: ckvm_request, _ bytes: inout [UInt8], _ what: String
  ) throws(ProcessorStateError) {
    let code = ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(request), &bytes)
    if code < 0 { throw Self.failure("does not take the guest's state, \(what)", code) }
  }

  private static func failure(_ what: String, _ code: Int32) -> ProcessorStateError {
    ProcessorStateError("this host's KVM \(what): \(HostError.text(of: -code))")
  }
}
