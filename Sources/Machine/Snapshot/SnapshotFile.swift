import Glibc
import KVMEngine

/// The form of a snapshot's file: a magic, a version, then sections, each with its kind, its length
/// and a checksum; the last one counts them. Numbers are little-endian.
enum SnapshotFile {
  static let magic = Array("PortholeSnapshot".utf8)
  /// Changes whenever an older program could not read what this one writes.
  static let version: UInt32 = 1
  /// Bytes of a section at most: what reading one takes of memory.
  static let largestSection = 1 << 20
  static let headBytes = 16

  enum Kind: UInt32 {
    case description = 0x4353_4544  // DESC
    case memory = 0x204D_454D  // MEM
    case processor = 0x2055_5043  // CPU
    case device = 0x2056_4544  // DEV
    case end = 0x2044_4E45  // END
  }

  struct Section {
    var kind: Kind
    var bytes: [UInt8]
  }

  /// A 64-bit checksum against accidents: eight bytes a step, multiplied and folded.
  static func checksum(_ kind: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    let prime: UInt64 = 0x9E37_79B9_7F4A_7C15
    var sum = UInt64(kind) &* prime ^ UInt64(bytes.count)
    var place = 0
    while place < bytes.count {
      var word: UInt64 = 0
      if bytes.count - place >= 8 {
        word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
      } else {
        for byte in bytes[place...].reversed() { word = word << 8 | UInt64(byte) }
      }
      sum = (sum ^ word) &* prime
      sum ^= sum >> 29
      place += 8
    }
    return sum
  }

  static func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }

  static func number<Number: FixedWidthInteger>(
    _ bytes: some RandomAccessCollection<UInt8>, as type: Number.Type
  ) -> Number {
    bytes.prefix(Number.bitWidth / 8).reversed().reduce(0) { $0 << 8 | Number($1) }
  }
}

/// Writes a snapshot beside its place; ``finish()`` makes it durable and puts it there.
final class SnapshotWriter {
  private let path: String
  private let part: String
  private var descriptor: Int32
  private var sections: UInt64 = 0

  init(path: String) throws(SnapshotError) {
    self.path = path
    part = "\(path).\(getpid()).part"
    descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw SnapshotError("cannot write \(path): \(HostError.text(of: errno))")
    }
    try write(SnapshotFile.magic + SnapshotFile.little(SnapshotFile.version) + [0, 0, 0, 0])
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(part)
  }

  /// Writes a section of ``SnapshotFile/largestSection`` bytes at most: `prefix`, then `bytes`.
  func write(
    _ kind: SnapshotFile.Kind, _ bytes: [UInt8], behind prefix: [UInt8] = []
  ) throws(SnapshotError) {
    let all = prefix.isEmpty ? bytes : prefix + bytes
    guard all.count <= SnapshotFile.largestSection else {
      throw SnapshotError("cannot write \(path): a part of the state is too large")
    }
    sections &+= 1
    let sum = all.withUnsafeBytes { SnapshotFile.checksum(kind.rawValue, $0) }
    try write(
      SnapshotFile.little(kind.rawValue) + SnapshotFile.little(UInt32(all.count))
        + SnapshotFile.little(sum))
    try write(all)
  }

  /// Ends the file. Nothing is in its place yet.
  func end() throws(SnapshotError) { try write(.end, SnapshotFile.little(sections)) }

  /// Makes the file durable and gives it its name.
  func finish() throws(SnapshotError) {
    guard fsync(descriptor) == 0, rename(part, path) == 0 else { throw failure() }
    close(descriptor)
    descriptor = -1
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { return }
    fsync(directory)
    close(directory)
  }

  private func failure() -> SnapshotError {
    SnapshotError("cannot write \(path): \(HostError.text(of: errno))")
  }

  private func write(_ bytes: [UInt8]) throws(SnapshotError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done)
      }
      if count > 0 {
        done += count
      } else if count == 0 || errno != EINTR {
        throw failure()
      }
    }
  }
}

/// Reads a snapshot section by section, each checked before anybody sees it.
final class SnapshotReader {
  let path: String
  private let descriptor: Int32
  private var sections: UInt64 = 0

  init(path: String) throws(SnapshotError) {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw SnapshotError("cannot open the snapshot \(path): \(HostError.text(of: errno))")
    }
    guard let head = try read(SnapshotFile.magic.count + 8),
      head.prefix(SnapshotFile.magic.count) == SnapshotFile.magic[...]
    else { throw SnapshotError("\(path) is no snapshot of a desktop") }
    let version = SnapshotFile.number(head[SnapshotFile.magic.count...], as: UInt32.self)
    guard version == SnapshotFile.version else {
      throw SnapshotError(
        "the snapshot \(path) has format \(version); this version of porthole reads"
          + " \(SnapshotFile.version)")
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// What is wrong with the file, with its name.
  func damaged(_ what: String) -> SnapshotError {
    SnapshotError("the snapshot \(path) is damaged: \(what)")
  }

  /// The next section; nil after the last, which has been checked.
  func next() throws(SnapshotError) -> SnapshotFile.Section? {
    guard let head = try read(SnapshotFile.headBytes) else { throw damaged("it is cut short") }
    let tag = SnapshotFile.number(head, as: UInt32.self)
    let length = SnapshotFile.number(head[4...], as: UInt32.self)
    let sum = SnapshotFile.number(head[8...], as: UInt64.self)
    guard let kind = SnapshotFile.Kind(rawValue: tag), length <= SnapshotFile.largestSection else {
      throw damaged("section \(sections) is none")
    }
    guard let bytes = try read(Int(length)) else { throw damaged("it is cut short") }
    guard bytes.withUnsafeBytes({ SnapshotFile.checksum(tag, $0) }) == sum else {
      throw damaged("the checksum of section \(sections) is wrong")
    }
    if kind == .end {
      guard SnapshotFile.number(bytes, as: UInt64.self) == sections, bytes.count == 8 else {
        throw damaged("sections are missing")
      }
      return nil
    }
    sections &+= 1
    return SnapshotFile.Section(kind: kind, bytes: bytes)
  }

  /// `count` bytes; nil at the end of the file.
  private func read(_ count: Int) throws(SnapshotError) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = bytes.withUnsafeMutableBytes {
        Glibc.read(descriptor, $0.baseAddress?.advanced(by: done), count - done)
      }
      if got > 0 {
        done += got
      } else if got == 0 {
        return nil
      } else if errno != EINTR {
        throw SnapshotError("cannot read the snapshot \(path): \(HostError.text(of: errno))")
      }
    }
    return bytes
  }
}
