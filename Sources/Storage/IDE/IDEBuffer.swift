import KVMEngine

/// A controller's buffer between image and host.
///
/// It belongs to whoever holds the controller's lock, but for the worker while a job is under way.
final class IDEBuffer: @unchecked Sendable {
  // SAFETY: its only users take turns as said above, and every range is cut to the memory.
  private let owner = ZeroedMemory(byteCount: IDEBuffer.bytes)
  private let memory: UnsafeMutableRawBufferPointer

  /// Bytes: 256 sectors, the most that a 28-bit command moves.
  static let bytes = 256 * Sector.bytes

  init() { memory = owner.bytes }

  /// The bytes from `start` up to `end`, as far as there are such.
  func bytes(from start: Int, to end: Int) -> UnsafeMutableRawBufferPointer {
    let first = min(max(0, start), Self.bytes)
    return UnsafeMutableRawBufferPointer(rebasing: memory[first..<max(first, min(end, Self.bytes))])
  }

  /// The little-endian value of `count` bytes at `position`; `count` is 1 to 4.
  @inline(__always)
  func load(_ position: Int, count: Int) -> UInt32 {
    guard position >= 0, count <= 4, position <= Self.bytes &- 4 else {
      return slowLoad(position, count: count)
    }
    let value = UInt32(
      littleEndian: memory.loadUnaligned(fromByteOffset: position, as: UInt32.self))
    return count == 4 ? value : value & ((1 << UInt32(count &* 8)) &- 1)
  }

  private func slowLoad(_ position: Int, count: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in 0..<min(max(0, count), 4) where memory.indices.contains(position &+ index) {
      value |= UInt32(memory[position &+ index]) << UInt32(index * 8)
    }
    return value
  }

  @inline(__always)
  func store(_ value: UInt32, _ position: Int, count: Int) {
    if count == 2, position >= 0, position <= Self.bytes &- 2 {
      let word = UInt16(truncatingIfNeeded: value).littleEndian
      memory.storeBytes(of: word, toByteOffset: position, as: UInt16.self)
      return
    }
    if count == 4, position >= 0, position <= Self.bytes &- 4 {
      memory.storeBytes(of: value.littleEndian, toByteOffset: position, as: UInt32.self)
      return
    }
    for index in 0..<min(max(0, count), 4) where memory.indices.contains(position &+ index) {
      memory[position &+ index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
    }
  }

  /// Puts `contents` at the beginning.
  /// - Returns: how many bytes had room.
  func fill(_ contents: [UInt8]) -> Int {
    let count = min(contents.count, Self.bytes)
    memory.copyBytes(from: contents.prefix(count))
    return count
  }

  /// The first `count` bytes.
  func prefix(_ count: Int) -> [UInt8] { Array(bytes(from: 0, to: count)) }
}
