import CKVM
import Glibc

/// All that RESET# changes in a vCPU, read when the vCPU was made.
struct KVMProcessorState {
  private var regs = kvm_regs()
  private var sregs = kvm_sregs()
  private var events = kvm_vcpu_events()
  private var runState = kvm_mp_state()
  private var lapic = kvm_lapic_state()
  private var debug = kvm_debugregs()
  private var fpu = kvm_fpu()
  private var extendedControl = kvm_xcrs()
  /// Whether KVM has the local APIC, and with it what starts and stops the vCPU.
  private let hasLocalAPIC: Bool

  /// MSRs that RESET# gives a known value (Intel SDM vol. 3, table 10-1): SYSENTER, SYSCALL, PAT.
  private static let resetMSRs: [(index: UInt32, value: UInt64)] = [
    (0x174, 0), (0x175, 0), (0x176, 0), (0x277, 0x0007_0406_0007_0406),
    (0xC000_0081, 0), (0xC000_0082, 0), (0xC000_0083, 0), (0xC000_0084, 0), (0xC000_0102, 0),
    (0x6E0, 0),
  ]

  init(reading vcpu: Int32, hasLocalAPIC: Bool) throws(HostError) {
    self.hasLocalAPIC = hasLocalAPIC
    try Self.get(vcpu, CKVM_GET_REGS, &regs)
    try Self.get(vcpu, CKVM_GET_SREGS, &sregs)
    try Self.get(vcpu, CKVM_GET_VCPU_EVENTS, &events)
    if hasLocalAPIC {
      try Self.get(vcpu, CKVM_GET_MP_STATE, &runState)
      try Self.get(vcpu, CKVM_GET_LAPIC, &lapic)
    }
    try Self.get(vcpu, CKVM_GET_DEBUGREGS, &debug)
    try Self.get(vcpu, CKVM_GET_FPU, &fpu)
    try Self.get(vcpu, CKVM_GET_XCRS, &extendedControl)
  }

  private static func get<Value: BitwiseCopyable>(
    _ vcpu: Int32, _ request: ckvm_request, _ value: inout Value
  ) throws(HostError) {
    let result = ckvm_ioctl_pointer(vcpu, ckvm_request_number(request), &value)
    guard result >= 0 else { throw HostError("read the state of a vCPU", code: -result) }
  }

  /// Gives the vCPU this state. What a host refuses stays as it is.
  func write(to vcpu: Int32) {
    if hasLocalAPIC { set(vcpu, CKVM_SET_MP_STATE, runState) }
    set(vcpu, CKVM_SET_SREGS, sregs)
    set(vcpu, CKVM_SET_REGS, regs)
    set(vcpu, CKVM_SET_XCRS, extendedControl)
    set(vcpu, CKVM_SET_FPU, fpu)
    set(vcpu, CKVM_SET_DEBUGREGS, debug)
    if hasLocalAPIC { set(vcpu, CKVM_SET_LAPIC, lapic) }
    for register in Self.resetMSRs { _ = ckvm_set_msr(vcpu, register.index, register.value) }
    set(vcpu, CKVM_SET_VCPU_EVENTS, events)
  }

  private func set<Value: BitwiseCopyable>(_ vcpu: Int32, _ request: ckvm_request, _ value: Value) {
    var value = value
    _ = ckvm_ioctl_pointer(vcpu, ckvm_request_number(request), &value)
  }
}
