/// A register that CPUID answers in.
public enum CPUIDRegister: Sendable, Hashable {
  case eax, ebx, ecx, edx
}

/// Where CPUID tells of features: a register of one leaf.
public struct CPUIDPlace: Sendable, Hashable {
  public let leaf: UInt32
  public let subleaf: UInt32
  public let register: CPUIDRegister

  init(_ leaf: UInt32, _ register: CPUIDRegister, subleaf: UInt32 = 0) {
    self.leaf = leaf
    self.subleaf = subleaf
    self.register = register
  }
}

/// A feature of a processor, by the name that users know, and the bit that tells of it (Intel SDM
/// vol. 2A, CPUID; AMD APM vol. 3, appendix E).
public struct CPUFeature: Sendable, Hashable {
  public let name: String
  public let place: CPUIDPlace
  /// 0 to 31.
  public let bit: Int

  /// Every feature that has a name.
  public static let all: [CPUFeature] = table.flatMap { place, names in
    names.map { CPUFeature(name: $0.key, place: place, bit: $0.value) }
  }.sorted { $0.name < $1.name }

  /// The feature called `name`.
  public static func named(_ name: String) -> CPUFeature? { all.first { $0.name == name } }

  private static let table: [(CPUIDPlace, KeyValuePairs<String, Int>)] = [
    (
      CPUIDPlace(1, .edx),
      [
        "fpu": 0, "vme": 1, "de": 2, "pse": 3, "tsc": 4, "msr": 5, "pae": 6, "mce": 7, "cx8": 8,
        "apic": 9, "sep": 11, "mtrr": 12, "pge": 13, "mca": 14, "cmov": 15, "pat": 16, "pse36": 17,
        "clflush": 19, "mmx": 23, "fxsr": 24, "sse": 25, "sse2": 26, "ss": 27, "ht": 28,
      ]
    ),
    (
      CPUIDPlace(1, .ecx),
      [
        "sse3": 0, "pclmulqdq": 1, "monitor": 3, "ssse3": 9, "fma": 12, "cx16": 13, "pcid": 17,
        "sse4.1": 19, "sse4.2": 20, "x2apic": 21, "movbe": 22, "popcnt": 23, "tsc-deadline": 24,
        "aes": 25, "xsave": 26, "avx": 28, "f16c": 29, "rdrand": 30, "hypervisor": 31,
      ]
    ),
    (
      CPUIDPlace(7, .ebx),
      [
        "fsgsbase": 0, "tsc-adjust": 1, "bmi1": 3, "avx2": 5, "smep": 7, "bmi2": 8, "erms": 9,
        "invpcid": 10, "avx512f": 16, "avx512dq": 17, "rdseed": 18, "adx": 19, "smap": 20,
        "avx512ifma": 21, "clflushopt": 23, "clwb": 24, "avx512cd": 28, "sha": 29, "avx512bw": 30,
        "avx512vl": 31,
      ]
    ),
    (
      CPUIDPlace(7, .ecx),
      [
        "avx512vbmi": 1, "umip": 2, "pku": 3, "avx512vbmi2": 6, "gfni": 8, "vaes": 9,
        "vpclmulqdq": 10, "avx512vnni": 11, "avx512bitalg": 12, "avx512vpopcntdq": 14, "la57": 16,
        "rdpid": 22,
      ]
    ),
    (
      CPUIDPlace(7, .edx),
      ["fsrm": 4, "spec-ctrl": 26, "stibp": 27, "arch-capabilities": 29, "ssbd": 31]
    ),
    (CPUIDPlace(0xD, .eax, subleaf: 1), ["xsaveopt": 0, "xsavec": 1, "xgetbv1": 2, "xsaves": 3]),
    (
      CPUIDPlace(0x8000_0001, .ecx),
      [
        "lahf": 0, "svm": 2, "abm": 5, "sse4a": 6, "misalignsse": 7, "prefetchw": 8, "fma4": 16,
        "tbm": 21, "topoext": 22,
      ]
    ),
    (
      CPUIDPlace(0x8000_0001, .edx),
      [
        "syscall": 11, "nx": 20, "mmxext": 22, "fxsr-opt": 25, "pdpe1gb": 26, "rdtscp": 27,
        "lm": 29,
      ]
    ),
    (CPUIDPlace(0x8000_0007, .edx), ["invtsc": 8]),
    (CPUIDPlace(0x8000_0008, .ebx), ["clzero": 0, "ibpb": 12]),
  ]

  /// What a feature is nothing without.
  static let needs: [String: [String]] = [
    "sse": ["fxsr"], "sse2": ["sse"], "sse3": ["sse2"], "ssse3": ["sse3"], "sse4.1": ["ssse3"],
    "sse4.2": ["sse4.1"], "aes": ["sse2"], "pclmulqdq": ["sse2"], "sha": ["sse2"],
    "gfni": ["sse2"], "xsaveopt": ["xsave"], "xsavec": ["xsave"], "xgetbv1": ["xsave"],
    "xsaves": ["xsavec"], "pku": ["xsave"], "avx": ["xsave", "sse4.2"], "f16c": ["avx"],
    "fma": ["avx"], "avx2": ["avx"], "fma4": ["avx"], "vaes": ["avx", "aes"],
    "vpclmulqdq": ["avx", "pclmulqdq"], "avx512f": ["avx2", "fma", "f16c"],
    "avx512dq": ["avx512f"], "avx512ifma": ["avx512f"], "avx512cd": ["avx512f"],
    "avx512bw": ["avx512f"], "avx512vl": ["avx512f"], "avx512vbmi": ["avx512bw"],
    "avx512vbmi2": ["avx512bw"], "avx512vnni": ["avx512f"], "avx512bitalg": ["avx512bw"],
    "avx512vpopcntdq": ["avx512f"], "lm": ["pae", "sse2"], "nx": ["pae"], "pdpe1gb": ["lm"],
    "cx16": ["lm"], "invpcid": ["pcid"], "pcid": ["lm"],
  ]

  /// The named feature that `name` was perhaps meant to be.
  static func nearest(to name: String) -> String? {
    all.map { ($0.name, distance(Array($0.name.utf8), Array(name.utf8))) }
      .min { $0.1 < $1.1 }?.0
  }

  /// Letters to change, add or leave out between one and the other.
  private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var row = Array(0...other.count)
    for (index, letter) in one.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in other.indices {
        let replaced = diagonal + (letter == other[column] ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(replaced, min(diagonal, row[column]) + 1)
      }
    }
    return row.last ?? 0
  }
}
