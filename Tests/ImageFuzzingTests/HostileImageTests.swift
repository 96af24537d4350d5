import DeviceTestKit
import Glibc
import ImageFuzzing
import Storage
import Testing

/// A short run of what the fuzzer does at length: the same images every time.
@Suite struct HostileImageTests {
  private static func sound(_ clusterBytes: Int, _ path: String) throws -> [UInt8] {
    unlink(path)
    var options = QCOW2Options(size: 1 << 20)
    options.clusterBytes = clusterBytes
    try DiskImage.create(.qcow2, at: path, options, isDurable: false)
    do {
      let image = try DiskImage.open(path: path, readOnly: false)
      for sector in stride(from: 0, to: UInt64(2000), by: 97) {
        let bytes = [UInt8](repeating: 0xA5, count: 5 * 512)
        try bytes.withUnsafeBytes { try image.write(sector: sector, count: 5, from: $0) }
      }
      try image.flush()
    }
    let raw = try DiskImage.open(path: path, readOnly: true, format: .raw)
    var bytes = [UInt8](repeating: 0, count: Int(raw.sectorCount) * 512)
    try bytes.withUnsafeMutableBytes {
      try raw.read(sector: 0, count: Int(raw.sectorCount), into: $0)
    }
    unlink(path)
    return bytes
  }

  @Test(arguments: [512, 4096]) func damagedImagesAreSurvived(clusterBytes: Int) throws {
    let good = try Self.sound(clusterBytes, "/tmp/porthole-fuzz.\(getpid()).\(clusterBytes)")
    var random = SplitMix64(seed: UInt64(clusterBytes))
    let image = HostileImage(folder: "/tmp")
    for _ in 0..<100 {
      var bytes = good
      for _ in 0...(random.next() % 6) {
        let place = Int(random.next() % UInt64(min(bytes.count, 12 * clusterBytes))) & ~7
        let value = random.next()
        // References are the likeliest harm: small multiples of a cluster, with any flags.
        let entry = random.next() % 64 * UInt64(clusterBytes) | (value & 1) << 63 | value >> 3 & 1
        let word = value & 2 == 0 ? entry : random.next() >> (value % 64)
        for index in 0..<8 {
          bytes[place + index] = UInt8(truncatingIfNeeded: word >> UInt64(56 - index * 8))
        }
      }
      let steps = (0..<12).map { _ in random.next() & 0xFFFF_FFFF_000F_FFFF }
      bytes.withUnsafeBytes { image.run($0, steps: steps) }
    }
  }
}
