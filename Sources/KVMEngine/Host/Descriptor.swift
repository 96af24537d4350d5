import Glibc

/// A file descriptor that closes itself.
public struct Descriptor: ~Copyable, Sendable {
  /// The number, valid for as long as this value lives.
  public let number: Int32

  /// Takes over `number`, which nobody else closes from now on.
  public init(owning number: Int32) { self.number = number }

  deinit { close(number) }
}
