import Glibc

/// The locks by which programs keep out of each other's images: QEMU's, so that its programs and ours
/// respect each other (QEMU, docs/system/images.rst, "Disk image file locking").
///
/// Byte 100 + n is locked by who does what n stands for, byte 200 + n by who bears nobody that does.
/// Each program takes its locks, shared, and then looks whether another's contradict them. They are
/// open file description locks (fcntl(2)) and end with the descriptor.
enum ImageLock {
  /// What can be done to an image: the number is the bit of QEMU's block permissions.
  private enum Use: off_t, CaseIterable {
    case read = 0
    case write = 1
    case writeUnchanged = 2
    case resize = 3
  }

  private static let doing: off_t = 100
  private static let forbidding: off_t = 200
  /// F_OFD_GETLK and F_OFD_SETLK of fcntl(2).
  private static let getLock: Int32 = 36
  private static let setLock: Int32 = 37

  /// Takes the locks for `file`: a writer bears nobody beside, readers only each other. File systems
  /// that know no locks get none.
  /// - Throws: ``ImageError`` `.inUse`.
  static func take(_ file: ImageFile) throws(ImageError) {
    let uses: [Use] = file.isReadOnly ? [.read] : [.read, .write, .resize]
    let excluded: [Use] = file.isReadOnly ? [.write, .resize] : Use.allCases
    let own = uses.map { doing + $0.rawValue } + excluded.map { forbidding + $0.rawValue }
    let others = uses.map { forbidding + $0.rawValue } + excluded.map { doing + $0.rawValue }
    for byte in own where !lock(file.descriptor, byte) {
      throw ImageError.inUse(file.path, readOnly: file.isReadOnly)
    }
    for byte in others where isHeld(file.descriptor, byte) {
      throw ImageError.inUse(file.path, readOnly: file.isReadOnly)
    }
  }

  private static func request(_ type: Int32, _ byte: off_t) -> flock {
    var lock = flock()
    lock.l_type = Int16(type)
    lock.l_whence = Int16(SEEK_SET)
    lock.l_start = byte
    lock.l_len = 1
    return lock
  }

  /// - Returns: false where another holds a lock that excludes this one.
  private static func lock(_ descriptor: Int32, _ byte: off_t) -> Bool {
    var lock = request(F_RDLCK, byte)
    let result = retrying { Int(fcntl(descriptor, setLock, &lock)) }
    return result != -Int(EAGAIN) && result != -Int(EACCES)
  }

  /// Whether another descriptor has a lock there.
  private static func isHeld(_ descriptor: Int32, _ byte: off_t) -> Bool {
    var lock = request(F_WRLCK, byte)
    let result = retrying { Int(fcntl(descriptor, getLock, &lock)) }
    return result >= 0 && lock.l_type != Int16(F_UNLCK)
  }
}
