/// A configuration that can't be a machine; the text is a sentence for whoever wrote it.
public struct MachineError: Error, CustomStringConvertible, Sendable, Equatable {
  public let description: String

  public init(_ description: String) { self.description = description }
}
