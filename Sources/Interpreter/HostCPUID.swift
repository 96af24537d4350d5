import CInterpreter

/// What CPUID answers.
public struct CPUIDResult: Sendable, Equatable {
  public var eax: UInt32
  public var ebx: UInt32
  public var ecx: UInt32
  public var edx: UInt32

  public init(eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0, edx: UInt32 = 0) {
    self.eax = eax
    self.ebx = ebx
    self.ecx = ecx
    self.edx = edx
  }
}

/// The host's CPUID, cut down to what the interpreter executes.
public enum HostCPUID {
  private static func host(_ leaf: UInt32, _ subleaf: UInt32 = 0) -> CPUIDResult {
    var out: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
    withUnsafeMutablePointer(to: &out) {
      $0.withMemoryRebound(to: UInt32.self, capacity: 4) { ci_cpuid(leaf, subleaf, $0) }
    }
    return CPUIDResult(eax: out.0, ebx: out.1, ecx: out.2, edx: out.3)
  }

  /// Whether the host has RDRAND.
  static let hasRandom = host(1).ecx & 1 << 30 != 0

  /// FPU DE PSE TSC MSR PAE MCE CX8 SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2, and
  /// the APIC, which the machine takes away where it has none.
  private static let features: UInt32 = 0x078B_FBFD
  /// SSE3 SSSE3 CX16 SSE4.1 SSE4.2 MOVBE POPCNT RDRAND, and the hypervisor bit.
  private static let moreFeatures: UInt32 = 0x40D8_2201

  /// The leaf that the guest sees.
  public static func result(_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult {
    switch leaf {
    case 0:
      let vendor = host(0)
      return CPUIDResult(eax: 7, ebx: vendor.ebx, ecx: vendor.ecx, edx: vendor.edx)
    case 1:
      let host = host(1)
      return CPUIDResult(
        eax: host.eax, ebx: 0x0001_0800, ecx: host.ecx & moreFeatures | 1 << 31,
        edx: host.edx & features)
    case 2: return CPUIDResult(eax: 1)
    case 7 where subleaf == 0:
      // FSGSBASE, SMEP, ERMS, SMAP; UMIP.
      return CPUIDResult(ebx: 0x0010_0281, ecx: 1 << 2)
    case 0x4000_0000:
      return CPUIDResult(eax: leaf, ebx: 0x7472_6F50, ecx: 0x656C_6F68, edx: 0x004D_4D56)
    case 0x8000_0000:
      let vendor = host(0)
      return CPUIDResult(eax: 0x8000_0008, ebx: vendor.ebx, ecx: vendor.ecx, edx: vendor.edx)
    case 0x8000_0001:
      // LAHF, ABM, prefetch; SYSCALL, NX, RDTSCP, long mode.
      return CPUIDResult(
        eax: host(1).eax, ecx: 0x0000_0101 | host(leaf).ecx & 0x20,
        edx: 0x2810_0800 | features & 0x0183_F3FF)
    case 0x8000_0002...0x8000_0004: return host(leaf)
    case 0x8000_0005, 0x8000_0006: return host(leaf)
    case 0x8000_0007: return CPUIDResult(edx: 1 << 8)
    case 0x8000_0008: return CPUIDResult(eax: 0x302E)
    default: return CPUIDResult()
    }
  }
}
