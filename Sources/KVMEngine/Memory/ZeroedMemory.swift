import Glibc

/// Memory of zeroes that begins at a page, and costs the host nothing where nobody writes to it.
public final class ZeroedMemory: @unchecked Sendable {
  // SAFETY: the memory lives from init to deinit; who shares what is in it has a lock for it.
  private let whole: UnsafeMutableRawPointer
  /// The memory.
  public let bytes: UnsafeMutableRawBufferPointer

  /// Makes memory of `byteCount` bytes.
  public init(byteCount: Int) {
    let page = 4096
    let room = max(0, byteCount) &+ page
    // What calloc can't give ends the process as every allocation does that fails.
    whole = calloc(1, room) ?? .allocate(byteCount: room, alignment: 16)
    bytes = UnsafeMutableRawBufferPointer(
      start: whole.alignedUp(toMultipleOf: page), count: room &- page)
  }

  deinit { free(whole) }

  /// The memory as `count` values of a type whose zero bits are a value. It has room for them.
  public func values<Value>(_ type: Value.Type, count: Int) -> UnsafeMutablePointer<Value> {
    whole.alignedUp(toMultipleOf: 4096).bindMemory(to: type, capacity: count)
  }
}
