import CKVM
import Glibc
import Synchronization

/// One VM of KVM: its memory slots and its half of the split interrupt controller.
public final class KVMVirtualMachine: MemorySlots, Sendable {
  public let system: KVMSystem
  let descriptor: Descriptor
  /// Who has the local APICs.
  public let localAPICs: LocalAPICs
  private let flush = Mutex(())

  /// Where KVM puts pages of its own that some Intel hosts need for real mode: just below the
  /// 4 GiB ROM, in space that no device uses (api.rst, KVM_SET_TSS_ADDR).
  private static let taskStateAddress: UInt = 0xFFBF_D000
  private static let identityMapAddress: UInt64 = 0xFFBF_C000
  /// Pins of the I/O APIC in user space, whose end-of-interrupt KVM reports.
  public static let interruptPins = 24

  /// Who has the local APICs of a VM.
  public enum LocalAPICs: Sendable {
    /// KVM, with every other interrupt controller left to us.
    case kernel
    /// KVM, with the 8259 pair and the I/O APIC beside them.
    case kernelWithAll
    /// Nobody in KVM: the engine has its own.
    case none
  }

  /// Makes a VM.
  public init(_ system: KVMSystem, localAPICs: LocalAPICs = .kernel) throws(HostError) {
    self.system = system
    self.localAPICs = localAPICs
    try system.requireNeededCapabilities()
    let fd = ckvm_ioctl(system.descriptor.number, ckvm_request_number(CKVM_CREATE_VM), 0)
    guard fd >= 0 else { throw HostError("make a VM", code: -fd) }
    descriptor = Descriptor(owning: fd)
    try check(
      ckvm_ioctl(fd, ckvm_request_number(CKVM_SET_TSS_ADDR), Self.taskStateAddress),
      "set KVM's task state address")
    var identity = Self.identityMapAddress
    try check(
      ckvm_ioctl_pointer(fd, ckvm_request_number(CKVM_SET_IDENTITY_MAP_ADDR), &identity),
      "set KVM's identity map address")
    if localAPICs == .kernelWithAll {
      try check(
        ckvm_ioctl(fd, ckvm_request_number(CKVM_CREATE_IRQCHIP), 0),
        "make KVM's interrupt controllers")
      try check(ckvm_set_chip_routes(fd), "wire KVM's interrupt controllers")
    }
    guard localAPICs == .kernel else { return }
    try check(
      ckvm_enable_capability(
        fd, UInt32(KVMCapability.splitIrqchip.rawValue), UInt64(Self.interruptPins)),
      "split the interrupt controllers")
  }

  /// Has the events of vCPUs tell of a shutdown that KVM has found but not reported, where the host's
  /// KVM can (Linux 6.0 and later).
  public func tellPendingShutdowns() {
    let capability = UInt32(KVMCapability.tripleFaultEvent.rawValue)
    _ = ckvm_enable_capability(descriptor.number, capability, 1)
  }

  // MARK: Time

  /// Nanoseconds of KVM's clock, which its page for guests shows; nil where KVM does not say.
  var clock: UInt64? {
    var data = kvm_clock_data()
    let request = ckvm_request_number(CKVM_GET_CLOCK)
    return ckvm_ioctl_pointer(descriptor.number, request, &data) >= 0 ? data.clock : nil
  }

  /// Sets it.
  func setClock(_ nanoseconds: UInt64) {
    var data = kvm_clock_data()
    data.clock = nanoseconds
    _ = ckvm_ioctl_pointer(descriptor.number, ckvm_request_number(CKVM_SET_CLOCK), &data)
  }

  // MARK: Translations

  /// A slot that is never there for long, above all that an ``AddressSpace`` uses, and its place.
  private static let passingSlot: UInt32 = 1000
  private static let passingAddress: UInt64 = 0xFFBF_B000

  /// Has KVM forget every translation that it derived from the guest's page tables. For a KVM that
  /// keeps shadow page tables and is not told of our own writes to the guest's. Any thread.
  /// - Parameter page: a page of host memory that lives as long as the call.
  public func forgetTranslations(page: UnsafeMutableRawPointer) throws(HostError) {
    // Taking a slot away drops every shadow page (160 microseconds on such hosts).
    try flush.withLock { _ throws(HostError) in
      try setSlot(
        Self.passingSlot, guestAddress: Self.passingAddress, host: page, size: 4096, options: [])
      try removeSlot(Self.passingSlot)
    }
  }

  private func check(_ result: Int32, _ operation: String) throws(HostError) {
    guard result >= 0 else { throw HostError(operation, code: -result) }
  }

  // MARK: MemorySlots

  public func setSlot(
    _ index: UInt32, guestAddress: UInt64, host: UnsafeMutableRawPointer, size: Int,
    options: SlotOptions
  ) throws(HostError) {
    var region = kvm_userspace_memory_region(
      slot: index, flags: options.rawValue, guest_phys_addr: guestAddress,
      memory_size: UInt64(size), userspace_addr: UInt64(UInt(bitPattern: host)))
    try setRegion(&region)
  }

  public func removeSlot(_ index: UInt32) throws(HostError) {
    var region = kvm_userspace_memory_region(
      slot: index, flags: 0, guest_phys_addr: 0, memory_size: 0, userspace_addr: 0)
    try setRegion(&region)
  }

  private func setRegion(_ region: inout kvm_userspace_memory_region) throws(HostError) {
    let request = ckvm_request_number(CKVM_SET_USER_MEMORY_REGION)
    let result = ckvm_ioctl_pointer(descriptor.number, request, &region)
    guard result >= 0 else {
      let address = String(region.guest_phys_addr, radix: 16)
      throw HostError("give the guest memory at 0x\(address)", code: -result)
    }
  }

  public func takeDirtyPages(_ index: UInt32, into bitmap: UnsafeMutableBufferPointer<UInt64>) {
    guard bitmap.count > 0 else { return }
    // KVM overwrites its argument: collect apart, then merge.
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: bitmap.count) { pages in
      pages.initialize(repeating: 0)
      guard ckvm_dirty_log(descriptor.number, index, pages.baseAddress) >= 0 else { return }
      for word in pages.indices { bitmap[word] |= pages[word] }
    }
  }

  // MARK: Interrupts

  /// Sends a message-signalled interrupt to the local APICs (Intel SDM vol. 3, 11.11).
  public func signal(address: UInt64, data: UInt32) {
    _ = ckvm_signal_msi(descriptor.number, address, data)
  }

  /// Tells KVM which vectors the I/O APIC's pins have, so that it reports their EOI.
  /// - Parameter routes: pin by pin; nil where a pin is masked.
  public func setInterruptRoutes(_ routes: [(address: UInt64, data: UInt32)?]) {
    let entries = routes.map { route in
      ckvm_msi_route(
        address: route?.address ?? 0, data: route?.data ?? 0, used: route == nil ? 0 : 1)
    }
    _ = ckvm_set_msi_routes(descriptor.number, entries, UInt32(entries.count))
  }
}
