import Glibc
import KVMEngine
import Synchronization

/// Transfers past the host's cache: O_DIRECT wants places, lengths and memory at borders of the
/// device's blocks, so what does not lie so goes through memory that does.
final class DirectTransfers: Sendable {
  private let descriptor: Int32
  private let alignment: Int
  /// The memory between, and with it the turn of whoever changes part of a block.
  private let bounce: Mutex<ZeroedMemory>
  private static let bounceBytes = 256 << 10

  /// - Parameter descriptor: opened with O_DIRECT; it outlives this.
  init(descriptor: Int32) {
    self.descriptor = descriptor
    let memory = ZeroedMemory(byteCount: Self.bounceBytes)
    // What a sector's read answers tells whether sectors are enough.
    let got = retrying { pread(descriptor, memory.bytes.baseAddress, 512, 0) }
    alignment = got < 0 ? 4096 : 512
    bounce = Mutex(memory)
  }

  func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
    if isAligned(buffer.baseAddress, buffer.count, offset) {
      return retrying {
        pread(descriptor, buffer.baseAddress, buffer.count, off_t(clamping: offset))
      }
    }
    return bounce.withLock { memory in
      let skip = Int(offset % UInt64(alignment))
      let length = min(rounded(skip &+ min(buffer.count, Self.bounceBytes)), Self.bounceBytes)
      let got = retrying {
        pread(descriptor, memory.bytes.baseAddress, length, off_t(clamping: offset) &- off_t(skip))
      }
      guard got > skip else { return min(got, 0) }
      let count = min(got - skip, buffer.count)
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory.bytes[skip..<(skip + count)]))
      return count
    }
  }

  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) -> Int {
    bounce.withLock { memory in
      if isAligned(buffer.baseAddress, buffer.count, offset) {
        return retrying {
          pwrite(descriptor, buffer.baseAddress, buffer.count, off_t(clamping: offset))
        }
      }
      return writeThrough(memory.bytes, buffer, at: offset)
    }
  }

  /// Reads the blocks around, changes them and writes them; a file that ends within the last one
  /// keeps its length where that was enough.
  private func writeThrough(
    _ memory: UnsafeMutableRawBufferPointer, _ buffer: UnsafeRawBufferPointer, at offset: UInt64
  ) -> Int {
    let skip = Int(offset % UInt64(alignment))
    let count = min(buffer.count, Self.bounceBytes - skip)
    let length = rounded(skip + count)
    let start = off_t(clamping: offset) &- off_t(skip)
    var had = 0
    if skip != 0 || length != count {
      let got = retrying { pread(descriptor, memory.baseAddress, length, start) }
      guard got >= 0 else { return got }
      had = got
      UnsafeMutableRawBufferPointer(rebasing: memory[had..<length])
        .initializeMemory(as: UInt8.self, repeating: 0)
    }
    UnsafeMutableRawBufferPointer(rebasing: memory[skip..<(skip + count)])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    let put = retrying { pwrite(descriptor, memory.baseAddress, length, start) }
    guard put > skip else { return min(put, 0) }
    let end = max(had, skip + count)
    if (skip != 0 || length != count) && end < put {
      let cut = retrying { Int(ftruncate(descriptor, start + off_t(end))) }
      // A device has no length of its own to keep.
      guard cut >= 0 || cut == -Int(EINVAL) else { return cut }
    }
    return min(put - skip, count)
  }

  private func rounded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

  private func isAligned(_ memory: UnsafeRawPointer?, _ count: Int, _ offset: UInt64) -> Bool {
    (UInt(bitPattern: memory) | UInt(bitPattern: count) | UInt(truncatingIfNeeded: offset))
      % UInt(alignment) == 0
  }
}
