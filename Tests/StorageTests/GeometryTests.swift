import Testing

@testable import Storage

@Suite struct FloppyGeometryTests {
  static let sizes: [(kilobytes: Int, cylinders: Int, heads: Int, sectors: Int)] = [
    (160, 40, 1, 8), (180, 40, 1, 9), (320, 40, 2, 8), (360, 40, 2, 9), (720, 80, 2, 9),
    (1200, 80, 2, 15), (1440, 80, 2, 18), (1680, 80, 2, 21), (1722, 82, 2, 21),
    (1743, 83, 2, 21), (2880, 80, 2, 36),
  ]

  @Test(arguments: sizes)
  func knowsEveryFormatByItsSize(
    kilobytes: Int, cylinders: Int, heads: Int, sectors: Int
  ) throws {
    let format = try #require(
      FloppyGeometry(sectorCount: UInt64(kilobytes * 2), firstSector: bytes(512, [])))
    #expect(format.chs == CHSGeometry(cylinders: cylinders, heads: heads, sectors: sectors))
  }

  @Test func takesAnOddSizeForTheBeginningOfAUsualOrLargerDiskette() {
    func chs(_ sectors: UInt64) -> CHSGeometry? {
      FloppyGeometry(sectorCount: sectors, firstSector: bytes(512, []))?.chs
    }
    #expect(chs(1) == CHSGeometry(cylinders: 80, heads: 2, sectors: 18))
    #expect(chs(1441) == CHSGeometry(cylinders: 80, heads: 2, sectors: 18))
    #expect(chs(2500) == CHSGeometry(cylinders: 80, heads: 2, sectors: 18))
    #expect(chs(2881) == CHSGeometry(cylinders: 80, heads: 2, sectors: 21))
    #expect(chs(5900) == CHSGeometry(cylinders: 83, heads: 2, sectors: 36))
    #expect(chs(5977) == nil)
  }

  @Test func believesAVolumeThatMakesSense() {
    let short = FloppyGeometry(
      sectorCount: 1, firstSector: fatSector(total: 2880, track: 18, heads: 2))
    #expect(short?.chs == CHSGeometry(cylinders: 80, heads: 2, sectors: 18))
    let eight = FloppyGeometry(
      sectorCount: 1440, firstSector: fatSector(total: 1440, track: 9, heads: 2))
    #expect(eight?.chs == CHSGeometry(cylinders: 80, heads: 2, sectors: 9))
    let odd = FloppyGeometry(
      sectorCount: 1640, firstSector: fatSector(total: 1640, track: 10, heads: 2))
    #expect(odd?.chs == CHSGeometry(cylinders: 82, heads: 2, sectors: 10))
  }

  @Test func doesNotBelieveAVolumeThatMakesNone() {
    for sector in [
      fatSector(total: 2879, track: 18, heads: 2), fatSector(total: 2880, track: 0, heads: 2),
      fatSector(total: 2880, track: 18, heads: 200), fatSector(total: 2880, track: 18, heads: 0),
    ] {
      let format = FloppyGeometry(sectorCount: 720, firstSector: sector)
      #expect(format?.chs == CHSGeometry(cylinders: 40, heads: 2, sectors: 9))
    }
  }

  @Test func knowsTheDriveThatAFormatNeeds() {
    let types = FloppyGeometry.formats.map(\.driveType.rawValue)
    #expect(types == [1, 1, 1, 1, 3, 2, 4, 4, 4, 4, 5])
  }
}

@Suite struct DiskGeometryTests {
  let blank = bytes(512, [])

  @Test(
    arguments: [
      (20_160, 16), (1_032_192, 16), (1_032_193, 32), (2_064_384, 32), (4_000_000, 64),
      (8_000_000, 128), (8_257_537, 255), (200_000_000, 255),
    ] as [(UInt64, Int)])
  func assistsByLBA(sectors: UInt64, heads: Int) {
    let geometry = DiskGeometry.of(sectorCount: sectors, firstSector: blank)
    #expect(geometry.heads == heads && geometry.sectors == 63)
    #expect(geometry.cylinders <= 1024)
    #expect(geometry.sectorCount <= sectors)
  }

  @Test func keepsTheGeometryThatADiskWasPartitionedWith() {
    // 131,072 sectors by 255 heads; the last is cylinder 8, head 40, sector 32.
    let sector = partitioned(
      first: 2048, count: 129_024, start: tuple(0, 32, 33), end: tuple(8, 40, 32))
    let geometry = DiskGeometry.of(sectorCount: 131_072, firstSector: sector)
    #expect(geometry == CHSGeometry(cylinders: 8, heads: 255, sectors: 63))
    let old = partitioned(
      first: 17, count: 4 * 17 * 100 - 17, start: tuple(0, 1, 1), end: tuple(99, 3, 17))
    let xt = DiskGeometry.of(sectorCount: 4 * 17 * 100, firstSector: old)
    #expect(xt == CHSGeometry(cylinders: 100, heads: 4, sectors: 17))
  }

  @Test func ignoresATableThatContradictsItself() {
    let sector = partitioned(
      first: 2048, count: 129_024, start: tuple(3, 32, 33), end: tuple(8, 40, 32))
    let geometry = DiskGeometry.of(sectorCount: 131_072, firstSector: sector)
    #expect(geometry == CHSGeometry(cylinders: 130, heads: 16, sectors: 63))
  }

  @Test func takesAnUnpartitionedVolumesOwn() {
    let geometry = DiskGeometry.of(
      sectorCount: 65_536, firstSector: fatSector(total: 65_535, track: 32, heads: 64))
    #expect(geometry == CHSGeometry(cylinders: 32, heads: 64, sectors: 32))
  }

  @Test func addressesSectorsInOrder() {
    let geometry = CHSGeometry(cylinders: 2, heads: 3, sectors: 4)
    var next: UInt64 = 0
    for cylinder in 0..<2 {
      for head in 0..<3 {
        for sector in 1...4 {
          #expect(geometry.block(cylinder: cylinder, head: head, sector: sector) == next)
          next += 1
        }
      }
    }
    #expect(geometry.block(cylinder: 0, head: 3, sector: 1) == nil)
    #expect(geometry.block(cylinder: 0, head: 0, sector: 0) == nil)
    #expect(geometry.block(cylinder: 0, head: 0, sector: 5) == nil)
  }
}
