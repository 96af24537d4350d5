import CStorage
import Glibc
import KVMEngine
import Synchronization

/// A file or block device that holds an image. It is closed, and so unlocked, when nobody holds it
/// any more.
final class ImageFile: HostFile {
  let path: String
  let isReadOnly: Bool
  let growsWithZeroes: Bool
  /// Device and inode: the same for every name of the file.
  let identity: FileIdentity
  let descriptor: Int32
  private let flushes: Bool
  private let direct: DirectTransfers?
  /// The errno of a flush that failed. The host forgets what it could not write, so that later ones
  /// would tell of success.
  private let lost = Atomic<Int32>(0)

  /// Opens `path`, without a lock.
  init(path: String, readOnly: Bool, cache: CacheMode = .writeback) throws(ImageError) {
    // O_NONBLOCK so that a pipe or a terminal is refused instead of waited for.
    let flags = (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK
    let isDirect = cache == .none
    var fd: Int32
    repeat {
      fd = open(path, flags | (isDirect ? cstorage_direct : 0))
    } while fd < 0 && errno == EINTR
    if fd < 0 && isDirect && errno == EINVAL {
      throw ImageError(
        path, .unsupported, "the file system of \(path) has no O_DIRECT; use another cache mode")
    }
    guard fd >= 0 else { throw ImageError.opening(path, readOnly: readOnly, code: errno) }
    descriptor = fd
    self.path = path
    isReadOnly = readOnly
    flushes = cache != .unsafe
    direct = isDirect ? DirectTransfers(descriptor: fd) : nil
    var status = stat()
    let isThere = fstat(fd, &status) == 0
    growsWithZeroes = status.st_mode & S_IFMT == S_IFREG
    identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    if !isThere { throw ImageError.opening(path, readOnly: readOnly, code: errno) }
  }

  deinit { close(descriptor) }

  /// BLKGETSIZE64 of linux/fs.h: _IOR(0x12, 114, size_t).
  private static let blockDeviceSize: UInt = 0x8008_1272

  func size() throws(ImageError) -> UInt64 {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw ImageError.opening(path, readOnly: isReadOnly, code: errno)
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      return UInt64(max(0, status.st_size))
    case S_IFBLK:
      var bytes: UInt64 = 0
      guard ioctl(descriptor, Self.blockDeviceSize, &bytes) == 0 else {
        throw ImageError.opening(path, readOnly: isReadOnly, code: errno)
      }
      return bytes
    case S_IFDIR:
      throw ImageError(path, .directory, "\(path) is a directory, not an image")
    default:
      throw ImageError(path, .notAnImage, "\(path) is neither a file nor a block device")
    }
  }

  func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
    if let direct { return direct.read(buffer, at: offset) }
    return retrying { pread(descriptor, buffer.baseAddress, buffer.count, off_t(clamping: offset)) }
  }

  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) -> Int {
    if let direct { return direct.write(buffer, at: offset) }
    return retrying {
      pwrite(descriptor, buffer.baseAddress, buffer.count, off_t(clamping: offset))
    }
  }

  func flush() -> Int32 { flushes ? flushAlways() : 0 }

  /// Returns when all that was written is on the storage, whatever the cache mode.
  func syncAlways() throws(ImageError) {
    let code = flushAlways()
    guard code == 0 else { throw ImageError.flushing(path, code: code) }
  }

  /// Has the host begin to bring what was written to the storage, which a later flush waits for.
  func startWriting() { _ = cstorage_start_writing(descriptor) }

  private func flushAlways() -> Int32 {
    let before = lost.load(ordering: .acquiring)
    guard before == 0 else { return before }
    let code = Int32(truncatingIfNeeded: -retrying { Int(fdatasync(descriptor)) })
    if code != 0 { lost.store(code, ordering: .releasing) }
    return code
  }

  func setSize(_ bytes: UInt64) -> Int32 {
    guard growsWithZeroes else { return EINVAL }
    return Int32(
      truncatingIfNeeded: -retrying { Int(ftruncate(descriptor, off_t(clamping: bytes))) })
  }

  /// Tried behind the end of a file, where nothing changes.
  var punches: Bool {
    guard growsWithZeroes, let size = try? size(), size < 1 << 60 else { return false }
    let block: UInt64 = 1 << 20
    let end = (size / block + 1) * block
    return punch(end..<(end + block)) == 0
  }

  func punch(_ range: Range<UInt64>) -> Int32 {
    let length = off_t(clamping: range.upperBound &- range.lowerBound)
    let start = off_t(clamping: range.lowerBound)
    return Int32(
      truncatingIfNeeded: -retrying { Int(cstorage_punch(descriptor, start, length)) })
  }

  /// Becomes a copy of `other` that shares its storage (FICLONE).
  /// - Returns: false where the file system can't.
  func share(_ other: ImageFile) -> Bool {
    // A length of 0 is the whole file.
    cstorage_clone(other.descriptor, descriptor, 0, 0) == 0
  }

  func run(at offset: UInt64) -> (isData: Bool, end: UInt64)? {
    let start = off_t(clamping: offset)
    let data = lseek(descriptor, start, cstorage_seek_data)
    if data < 0 {
      guard errno == ENXIO, let size = try? size(), offset < size else {
        // A file system that knows nothing of holes, or a device: all is data.
        guard errno != ENXIO, let size = try? size(), offset < size else { return nil }
        return (true, size)
      }
      return (false, size)
    }
    if data > start { return (false, UInt64(data)) }
    let hole = lseek(descriptor, start, cstorage_seek_hole)
    return (true, hole > start ? UInt64(hole) : offset &+ 1)
  }
}

/// What tells one file from another whatever their names.
struct FileIdentity: Hashable, Sendable {
  let device: UInt64
  let inode: UInt64
}

/// Makes a system call again for as long as signals interrupt it.
/// - Returns: its result, or the negative errno.
func retrying(_ call: () -> Int) -> Int {
  while true {
    let result = call()
    if result >= 0 { return result }
    if errno != EINTR { return -Int(errno) }
  }
}
