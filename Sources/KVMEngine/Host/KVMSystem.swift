import CKVM
import Glibc

/// A feature of the host's KVM, by its KVM_CAP number (Linux, Documentation/virt/kvm/api.rst).
public enum KVMCapability: Int32, CaseIterable, Sendable {
  case irqchip = 0
  case userMemory = 3
  case setTSSAddress = 4
  case interruptRouting = 25
  case destroyMemoryRegionWorks = 21
  case userNMI = 22
  case vcpuEvents = 41
  case tscDeadlineTimer = 72
  case signalMSI = 77
  case syncRegisters = 74
  case readOnlyMemory = 81
  case splitIrqchip = 121
  case immediateExit = 136
  case haltPoll = 182
  case tripleFaultEvent = 218

  /// Its name in the kernel's headers.
  public var kernelName: String {
    switch self {
    case .irqchip: "KVM_CAP_IRQCHIP"
    case .userMemory: "KVM_CAP_USER_MEMORY"
    case .setTSSAddress: "KVM_CAP_SET_TSS_ADDR"
    case .interruptRouting: "KVM_CAP_IRQ_ROUTING"
    case .destroyMemoryRegionWorks: "KVM_CAP_DESTROY_MEMORY_REGION_WORKS"
    case .userNMI: "KVM_CAP_USER_NMI"
    case .vcpuEvents: "KVM_CAP_VCPU_EVENTS"
    case .tscDeadlineTimer: "KVM_CAP_TSC_DEADLINE_TIMER"
    case .signalMSI: "KVM_CAP_SIGNAL_MSI"
    case .syncRegisters: "KVM_CAP_SYNC_REGS"
    case .readOnlyMemory: "KVM_CAP_READONLY_MEM"
    case .splitIrqchip: "KVM_CAP_SPLIT_IRQCHIP"
    case .immediateExit: "KVM_CAP_IMMEDIATE_EXIT"
    case .haltPoll: "KVM_CAP_HALT_POLL"
    case .tripleFaultEvent: "KVM_CAP_X86_TRIPLE_FAULT_EVENT"
    }
  }

  /// What a desktop can't be run without.
  public static let needed: [KVMCapability] = [
    .userMemory, .setTSSAddress, .destroyMemoryRegionWorks, .immediateExit, .readOnlyMemory,
    .splitIrqchip, .signalMSI, .interruptRouting, .vcpuEvents,
  ]
}

/// /dev/kvm: what the host can do, and where VMs come from.
public final class KVMSystem: Sendable {
  let descriptor: Descriptor

  /// The only API version there ever was; a kernel with another one is not KVM as documented.
  private static let apiVersion: Int32 = 12

  /// Opens /dev/kvm.
  /// - Throws: ``HostError`` with advice where it is missing, not permitted, or lacks what a
  ///   desktop needs.
  public init(path: String = "/dev/kvm") throws(HostError) {
    let fd = ckvm_open(path, O_RDWR)
    guard fd >= 0 else {
      throw HostError("open \(path)", code: -fd, advice: Self.advice(for: -fd))
    }
    descriptor = Descriptor(owning: fd)
    let version = ckvm_ioctl(fd, ckvm_request_number(CKVM_GET_API_VERSION), 0)
    guard version == Self.apiVersion else {
      throw HostError("use \(path): its API version is \(version), not \(Self.apiVersion)")
    }
  }

  private static func advice(for code: Int32) -> String {
    switch code {
    case EACCES, EPERM: "add your user to group kvm (sudo usermod -aG kvm $USER) and log in again"
    case ENOENT, ENODEV, ENXIO:
      "load the kernel's kvm module (kvm_intel or kvm_amd), or turn virtualization on in the"
        + " host's firmware or hypervisor"
    default: ""
    }
  }

  /// The value that the host gives for `capability`; 0 where it lacks it.
  public func value(of capability: KVMCapability) -> Int32 {
    let request = ckvm_request_number(CKVM_CHECK_EXTENSION)
    return max(0, ckvm_ioctl(descriptor.number, request, UInt(capability.rawValue)))
  }

  /// - Throws: ``HostError`` that names the first needed capability which is missing.
  public func requireNeededCapabilities() throws(HostError) {
    for capability in KVMCapability.needed where value(of: capability) == 0 {
      throw HostError(
        "run a desktop: this host's KVM lacks \(capability.kernelName)",
        advice: "a newer kernel has it; `porthole doctor` lists what is there")
    }
  }

  /// The size in bytes of a vCPU's shared page.
  func sharedPageBytes() throws(HostError) -> Int {
    let size = ckvm_ioctl(descriptor.number, ckvm_request_number(CKVM_GET_VCPU_MMAP_SIZE), 0)
    guard size >= MemoryLayout<kvm_run>.size else {
      throw HostError("learn the size of KVM's vCPU page", code: size < 0 ? -size : 0)
    }
    return Int(size)
  }

  /// The CPUID leaves that the host can give a guest.
  func supportedCPUID() throws(HostError) -> [kvm_cpuid_entry2] {
    var entries: UnsafeMutablePointer<kvm_cpuid_entry2>?
    let count = ckvm_supported_cpuid(descriptor.number, &entries)
    guard count >= 0, let entries else {
      throw HostError("ask KVM for its CPUID", code: -count)
    }
    defer { free(entries) }
    return Array(UnsafeBufferPointer(start: entries, count: Int(count)))
  }
}
