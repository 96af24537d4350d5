import Glibc
import Storage

/// Any bytes as an image: opened, read, written, changed in size and checked. What comes of it is a
/// sentence or an image, and never the end of the process.
package final class HostileImage {
  private let path: String
  /// Beyond this no place of a medium is tried: a sparse file of any length would be made.
  private static let reach: UInt64 = 1 << 22

  /// - Parameter folder: where a file is made, and removed in the end.
  package init(folder: String = "/dev/shm") {
    path = "\(folder)/porthole-fuzz.\(getpid()).\(UInt32.random(in: 0 ... .max))"
  }

  deinit { unlink(path) }

  /// - Parameter steps: what is done to it is taken from here, 8 bytes a step.
  package func run(_ image: UnsafeRawBufferPointer, steps: [UInt64]) {
    let fd = Glibc.open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0o600)
    guard fd >= 0 else { return }
    _ = Glibc.write(fd, image.baseAddress, image.count)
    close(fd)
    // A backing file could be any that is there.
    guard let facts = try? ImageInspection(path: path), facts.backing == nil else { return }
    _ = try? DiskImage.check(path: path)
    _ = try? DiskImage.snapshots(path: path)
    if let opened = try? DiskImage.open(path: path, readOnly: false) { play(steps, on: opened) }
    _ = try? DiskImage.check(path: path, repairsLeaks: true)
  }

  private func play(_ steps: [UInt64], on image: any StoredImage) {
    for step in steps {
      let limit = min(image.sectorCount, Self.reach)
      guard limit > 0 else { return }
      let sector = (step >> 8) % limit
      let count = min(UInt64(step >> 40) % 300 + 1, image.sectorCount - sector)
      switch step & 7 {
      case 0, 1, 2:
        let bytes = [UInt8](
          repeating: UInt8(truncatingIfNeeded: step >> 3), count: Int(count) * 512)
        bytes.withUnsafeBytes { try? image.write(sector: sector, count: Int(count), from: $0) }
      case 3: try? image.zero(sector: sector, count: count)
      case 4: try? image.flush()
      case 5: try? image.resize(to: (sector + 1) * 512)
      case 6: _ = try? image.resolve(sector: sector, limit: count)
      default: _ = try? image.bytes(sector: sector, count: Int(count))
      }
    }
  }
}
