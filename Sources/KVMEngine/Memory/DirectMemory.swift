/// Guest-physical memory as a bus master reaches it that holds its own lock meanwhile: RAM, ROM and
/// windows, and no device. What is not memory reads as all ones and takes no writes.
///
/// A guest may send such a device anywhere, also to its own registers, where it would wait for itself.
public struct DirectMemory: Sendable {
  private let space: AddressSpace

  public init(_ space: AddressSpace) { self.space = space }

  /// A little-endian load from guest-physical memory.
  public func load<Value: FixedWidthInteger>(_ address: UInt64, as type: Value.Type) -> Value {
    var value: Value = 0
    withUnsafeMutableBytes(of: &value) { space.read(address, into: $0, elsewhere: nil) }
    return Value(littleEndian: value)
  }

  /// A little-endian store to guest-physical memory.
  public func store<Value: FixedWidthInteger>(_ value: Value, at address: UInt64) {
    withUnsafeBytes(of: value.littleEndian) { space.write(address, from: $0, elsewhere: nil) }
  }

  /// `count` bytes from guest-physical `address` on.
  public func bytes(at address: UInt64, count: Int) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: max(0, count))
    result.withUnsafeMutableBytes { space.read(address, into: $0, elsewhere: nil) }
    return result
  }

  /// Copies `bytes` to guest-physical memory from `address` on.
  public func write(_ address: UInt64, bytes: [UInt8]) {
    bytes.withUnsafeBytes { space.write(address, from: $0, elsewhere: nil) }
  }
}
