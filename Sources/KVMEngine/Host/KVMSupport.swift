import CKVM

/// What a host's KVM is good for.
public enum KVMSupport: Sendable, Equatable {
  /// Every mode runs on the host's processor.
  case whole
  /// KVM is there, and the host's processor has no virtualization underneath it: such a KVM runs
  /// user code and emulates the rest, slowly and not all of it.
  case userCodeOnly
  /// KVM can't be used; the sentence says why.
  case none(String)
}

extension HostProbe {
  /// What this host's KVM is good for, by what can be asked without trying.
  public static func support() -> KVMSupport {
    do throws(HostError) {
      try KVMSystem().requireNeededCapabilities()
    } catch {
      return .none(error.description)
    }
    return ckvm_has_virtualization() != 0 ? .whole : .userCodeOnly
  }
}
