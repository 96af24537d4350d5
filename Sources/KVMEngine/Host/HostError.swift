import CKVM

/// The host refused something that the machine needs.
///
/// Its text is a sentence for the person who started the desktop: the thing, the operation, the
/// cause, and what to do where that is known.
public struct HostError: Error, CustomStringConvertible, Sendable, Equatable {
  /// What was tried, as `open /dev/kvm`.
  public let operation: String
  /// The errno, or 0 where there was none.
  public let code: Int32
  /// What the user can do, or why it matters; empty where there is nothing to say.
  public let advice: String

  public init(_ operation: String, code: Int32 = 0, advice: String = "") {
    self.operation = operation
    self.code = code
    self.advice = advice
  }

  public var description: String {
    var text = "cannot \(operation)"
    if code != 0 { text += ": \(HostError.text(of: code))" }
    if !advice.isEmpty { text += "; \(advice)" }
    return text
  }

  /// The C library's words for an errno, first letter in lower case.
  public static func text(of code: Int32) -> String {
    let text = String(cString: ckvm_error_text(code))
    return text.prefix(1).lowercased() + text.dropFirst()
  }
}
