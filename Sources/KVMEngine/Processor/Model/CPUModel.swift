/// Which processor a guest sees: a model by name, with features put on and taken away.
///
/// `host` is everything that the engine has on this host. The others are fixed sets, so that a guest
/// finds the same wherever it runs, also after a snapshot goes on elsewhere.
public struct CPUModel: Sendable, Equatable, CustomStringConvertible {
  /// A model or a feature that is not known, or an engine that lacks one; a sentence each.
  public struct Problem: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
  }

  /// The models' names.
  public static let names = ["host", "baseline", "x86-64-v2", "x86-64-v3", "i686"]
  /// Everything that the engine has.
  public static let host = CPUModel()

  /// As a user writes it.
  public let description: String
  /// The model's features; nil for all that there are.
  private let base: Set<String>?
  private let added: Set<String>
  private let removed: Set<String>
  /// The bits that may be set in each register that tells of features.
  private let allowed: [CPUIDPlace: UInt32]

  private init() {
    description = "host"
    (base, added, removed) = (nil, [], [])
    allowed = [:]
  }

  /// A model's name, and behind commas features with `+` to have them and `-` to go without.
  public init(_ text: String) throws(Problem) {
    if text == Self.host.description {
      self = .host
      return
    }
    var parts = text.split(separator: ",", omittingEmptySubsequences: false)[...]
    let name = parts.popFirst().map(String.init) ?? ""
    guard Self.names.contains(name) else {
      throw Problem(
        description: "there is no processor model \"\(name)\"; there are "
          + Self.names.joined(separator: ", "))
    }
    var (added, removed) = (Set<String>(), Set<String>())
    for part in parts {
      guard let sign = part.first, sign == "+" || sign == "-" else {
        throw Problem(
          description: "a processor's feature begins with + or -, as in host,-avx2; \"\(part)\""
            + " does not")
      }
      let feature = String(part.dropFirst())
      guard CPUFeature.named(feature) != nil else {
        let nearest = CPUFeature.nearest(to: feature) ?? ""
        throw Problem(
          description:
            "there is no processor feature \"\(feature)\"; the nearest name is \(nearest)")
      }
      if sign == "+" {
        added.formUnion(Self.closure(feature))
      } else {
        removed.formUnion(Self.dependents(feature))
      }
    }
    if let both = added.intersection(removed).min() {
      throw Problem(description: "the processor's feature \(both) is both asked for and taken away")
    }
    description = text
    base = Self.sets[name]
    self.added = added
    self.removed = removed
    allowed = Self.bits(base: base, added: added, removed: removed)
  }

  // MARK: Sets

  /// What the board brings, whatever the processor is: its own chips and what runs it.
  private static let board: Set<String> = [
    "apic", "x2apic", "tsc-deadline", "tsc-adjust", "invtsc", "hypervisor", "ht", "topoext",
    "arch-capabilities",
  ]
  private static let i686: Set<String> = [
    "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "sep", "mtrr", "pge", "mca",
    "cmov", "pat", "pse36", "mmx", "fxsr", "sse",
  ]
  private static let baseline = i686.union(["clflush", "sse2", "syscall", "nx", "lm"])
  private static let version2 = baseline.union([
    "cx16", "lahf", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2",
  ])
  private static let version3 = version2.union([
    "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave",
  ])
  /// By name; `host` has none.
  private static let sets: [String: Set<String>] = [
    "i686": i686, "baseline": baseline, "x86-64-v2": version2, "x86-64-v3": version3,
  ]

  /// `feature` and all that it is nothing without.
  private static func closure(_ feature: String) -> Set<String> {
    var result: Set<String> = [feature]
    for need in CPUFeature.needs[feature] ?? [] { result.formUnion(closure(need)) }
    return result
  }

  /// `feature` and all that is nothing without it.
  private static func dependents(_ feature: String) -> Set<String> {
    Set(CPUFeature.all.map(\.name).filter { closure($0).contains(feature) })
  }

  private static func bits(
    base: Set<String>?, added: Set<String>, removed: Set<String>
  ) -> [CPUIDPlace: UInt32] {
    let wanted = base.map { $0.union(board).union(added).subtracting(removed) }
    var result: [CPUIDPlace: UInt32] = [:]
    for feature in CPUFeature.all {
      let mask: UInt32 = 1 << UInt32(feature.bit)
      let isWanted = wanted?.contains(feature.name) ?? !removed.contains(feature.name)
      // Bits without a name are the host's alone.
      var value = result[feature.place] ?? (base == nil ? .max : 0)
      value = isWanted ? value | mask : value & ~mask
      result[feature.place] = value
    }
    return result
  }

  // MARK: CPUID

  /// Takes out of a leaf that the engine offers what the model has not.
  public func apply(
    leaf: UInt32, subleaf: UInt32, _ eax: inout UInt32, _ ebx: inout UInt32, _ ecx: inout UInt32,
    _ edx: inout UInt32
  ) {
    guard !allowed.isEmpty else { return }
    func mask(_ register: CPUIDRegister) -> UInt32 {
      allowed[CPUIDPlace(leaf, register, subleaf: subleaf)] ?? .max
    }
    eax &= mask(.eax)
    // Leaf 1 has numbers, not features, in EBX.
    ebx &= mask(.ebx)
    ecx &= mask(.ecx)
    edx &= leaf == 0x8000_0001 ? mask(.edx) | repeated : mask(.edx)
    if leaf == 0xD { applyStates(subleaf, &eax, &ebx, &ecx, &edx) }
    guard base != nil else { return }
    switch (leaf, subleaf) {
    case (7, 0): eax = 0
    case (7, _), (0x14, _), (0x19, _), (0x8000_000A, _), (0x8000_001F..., _):
      (eax, ebx, ecx, edx) = (0, 0, 0, 0)
    default: break
    }
  }

  /// Bits of leaf 1 that AMD's extended leaf repeats.
  private var repeated: UInt32 {
    0x0183_F3FF & (allowed[CPUIDPlace(1, .edx)] ?? .max)
  }

  private func has(_ name: String) -> Bool {
    guard let feature = CPUFeature.named(name) else { return false }
    return (allowed[feature.place] ?? .max) >> UInt32(feature.bit) & 1 != 0
  }

  /// What XSAVE saves follows from what there is to save (Intel SDM vol. 1, 13.2).
  private func applyStates(
    _ subleaf: UInt32, _ eax: inout UInt32, _ ebx: inout UInt32, _ ecx: inout UInt32,
    _ edx: inout UInt32
  ) {
    let wide: UInt32 = has("avx512f") ? 0xE0 : 0
    var states: UInt32 = has("xsave") ? 3 | (has("avx") ? 4 | wide : 0) : 0
    if has("xsave"), has("pku") { states |= 1 << 9 }
    if base == nil, has("xsave") { states |= ~UInt32(0x2E7) }
    switch subleaf {
    case 0:
      guard eax & ~states != 0 || states == 0 else { return }
      eax &= states
      edx = 0
      let bytes: UInt32 = eax & 0xE0 != 0 ? ecx : eax & 4 != 0 ? 832 : eax == 0 ? 0 : 576
      ecx = min(ecx, bytes)
      ebx = min(ebx, bytes)
    case 1: if !has("xsave") { (eax, ebx, ecx, edx) = (0, 0, 0, 0) }
    default:
      if subleaf > 31 || states >> subleaf & 1 == 0 { (eax, ebx, ecx, edx) = (0, 0, 0, 0) }
    }
  }

  /// Features of the model, or asked for beside it, that an engine lacks.
  /// - Parameter offers: what the engine has in a register of a leaf.
  public func missing(_ offers: (CPUIDPlace) -> UInt32) -> [String] {
    let wanted = (base ?? []).union(added).subtracting(removed)
    return CPUFeature.all.filter { wanted.contains($0.name) }
      .filter { offers($0.place) >> UInt32($0.bit) & 1 == 0 }.map(\.name)
  }

  /// - Parameter engine: whose processors they are, as a sentence's subject.
  /// - Throws: a sentence that names what the engine lacks.
  public func check(_ engine: String, _ offers: (CPUIDPlace) -> UInt32) throws(Problem) {
    let missing = missing(offers)
    guard !missing.isEmpty else { return }
    throw Problem(
      description: "--cpu \(description) needs \(missing.joined(separator: ", ")), which \(engine)"
        + " lacks; --cpu host takes what there is")
  }
}
