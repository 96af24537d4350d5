import Glibc
import KVMEngine
import Storage

/// Tells from an image which drive it belongs in.
enum MediaGuess {
  /// Where an ISO 9660 volume descriptor's identifier stands (ECMA-119, 8.1.2 in sector 16).
  private static let isoIdentifierOffset: Int64 = 16 * 2048 + 1
  private static let isoIdentifier = Array("CD001".utf8)
  /// Bytes of every floppy format that a PC's BIOS knows.
  private static let floppySizes: Set<Int64> = [
    163_840, 184_320, 327_680, 368_640, 737_280, 1_228_800, 1_474_560, 1_720_320, 2_949_120,
  ]

  /// The drive for the image at `path`: an ISO 9660 volume is a CD, what has a floppy's exact size
  /// is one, and the rest are hard disks. A name's ending decides where the contents don't.
  static func kind(of path: String) throws -> DriveKind {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw HostError("open image \(path)", code: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw HostError("read image \(path)", code: errno)
    }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw HostError("open image \(path)", advice: "it is a folder")
    }
    return kind(
      size: Int64(status.st_size), isVolume: holdsVolume(descriptor), name: path.lowercased())
  }

  /// The same, from what is known about an image.
  static func kind(size: Int64, isVolume: Bool, name: String) -> DriveKind {
    if isVolume || name.hasSuffix(".iso") { return .cdrom }
    if floppySizes.contains(size) { return .floppy }
    for ending in [".flp", ".vfd", ".ima", ".fd"] where name.hasSuffix(ending) { return .floppy }
    return .hardDisk
  }

  private static func holdsVolume(_ descriptor: Int32) -> Bool {
    var bytes = [UInt8](repeating: 0, count: isoIdentifier.count)
    let count = pread(descriptor, &bytes, bytes.count, off_t(isoIdentifierOffset))
    return count == bytes.count && bytes == isoIdentifier
  }
}
