import Glibc
import KVMEngine
import Storage

/// What a file that is to become an image is. While this is there, nobody else writes to the file.
struct ImageProbe {
  /// Bytes of the file.
  let fileSize: Int64
  let format: ImageFormat
  let kind: DriveKind
  /// The file as an image, which has its lock.
  private let image: any StoredImage

  /// Bytes of the medium.
  var size: Int64 { Int64(clamping: image.byteCount) }

  /// Looks at the file at `path`.
  /// - Parameters:
  ///   - format: what it is, where somebody knows; otherwise its first bytes say.
  ///   - kind: the same for its drive.
  /// - Throws: a sentence where it is none, needs another file, ends too early, or is written to.
  init(_ path: String, descriptor: Int32, format: ImageFormat?, kind: DriveKind?) throws {
    fileSize = try Self.fileSize(path, descriptor)
    let start = try QCOW2Start(descriptor, path: path)
    self.format = format ?? (start == nil ? .raw : .qcow2)
    guard self.format == .raw || start?.backing == nil else {
      throw Complaint(
        "\(path) is an overlay and needs the file below it; make one file of both with "
          + "porthole disk convert, and import that")
    }
    let isDisk = self.format == .qcow2
    self.kind = try kind ?? (isDisk ? .hardDisk : MediaGuess.kind(of: path))
    image = try DiskImage.open(path: path, readOnly: true, format: self.format)
    guard image.byteCount > 0 else { throw Complaint("\(path) is a disk of 0 bytes") }
    // The same checks as when a desktop opens it: partitions or a volume beyond its end.
    _ = try Medium(
      DriveDescription(kind: self.kind, path: path, readOnly: true, format: self.format))
  }

  private static func fileSize(_ path: String, _ descriptor: Int32) throws -> Int64 {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw HostError("read \(path)", code: errno) }
    let end: off_t
    switch status.st_mode & S_IFMT {
    case S_IFREG: end = status.st_size
    case S_IFBLK: end = lseek(descriptor, 0, SEEK_END)
    case S_IFDIR: throw Complaint("\(path) is a folder; an image is a file or a block device")
    default: throw Complaint("\(path) is neither a file nor a block device, so it is no image")
    }
    guard end > 0 else { throw Complaint("\(path) is empty, so it is no image") }
    return Int64(end)
  }
}

/// The first bytes of a qcow2 file (QEMU, docs/interop/qcow2.rst): as much as is needed to refuse an
/// overlay before any file that it names is opened, and to tell what an overlay lies upon.
struct QCOW2Start: Equatable {
  private static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xFB]
  private static let headerBytes = 20
  private static let longestName = 1023
  /// The file below it, as its name stands in the header.
  let backing: String?

  /// Reads the start of an open file; nil where it is no qcow2 file.
  init?(_ descriptor: Int32, path: String) throws {
    let bytes = try Self.read(descriptor, count: Self.headerBytes, at: 0, path)
    guard bytes.starts(with: Self.magic), bytes.count == Self.headerBytes else { return nil }
    func number(_ range: Range<Int>) -> UInt64 {
      bytes[range].reduce(0) { $0 << 8 | UInt64($1) }
    }
    let offset = number(8..<16)
    let length = number(16..<20)
    guard offset != 0 else {
      backing = nil
      return
    }
    guard length <= UInt64(Self.longestName), offset <= UInt64(UInt32.max) else {
      throw Complaint("\(path) is a damaged overlay: the name of the file below it is nowhere")
    }
    let name = try Self.read(descriptor, count: Int(length), at: off_t(offset), path)
    backing = String(decoding: name, as: UTF8.self)
  }

  /// The same of the file at `path`.
  static func of(_ path: String) throws -> QCOW2Start? {
    let descriptor = Descriptor(owning: open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK))
    guard descriptor.number >= 0 else { throw HostError("open \(path)", code: errno) }
    return try QCOW2Start(descriptor.number, path: path)
  }

  private static func read(
    _ descriptor: Int32, count: Int, at offset: off_t, _ path: String
  ) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = pread(descriptor, &bytes, bytes.count, offset)
    // Sockets and pipes have no bytes at an offset, and so are no image.
    guard got >= 0 else {
      if errno == ESPIPE || errno == EISDIR { return [] }
      throw HostError("read \(path)", code: errno)
    }
    return Array(bytes.prefix(got))
  }
}
