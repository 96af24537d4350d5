/// What becomes of the sectors that a guest says it needs no more (TRIM).
public enum DiscardMode: String, Sendable, Codable, CaseIterable {
  /// Their room goes back to the host, and they read as zeroes.
  case unmap
  /// The disk does not know such a command.
  case ignore
}
