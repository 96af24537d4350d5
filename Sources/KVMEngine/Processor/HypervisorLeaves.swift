/// CPUID's leaves of the hypervisor, the same under every engine: our name, "PortholeVMM", and 100h
/// above it, where systems look too, KVM's with its clock. No hypercalls: those hang on nested hosts,
/// and no guest needs them.
public enum HypervisorLeaves {
  public static let range: ClosedRange<UInt32> = 0x4000_0000...0x4FFF_FFFF
  /// The leaf with KVM's name; the next has its features.
  public static let clock: UInt32 = 0x4000_0100

  /// The registers of a leaf in the order of EAX, EBX, ECX, EDX.
  /// - Parameter features: those of KVM's that there are.
  public static func registers(
    _ leaf: UInt32, features: UInt32 = ParavirtualClock.features
  ) -> (eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32) {
    switch leaf {
    case range.lowerBound: (clock + 1, 0x7472_6F50, 0x656C_6F68, 0x004D_4D56)
    case clock: (clock + 1, 0x4B4D_564B, 0x564B_4D56, 0x0000_004D)
    case clock + 1: (features, 0, 0, 0)
    default: (0, 0, 0, 0)
    }
  }
}
