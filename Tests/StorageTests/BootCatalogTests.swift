import Testing

@testable import Storage

@Suite struct BootCatalogTests {
  let files = TemporaryImages()

  func open(_ cd: CDImage) throws -> RawImage {
    try RawImage(path: files.make("desk.iso", cd.data), readOnly: true)
  }

  func failure(_ cd: CDImage) throws -> ImageError? {
    let image = try open(cd)
    do throws(ImageError) {
      _ = try BootCatalog(image, path: "desk.iso").entryForPC(path: "desk.iso")
    } catch { return error }
    return nil
  }

  @Test func findsTheInitialEntry() throws {
    let image = try open(CDImage())
    #expect(try ISO9660(image, path: "desk.iso").name == "PORTHOLE")
    let entry = try BootCatalog(image, path: "desk.iso").entryForPC(path: "desk.iso")
    #expect(entry.media == .noEmulation && entry.sectorCount == 4 && entry.block == 20)
    #expect(try entry.emulatedDisk(in: image, path: "desk.iso") == nil)
  }

  @Test func findsTheEntryOfALaterSection() throws {
    var cd = CDImage(platform: 0xEF)
    cd.putRecord(2, [0x90, 0xEF] + little16(1))
    cd.putRecord(3, [0x88, 0x20, 0, 0, 0, 0] + little16(9) + little32(30))
    cd.putRecord(4, [0x44, 0x20])
    cd.putRecord(5, [0x44, 0])
    cd.putRecord(6, [0x91, 0] + little16(2))
    cd.putRecord(7, [0x00, 0, 0, 0, 0, 0] + little16(1) + little32(31))
    cd.putRecord(8, [0x88, 2, 0, 0, 0, 0] + little16(1) + little32(32))
    let catalog = try BootCatalog(open(cd), path: "desk.iso")
    #expect(catalog.entries.count == 4)
    let entry = try catalog.entryForPC(path: "desk.iso")
    #expect(entry.block == 32 && entry.media == .floppy1440)
  }

  @Test func saysWhyItDoesNotBoot() throws {
    #expect(
      try failure(CDImage(bootRecord: false))?.description
        == "desk.iso has no El Torito boot record")
    var noVolume = CDImage()
    noVolume.put(16 * 2048 + 1, [0x20])
    #expect(try failure(noVolume)?.problem == .notISO9660)
    var sum = CDImage()
    sum.putRecord(0, [1, 0, 1])
    #expect(try failure(sum)?.description.hasSuffix("its checksum is wrong") == true)
    var key = CDImage()
    key.put(CDImage.catalogBlock * 2048 + 31, [0])
    #expect(try failure(key)?.description.hasSuffix("its key bytes are wrong") == true)
    var far = CDImage()
    far.put(17 * 2048 + 0x47, [0xFF, 0xFF, 0xFF, 0xFF])
    #expect(
      try failure(far)?.description.hasSuffix("it lies beyond the end") == true)
    #expect(try failure(CDImage(media: 7))?.problem == .badBootCatalog)
    #expect(try failure(CDImage(platform: 0xEF))?.description.contains("EFI") == true)
    var off = CDImage()
    off.putRecord(1, [0])
    #expect(try failure(off)?.problem == .noBootEntry)
  }

  @Test(arguments: [(1, 15), (2, 18), (3, 36)] as [(UInt8, Int)])
  func emulatesDiskettes(media: UInt8, sectors: Int) throws {
    let image = try open(CDImage(media: media))
    let entry = try BootCatalog(image, path: "desk.iso").entryForPC(path: "desk.iso")
    let disk = try #require(try entry.emulatedDisk(in: image, path: "desk.iso"))
    #expect(disk.geometry == CHSGeometry(cylinders: 80, heads: 2, sectors: sectors))
    #expect(disk.image.sectorCount == 80)
    #expect(try disk.image.bytes(sector: 0)[0] == 0xF4)
  }

  @Test func emulatesAHardDiskByItsPartitionTable() throws {
    var cd = CDImage(media: 4)
    let damaged = try open(cd)
    let entry = try BootCatalog(damaged, path: "desk.iso").entryForPC(path: "desk.iso")
    #expect(throws: ImageError.self) { try entry.emulatedDisk(in: damaged, path: "desk.iso") }
    cd.put(
      CDImage.imageBlock * 2048,
      partitioned(first: 17, count: 17 * 3, start: tuple(0, 1, 1), end: tuple(1, 1, 17)))
    let image = try open(cd)
    let disk = try #require(try entry.emulatedDisk(in: image, path: "desk.iso"))
    #expect(disk.geometry == CHSGeometry(cylinders: 2, heads: 2, sectors: 17))
    #expect(disk.image.sectorCount == 68)
  }

  @Test func anImageBeyondTheEndIsAnError() throws {
    var cd = CDImage(media: 2)
    cd.putRecord(1, [0x88, 2, 0, 0, 0, 0] + little16(1) + little32(-1))
    let image = try open(cd)
    let entry = try BootCatalog(image, path: "desk.iso").entryForPC(path: "desk.iso")
    #expect(throws: ImageError.self) { try entry.emulatedDisk(in: image, path: "desk.iso") }
  }

  /// Thousands of damaged CDs: each is read or refused, none of them harms.
  @Test func survivesHostileCatalogs() throws {
    var random = SplitMix(seed: 0x0E17_0417)
    var booted = 0
    var refused = 0
    for round in 0..<1500 {
      var cd = CDImage(media: UInt8(random.below(6)), platform: 0)
      cd.putRecord(2, [0x90, 0] + little16(random.below(4)))
      cd.putRecord(3, [0x88, UInt8(random.below(256)), 0, 0, 0, 0] + little16(1) + little32(22))
      cd.putRecord(4, [UInt8([0x91, 0x44, 0x90, 0][random.below(4)]), 0] + little16(65535))
      for _ in 0..<random.below(12) {
        let base = [16, 17, 18, 19, 19, 19, 20][random.below(7)] * 2048
        cd.put(base + random.below(300), [UInt8(random.below(256))])
      }
      if round % 3 != 0 { cd.fixChecksum() }
      if round % 5 == 0 { cd.data.removeLast(random.below(cd.data.count - 1)) }
      let image = try open(cd)
      do throws(ImageError) {
        let entry = try BootCatalog(image, path: "desk.iso").entryForPC(path: "desk.iso")
        _ = try entry.emulatedDisk(in: image, path: "desk.iso")
        booted += 1
      } catch {
        refused += 1
        #expect(!error.description.isEmpty)
      }
    }
    #expect(booted > 50 && refused > 50)
  }
}

/// A random sequence that is the same in every run.
struct SplitMix {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }
}
