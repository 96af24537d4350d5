import CKVM
import Glibc

/// A piece of host memory in a memory file (memfd), mapped shared: guest RAM, a ROM's image, the
/// display's memory. It unmaps itself.
public final class MemoryBlock: @unchecked Sendable {
  // SAFETY: `base` maps `size` bytes from `init` to `deinit`. Guest and host write them at any
  // time; every accessor checks its bounds, and readers take torn values for what they are.
  /// Where the block lies in this process.
  public let base: UnsafeMutableRawPointer
  /// Bytes, a multiple of 4096.
  public let size: Int
  /// What processors in software have decoded from the block.
  public let code: CodePages
  /// The memory file, for those who map it once more (a snapshot, another process).
  public let descriptor: Int32

  /// Makes a block of zeroes; pages cost memory when they are first touched.
  /// - Parameter size: bytes, rounded up to whole pages of 4096.
  public init(name: String, size: Int) throws(HostError) {
    guard size > 0, size <= 1 << 46 else {
      throw HostError("make memory for \(name)", code: EINVAL)
    }
    let rounded = (size + 4095) & ~4095
    let fd = ckvm_memory_file(name, UInt64(rounded))
    guard fd >= 0 else { throw HostError("make memory for \(name)", code: -fd) }
    let address = mmap(
      nil, rounded, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0)
    guard let address, address != MAP_FAILED else {
      let code = errno
      close(fd)
      throw HostError("map \(rounded >> 20) MiB for \(name)", code: code)
    }
    self.base = address
    self.size = rounded
    self.descriptor = fd
    self.code = CodePages(count: rounded >> 12)
  }

  deinit {
    munmap(base, size)
    close(descriptor)
  }

  /// The bytes of `range`, or nil where it leaves the block.
  @inlinable
  public func bytes(at offset: Int, count: Int) -> UnsafeMutableRawBufferPointer? {
    guard offset >= 0, count >= 0, offset <= size, count <= size - offset else { return nil }
    return UnsafeMutableRawBufferPointer(start: base + offset, count: count)
  }
}
