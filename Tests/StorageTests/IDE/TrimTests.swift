import Glibc
import Testing

@testable import Storage

@Suite struct TrimTests {
  let files = TemporaryImages()
  static let sectors: UInt64 = 200_000

  /// A disk of which the first 70,000 sectors were written.
  func disk(
    _ format: ImageFormat, readOnly: Bool = false, discard: DiscardMode? = nil
  ) throws -> (rig: IDERig, image: any BlockImage, path: String) {
    let path = "\(files.folder)/disk.\(format)"
    try DiskImage.create(format, at: path, QCOW2Options(size: Self.sectors * 512))
    do {
      let image = try DiskImage.open(path: path, readOnly: false, format: format)
      try image.write(sector: 0, bytes: [UInt8](repeating: 0xAA, count: 70_000 * 512))
      try image.flush()
    }
    let drive = try Drive(
      DriveDescription(
        kind: .hardDisk, path: path, readOnly: readOnly, format: format, discard: discard))
    return (try IDERig(first: drive), try #require(drive.medium?.image), path)
  }

  func trim(_ rig: IDERig, _ ranges: [(first: UInt64, count: UInt64)], blocks: UInt16 = 1) {
    var list = [UInt8](repeating: 0, count: 512 * Int(blocks))
    for (number, range) in ranges.enumerated() {
      let entry = range.first | range.count << 48
      for byte in 0..<8 {
        list[number * 8 + byte] = UInt8(truncatingIfNeeded: entry >> UInt64(byte * 8))
      }
    }
    rig.space.write(0x8000, bytes: list)
    rig.describe([(0x8000, UInt16(512 * blocks))])
    rig.setBusMaster(0, 0x01)
    rig.out(1, 1)
    rig.issueExt(0x06, lba: 0, count: blocks)
    rig.setBusMaster(0, 0)
  }

  func words(_ rig: IDERig) -> [Int] {
    rig.issue(0xEC)
    let bytes = rig.readWords(256)
    return (0..<256).map { Int(bytes[$0 * 2]) | Int(bytes[$0 * 2 + 1]) << 8 }
  }

  func allocated(_ path: String) throws -> UInt64 { try ImageInspection(path: path).allocatedSize }

  @Test(arguments: ImageFormat.allCases) func roomGoesBackAndZeroesAreRead(format: ImageFormat)
    throws
  {
    let (rig, image, path) = try disk(format)
    let full = try allocated(path)
    // More than a range can say, in two that adjoin; one of no length; a few sectors elsewhere.
    trim(rig, [(128, 65535), (65663, 1), (9, 0), (66_000, 3)])
    #expect(rig.status == 0x50 && rig.interrupts == 1)
    #expect(rig.busMaster(2) & 0x04 != 0)
    let all = try image.bytes(sector: 0, count: 70_000)
    for (range, value) in [
      (0..<128, 0xAA), (128..<65664, 0), (65664..<66_000, 0xAA), (66_000..<66_003, 0),
      (66_003..<70_000, 0xAA),
    ] as [(Range<Int>, UInt8)] {
      // Each sector's first and last byte.
      #expect(range.allSatisfy { all[$0 * 512] == value && all[$0 * 512 + 511] == value })
    }
    rig.issue(0xE7)
    #expect(rig.status == 0x50)
    #expect(try allocated(path) <= full - 65536 * 512 + (1 << 20))
    if format == .qcow2 { #expect(try qcow2Clusters(image) == 35) }
  }

  /// Clusters that the image has, 64 KiB each: 547 where nothing was trimmed.
  func qcow2Clusters(_ image: any BlockImage) throws -> Int {
    let stored = try #require(image as? QCOW2Image)
    var clusters = 0
    try stored.eachExtent { extent in
      if extent.kind == .data { clusters += Int(extent.count + 127) / 128 }
    }
    return clusters
  }

  @Test func aRangeThatIsNotThereIsNotFoundAndNothingIsTrimmed() throws {
    let (rig, image, _) = try disk(.raw)
    trim(rig, [(0, 8), (Self.sectors - 1, 2)])
    #expect(rig.status == 0x51 && rig.input(1) == 0x10)
    trim(rig, [(0, 8), (0xFFFF_FFFF_FFFF, 0xFFFF)])
    #expect(rig.status == 0x51 && rig.input(1) == 0x10)
    #expect(try image.bytes(sector: 0)[0] == 0xAA)
    trim(rig, [(Self.sectors - 1, 1), (0, 8)])
    #expect(rig.status == 0x50)
    #expect(try image.bytes(sector: 7, count: 2).map { $0 }[511...512] == [0, 0xAA])
  }

  @Test func whatIsNoTrimIsAborted() throws {
    let (rig, _, _) = try disk(.qcow2)
    for (features, count) in [(0, 1), (2, 1), (1, 0), (1, 9), (1, 0x101)] as [(UInt8, UInt16)] {
      rig.out(1, features)
      rig.issueExt(0x06, lba: 0, count: count)
      #expect(rig.status == 0x51 && rig.input(1) == 0x04, "\(features) \(count)")
    }
    // 512 ranges are as many as there can be.
    trim(rig, (0..<512).map { ($0 * 128, 64) }, blocks: 8)
    #expect(rig.status == 0x50)
  }

  @Test func identifyTellsOfTrimWhereItIs() throws {
    let found = words(try disk(.qcow2).rig)
    #expect(found[69] == 0x4020 && found[105] == 8 && found[169] == 1 && found[80] == 0x3FE)
    #expect(found[48] == 0x4000)
  }

  @Test(arguments: [true, false]) func someDisksKnowNoTrim(readOnly: Bool) throws {
    let (rig, _, _) = try disk(.raw, readOnly: readOnly, discard: readOnly ? nil : .ignore)
    let found = words(rig)
    #expect(found[69] == 0 && found[105] == 0 && found[169] == 0 && found[80] == 0x7E)
    trim(rig, [(0, 8)])
    #expect(rig.status == 0x51 && rig.input(1) == 0x04)
  }

  @Test func anOverlayShowsZeroesWhereItsGoldenImageHasData() throws {
    let golden = files.make("golden.img", [UInt8](repeating: 7, count: 1 << 20))
    let path = "\(files.folder)/desk.qcow2"
    try DiskImage.createOverlay(at: path, backing: golden, backingFormat: .raw)
    let drive = try Drive(DriveDescription(kind: .hardDisk, path: path, format: .qcow2))
    let rig = try IDERig(first: drive)
    trim(rig, [(100, 600)])
    #expect(rig.status == 0x50)
    let all = try #require(drive.medium).image.bytes(sector: 0, count: 2048)
    #expect(all[(100 * 512)..<(700 * 512)].allSatisfy { $0 == 0 })
    #expect(all[99 * 512] == 7 && all[700 * 512] == 7)
  }
}
