import Glibc

/// The descriptor of an image, closed (and so unlocked) when nobody holds it any more.
final class ImageFile: Sendable {
  private let descriptor: Int32
  private let path: String
  private let readOnly: Bool

  init(path: String, readOnly: Bool) throws(ImageError) {
    // O_NONBLOCK so that a pipe or a terminal is refused instead of waited for.
    let flags = (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK
    var fd: Int32
    repeat { fd = open(path, flags) } while fd < 0 && errno == EINTR
    guard fd >= 0 else { throw ImageError.opening(path, readOnly: readOnly, code: errno) }
    descriptor = fd
    self.path = path
    self.readOnly = readOnly
  }

  deinit { close(descriptor) }

  /// BLKGETSIZE64 of linux/fs.h: _IOR(0x12, 114, size_t).
  private static let blockDeviceSize: UInt = 0x8008_1272
  /// F_OFD_SETLK of fcntl(2).
  private static let setLock: Int32 = 37

  /// Bytes of the file or block device.
  func size() throws(ImageError) -> UInt64 {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw ImageError.opening(path, readOnly: readOnly, code: errno)
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      return UInt64(max(0, status.st_size))
    case S_IFBLK:
      var bytes: UInt64 = 0
      guard ioctl(descriptor, Self.blockDeviceSize, &bytes) == 0 else {
        throw ImageError.opening(path, readOnly: readOnly, code: errno)
      }
      return bytes
    case S_IFDIR:
      throw ImageError(path, .directory, "\(path) is a directory, not an image")
    default:
      throw ImageError(path, .notAnImage, "\(path) is neither a file nor a block device")
    }
  }

  func lock() throws(ImageError) {
    var lock = flock()
    lock.l_type = Int16(readOnly ? F_RDLCK : F_WRLCK)
    lock.l_whence = Int16(SEEK_SET)
    var result: Int32
    repeat { result = fcntl(descriptor, Self.setLock, &lock) } while result < 0 && errno == EINTR
    if result < 0 && (errno == EAGAIN || errno == EACCES) {
      throw ImageError.inUse(path, readOnly: readOnly)
    }
  }

  /// - Returns: bytes read, 0 at the file's end, or the negative errno.
  func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
    retrying { pread(descriptor, buffer.baseAddress, buffer.count, off_t(clamping: offset)) }
  }

  /// - Returns: bytes written, or the negative errno.
  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) -> Int {
    retrying { pwrite(descriptor, buffer.baseAddress, buffer.count, off_t(clamping: offset)) }
  }

  /// - Returns: 0 or the errno.
  func flush() -> Int32 { Int32(truncatingIfNeeded: -retrying { Int(fdatasync(descriptor)) }) }

  private func retrying(_ call: () -> Int) -> Int {
    while true {
      let result = call()
      if result >= 0 { return result }
      if errno != EINTR { return -Int(errno) }
    }
  }
}
