import Interpreter
import KVMEngine

/// What CPUID tells a guest of how many processors there are and which one asks: all of them cores
/// of one package, without threads (Intel SDM vol. 2A, CPUID leaves 1, 4, 0Bh; AMD APM vol. 3,
/// 8000_0001h, 8000_0008h, 8000_001Eh).
struct GuestTopology {
  let index: Int
  let count: Int

  private static let hyperThreading: UInt32 = 1 << 28
  private static let x2APIC: UInt32 = 1 << 21
  private static let deadlineTimer: UInt32 = 1 << 24
  private static let legacyCores: UInt32 = 1 << 1

  /// How many low bits of an APIC ID tell the cores of a package apart.
  private var coreBits: UInt32 {
    var bits: UInt32 = 0
    while 1 << bits < count { bits += 1 }
    return bits
  }

  /// `result`, with what depends on the processor put in.
  func applied(to result: CPUIDResult, leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
    var result = result
    let identifier = UInt32(truncatingIfNeeded: index)
    switch leaf {
    case 0: result.eax = max(result.eax, 0xB)
    case 1:
      result.ebx = result.ebx & 0xFF00 | (UInt32(1) << coreBits) << 16 | identifier << 24
      result.ecx |= Self.x2APIC | Self.deadlineTimer
      if count > 1 { result.edx |= Self.hyperThreading }
    case 4 where result.eax & 0x1F != 0:
      result.eax = result.eax & 0x3FFF | ((UInt32(1) << coreBits) - 1) << 26
    case 0xB: return level(subleaf)
    case 0x8000_0001 where count > 1: result.ecx |= Self.legacyCores
    case 0x8000_0008:
      result.ecx = UInt32(truncatingIfNeeded: max(0, count - 1)) | coreBits << 12
    case 0x8000_001E where result != CPUIDResult():
      result = CPUIDResult(eax: identifier, ebx: identifier)
    default: break
    }
    return result
  }

  /// What a processor in software has in a register of a leaf.
  func offers(_ place: CPUIDPlace) -> UInt32 {
    let leaf = applied(
      to: HostCPUID.result(place.leaf, place.subleaf), leaf: place.leaf, subleaf: place.subleaf)
    return switch place.register {
    case .eax: leaf.eax
    case .ebx: leaf.ebx
    case .ecx: leaf.ecx
    case .edx: leaf.edx
    }
  }

  /// Leaf 0Bh: a level of one thread, a level of all cores, and the end.
  private func level(_ subleaf: UInt32) -> CPUIDResult {
    let identifier = UInt32(truncatingIfNeeded: index)
    return switch subleaf {
    case 0: CPUIDResult(eax: 0, ebx: 1, ecx: 1 << 8, edx: identifier)
    case 1:
      CPUIDResult(
        eax: coreBits, ebx: UInt32(truncatingIfNeeded: count), ecx: 2 << 8 | 1, edx: identifier)
    default: CPUIDResult(ecx: subleaf & 0xFF, edx: identifier)
    }
  }
}
