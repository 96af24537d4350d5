/// A key that types nothing by itself, and changes what the next one types.
struct DeadKey: Sendable {
  /// X11's name without `dead_`.
  let name: String
  /// X11's keysym.
  let keysym: UInt32
  /// What it types before a space, and what before itself; empty where that is nothing.
  let alone: String
  let twice: String
  /// Characters in pairs: what follows, and what both make together. Line feeds don't count.
  let pairs: String

  static func named(_ name: Substring) -> DeadKey? { all.first { $0.name == name } }

  /// Calls `body` with each character that may follow, and the one that both make.
  func forEachPair(_ body: (_ base: Unicode.Scalar, _ made: Unicode.Scalar) -> Void) {
    var base: Unicode.Scalar?
    for scalar in pairs.unicodeScalars where scalar != "\n" {
      if let first = base {
        body(first, scalar)
        base = nil
      } else {
        base = scalar
      }
    }
  }
}
