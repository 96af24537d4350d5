import Glibc
import Storage

/// A folder for a test's images, removed when nobody holds it.
final class TemporaryImages {
  let folder: String

  init() {
    var template = Array("/tmp/storage.XXXXXX".utf8CString)
    folder = template.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress, let made = mkdtemp(base) else { return "/nowhere" }
      return String(cString: made)
    }
  }

  deinit {
    for name in names { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  /// What is in the folder.
  var names: [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var found: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { found.append(name) }
    }
    return found.sorted()
  }

  /// Makes a file of `bytes`, made longer with zeroes to `size`.
  func make(_ name: String, _ bytes: [UInt8] = [], size: Int? = nil) -> String {
    let path = "\(folder)/\(name)"
    let fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0o600)
    bytes.withUnsafeBytes { _ = Glibc.write(fd, $0.baseAddress, $0.count) }
    if let size { ftruncate(fd, size) }
    close(fd)
    return path
  }
}

/// `sector` bytes with the given bytes at the given places.
func bytes(_ size: Int, _ parts: [(Int, [UInt8])]) -> [UInt8] {
  var result = [UInt8](repeating: 0, count: size)
  for (at, part) in parts { result.replaceSubrange(at..<(at + part.count), with: part) }
  return result
}

func little16(_ value: Int) -> [UInt8] {
  [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
}

func little32(_ value: Int) -> [UInt8] { little16(value) + little16(value >> 16) }

/// The first sector of a FAT volume.
func fatSector(total: Int, track: Int, heads: Int) -> [UInt8] {
  bytes(
    512,
    [
      (0, [0xEB, 0x3C, 0x90]), (11, little16(512)), (13, [1]), (14, little16(1)), (16, [2]),
      (19, little16(total)), (21, [0xF0]), (24, little16(track)), (26, little16(heads)),
      (510, [0x55, 0xAA]),
    ])
}

/// An address as a partition table holds it.
func tuple(_ cylinder: Int, _ head: Int, _ sector: Int) -> [UInt8] {
  [UInt8(head), UInt8(sector | cylinder >> 2 & 0xC0), UInt8(cylinder & 0xFF)]
}

/// A master boot record with one partition.
func partitioned(first: Int, count: Int, start: [UInt8], end: [UInt8]) -> [UInt8] {
  bytes(
    512,
    [
      (0x1BE, [0x80] + start + [6] + end + little32(first) + little32(count)),
      (510, [0x55, 0xAA]),
    ])
}
