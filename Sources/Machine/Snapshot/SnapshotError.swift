/// A snapshot that can't be written or taken; the text is a sentence for the user.
public struct SnapshotError: Error, CustomStringConvertible, Sendable, Equatable {
  public let description: String

  public init(_ description: String) { self.description = description }
}
