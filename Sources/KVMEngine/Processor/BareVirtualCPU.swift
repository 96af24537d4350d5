import CKVM
import Glibc

/// A vCPU of KVM with nothing around it: its descriptor and its shared page, for an engine that
/// holds the processor's state itself and lends it to KVM for a while.
public final class BareVirtualCPU: @unchecked Sendable {
  // SAFETY: `shared` maps `sharedBytes` bytes from init to deinit; the engine that owns this uses it
  // on one thread, but for `immediate_exit`.
  private let machine: KVMVirtualMachine
  private let descriptor: Descriptor
  private let sharedBytes: Int
  /// The page that KVM and this process share (`struct kvm_run`).
  public let shared: UnsafeMutablePointer<kvm_run>
  /// The descriptor, for ioctls.
  public var number: Int32 { descriptor.number }

  /// Makes vCPU `index` of `machine`, with the CPUID that the host's KVM supports.
  public init(_ machine: KVMVirtualMachine, index: Int) throws(HostError) {
    self.machine = machine
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
    let leaves = try machine.system.supportedCPUID()
    let result = ckvm_set_cpuid(fd, leaves, UInt32(leaves.count))
    guard result >= 0 else { throw HostError("set the CPUID of vCPU \(index)", code: -result) }
  }

  deinit { munmap(shared, sharedBytes) }

  /// Reads a piece of the vCPU's state.
  public func get<Value: BitwiseCopyable>(
    _ request: ckvm_request, _ value: inout Value
  ) throws(HostError) {
    let result = ckvm_ioctl_pointer(number, ckvm_request_number(request), &value)
    guard result >= 0 else { throw HostError("read the state of a vCPU", code: -result) }
  }

  /// Writes a piece of the vCPU's state.
  public func set<Value: BitwiseCopyable>(
    _ request: ckvm_request, _ value: Value
  ) throws(HostError) {
    var value = value
    let result = ckvm_ioctl_pointer(number, ckvm_request_number(request), &value)
    guard result >= 0 else { throw HostError("write the state of a vCPU", code: -result) }
  }
}
