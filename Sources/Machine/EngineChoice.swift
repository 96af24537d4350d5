import KVMEngine

/// Which engine a desktop gets where nobody chose one, and why.
public struct EngineChoice: Sendable, Equatable {
  public let engine: EngineKind
  /// Why, as a sentence's end: `this host's KVM runs whole processors`.
  public let reason: String

  /// Asks the host. Nothing is tried, so that it takes microseconds.
  public static func forThisHost() -> EngineChoice { EngineChoice(HostProbe.support()) }

  /// The engine that a host with such a KVM is best served by.
  public init(_ support: KVMSupport) {
    switch support {
    case .whole:
      engine = .kvm
      reason = "this host's KVM runs whole processors"
    case .userCodeOnly:
      engine = .hybrid
      reason =
        "this host's processor has no virtualization of its own, so that its KVM runs 64-bit"
        + " user code only at full speed; the interpreter runs everything else"
    case .none(let problem):
      engine = .software
      reason = "the interpreter runs everything, which is slower: \(problem)"
    }
  }
}
