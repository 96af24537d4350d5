import CInterpreter
import KVMEngine

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

/// The CPUID of the interpreter: what it does by itself, and of what it does by running the host's
/// instructions that which the host has.
public enum HostCPUID {
  private static func host(_ leaf: UInt32, _ subleaf: UInt32 = 0) -> CPUIDResult {
    var out: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
    withUnsafeMutablePointer(to: &out) {
      $0.withMemoryRebound(to: UInt32.self, capacity: 4) { ci_cpuid(leaf, subleaf, $0) }
    }
    return CPUIDResult(eax: out.0, ebx: out.1, ecx: out.2, edx: out.3)
  }

  /// Whether the host has RDRAND and RDSEED.
  static let hasRandom = host(1).ecx & 1 << 30 != 0
  static let hasSeed = host(0).eax >= 7 && host(7).ebx & 1 << 18 != 0
  /// What the guest may set in XCR0: x87 and SSE, and AVX where the host's system has enabled it.
  static let vectorState: UInt64 =
    host(1).ecx & 1 << 28 != 0 && ci_host_xcr0() & 6 == 6 ? 7 : 3

  /// FPU VME DE PSE TSC MSR PAE MCE CX8 SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2,
  /// and the APIC, which the machine takes away where it has none.
  private static let features: UInt32 = 0x078B_FBFF
  /// Of the host: SSE3 PCLMULQDQ SSSE3 CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES RDRAND.
  private static let moreFeatures: UInt32 = 0x42D8_2203
  /// Of the host, where AVX state can be enabled: FMA AVX F16C.
  private static let wideFeatures: UInt32 = 0x3000_1000

  private static let basic: CPUIDResult = {
    let found = host(1)
    var more = found.ecx & moreFeatures
    if vectorState & 4 != 0 { more |= found.ecx & wideFeatures }
    // PCID, XSAVE, and a hypervisor.
    return CPUIDResult(
      eax: found.eax, ebx: 0x0001_0800, ecx: more | 1 << 17 | 1 << 26 | 1 << 31,
      edx: found.edx & features)
  }()

  private static let structured: CPUIDResult = {
    let found = host(0).eax >= 7 ? host(7) : CPUIDResult()
    let isWide = vectorState & 4 != 0
    // FSGSBASE TSC_ADJUST SMEP ERMS INVPCID, x87's selectors are 0, SMAP CLFLUSHOPT CLWB; of the host
    // BMI1 BMI2 RDSEED ADX SHA, AVX2.
    var ebx: UInt32 = 0x0190_2683 | found.ebx & 0x200C_0108
    if isWide { ebx |= found.ebx & 0x20 }
    // UMIP RDPID; of the host GFNI, VAES and VPCLMULQDQ.
    var ecx: UInt32 = 0x0040_0004 | found.ecx & 0x100
    if isWide { ecx |= found.ecx & 0x600 }
    // Fast short REP MOVSB, IA32_ARCH_CAPABILITIES.
    return CPUIDResult(ebx: ebx, ecx: ecx, edx: 1 << 4 | 1 << 29)
  }()

  /// The leaf that the guest sees. What follows CR4 and XCR0 is for the instruction to fill in.
  public static func result(_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult {
    switch leaf {
    case 0:
      let vendor = host(0)
      return CPUIDResult(eax: 13, ebx: vendor.ebx, ecx: vendor.ecx, edx: vendor.edx)
    case 1: return basic
    case 2: return CPUIDResult(eax: 1)
    // The local APIC's timer never stops.
    case 6: return CPUIDResult(eax: 1 << 2)
    case 7 where subleaf == 0: return structured
    case 13: return extendedState(subleaf)
    case HypervisorLeaves.range:
      let (eax, ebx, ecx, edx) = HypervisorLeaves.registers(leaf)
      return CPUIDResult(eax: eax, ebx: ebx, ecx: ecx, edx: edx)
    case 0x8000_0000:
      let vendor = host(0)
      return CPUIDResult(eax: 0x8000_0008, ebx: vendor.ebx, ecx: vendor.ecx, edx: vendor.edx)
    case 0x8000_0001:
      // LAHF, ABM, prefetch; SYSCALL, NX, 1 GiB pages, RDTSCP, long mode.
      return CPUIDResult(
        eax: host(1).eax, ecx: 0x0000_0101 | host(leaf).ecx & 0x20,
        edx: 0x2C10_0800 | features & 0x0183_F3FF)
    case 0x8000_0002...0x8000_0004: return host(leaf)
    case 0x8000_0005, 0x8000_0006: return host(leaf)
    case 0x8000_0007: return CPUIDResult(edx: 1 << 8)
    case 0x8000_0008:
      return CPUIDResult(
        eax: 0x3000 | UInt32(truncatingIfNeeded: InterpretedProcessor.physicalAddressBits))
    default: return CPUIDResult()
    }
  }

  /// Bytes of an XSAVE image with the components of `state`.
  static func imageBytes(_ state: UInt64) -> UInt32 { state & 4 != 0 ? 832 : 576 }

  private static func extendedState(_ subleaf: UInt32) -> CPUIDResult {
    switch subleaf {
    case 0:
      return CPUIDResult(
        eax: UInt32(truncatingIfNeeded: vectorState), ebx: imageBytes(vectorState),
        ecx: imageBytes(vectorState))
    // XSAVEOPT, XSAVEC, XGETBV with ECX = 1.
    case 1: return CPUIDResult(eax: 7, ebx: imageBytes(vectorState))
    case 2 where vectorState & 4 != 0: return CPUIDResult(eax: 256, ebx: 576)
    default: return CPUIDResult()
    }
  }
}
