import CKVM

/// The CPUID that a guest sees: what the host's KVM supports, with the vCPU's own APIC ID and the
/// hypervisor's leaves of ``HypervisorLeaves``.
enum GuestCPUID {
  /// At most: UEFI firmware maps all that there are, and many hosts have 48.
  private static let physicalAddressBits: UInt32 = 40
  private static let tscDeadline: UInt32 = 1 << 24
  private static let x2APIC: UInt32 = 1 << 21
  private static let hyperThreading: UInt32 = 1 << 28

  /// The hypervisor's leaves, with those of our features that the host's KVM has.
  private static func hypervisor(_ supported: [kvm_cpuid_entry2]) -> [kvm_cpuid_entry2] {
    let own = supported.first { $0.function == HypervisorLeaves.range.lowerBound + 1 }?.eax ?? 0
    let names = [
      HypervisorLeaves.range.lowerBound, HypervisorLeaves.clock, HypervisorLeaves.clock + 1,
    ]
    return names.map { function in
      var leaf = kvm_cpuid_entry2()
      leaf.function = function
      (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = HypervisorLeaves.registers(
        function, features: ParavirtualClock.features & own)
      return leaf
    }
  }

  static func leaves(
    _ system: KVMSystem, index: Int, processors: Int, model: CPUModel, hasLocalAPIC: Bool
  ) throws(HostError) -> [kvm_cpuid_entry2] {
    let supported = try system.supportedCPUID()
    var leaves = supported.filter { !HypervisorLeaves.range.contains($0.function) }
    do throws(CPUModel.Problem) {
      try model.check("this host's KVM") { value(of: $0, in: leaves) }
    } catch {
      throw HostError("give the guest its processor: \(error)")
    }
    let hasDeadlineTimer = hasLocalAPIC && system.value(of: .tscDeadlineTimer) > 0
    for position in leaves.indices {
      switch leaves[position].function {
      case 1:
        let low = leaves[position].ebx & 0x0000_FFFF
        leaves[position].ebx = low | UInt32(processors & 0xFF) << 16 | UInt32(index & 0xFF) << 24
        if hasDeadlineTimer { leaves[position].ecx |= tscDeadline }
        // MSRs of the local APIC are not for us to serve.
        if !hasLocalAPIC { leaves[position].ecx &= ~(tscDeadline | x2APIC) }
        if processors > 1 {
          leaves[position].edx |= hyperThreading
        } else {
          leaves[position].edx &= ~hyperThreading
        }
      case 0x8000_0008:
        let bits = min(leaves[position].eax & 0xFF, physicalAddressBits)
        leaves[position].eax = leaves[position].eax & 0xFF00 | bits
      case 0xB, 0x1F: leaves[position].edx = UInt32(index)
      default: break
      }
    }
    for position in leaves.indices {
      var leaf = leaves[position]
      model.apply(
        leaf: leaf.function, subleaf: leaf.index, &leaf.eax, &leaf.ebx, &leaf.ecx, &leaf.edx)
      leaves[position] = leaf
    }
    return leaves + hypervisor(supported)
  }

  private static func value(of place: CPUIDPlace, in leaves: [kvm_cpuid_entry2]) -> UInt32 {
    guard
      let leaf = leaves.first(where: { $0.function == place.leaf && $0.index == place.subleaf })
    else { return 0 }
    return switch place.register {
    case .eax: leaf.eax
    case .ebx: leaf.ebx
    case .ecx: leaf.ecx
    case .edx: leaf.edx
    }
  }
}
