import CKVM

/// The CPUID that a guest sees: what the host's KVM supports, with the vCPU's own APIC ID and
/// without KVM's paravirtual leaves.
enum GuestCPUID {
  /// Hypervisor leaves: left out, since hypercalls hang on nested hosts and no guest needs them.
  private static let hypervisorLeaves: ClosedRange<UInt32> = 0x4000_0000...0x4FFF_FFFF
  /// At most: UEFI firmware maps all that there are, and many hosts have 48.
  private static let physicalAddressBits: UInt32 = 40
  private static let tscDeadline: UInt32 = 1 << 24
  private static let x2APIC: UInt32 = 1 << 21
  private static let hyperThreading: UInt32 = 1 << 28

  /// The one hypervisor leaf there is: nothing but a name, "PortholeVMM".
  private static var signature: kvm_cpuid_entry2 {
    var leaf = kvm_cpuid_entry2()
    leaf.function = hypervisorLeaves.lowerBound
    leaf.eax = hypervisorLeaves.lowerBound
    leaf.ebx = 0x7472_6F50
    leaf.ecx = 0x656C_6F68
    leaf.edx = 0x004D_4D56
    return leaf
  }

  static func leaves(
    _ system: KVMSystem, index: Int, processors: Int, model: CPUModel, hasLocalAPIC: Bool
  ) throws(HostError) -> [kvm_cpuid_entry2] {
    var leaves = try system.supportedCPUID().filter { !hypervisorLeaves.contains($0.function) }
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
    leaves.append(signature)
    return leaves
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
