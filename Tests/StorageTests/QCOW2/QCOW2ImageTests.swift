import Glibc
import Testing

@testable import Storage

@Suite struct QCOW2ImageTests {
  let files = TemporaryImages()

  func pattern(_ count: Int, _ seed: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ seed &+ $0 >> 8) }
  }

  func expectClean(_ path: String) throws {
    let file = try ImageFile(path: path, readOnly: true)
    let report = try QCOW2Checker.check(file, QCOW2Header(file)).report
    #expect(report.errors == [] && report.leakedClusters == 0)
  }

  @Test(arguments: [512, 4096, 65536, 2 << 20], [2, 3] as [UInt32])
  func readsWhatItWrote(clusterBytes: Int, version: UInt32) throws {
    let path = "\(files.folder)/disk.qcow2"
    var options = QCOW2Options(size: 16 << 20)
    options.clusterBytes = clusterBytes
    options.version = version
    try DiskImage.create(.qcow2, at: path, options)
    let data = pattern(300 * 512, 3)
    do {
      let image = try DiskImage.open(path: path, readOnly: false)
      #expect(image.format == .qcow2 && image.sectorCount == 32768)
      try image.write(sector: 100, bytes: data)
      #expect(try image.bytes(sector: 100, count: 300) == data)
      try image.zero(sector: 150, count: 100)
      try image.flush()
    }
    try expectClean(path)
    let again = try DiskImage.open(path: path, readOnly: true)
    #expect(try again.bytes(sector: 100, count: 50) == Array(data[..<25600]))
    #expect(try again.bytes(sector: 150, count: 100) == [UInt8](repeating: 0, count: 51200))
    #expect(try again.bytes(sector: 250, count: 150) == Array(data[(150 * 512)...]))
    #expect(try again.bytes(sector: 32767) == [UInt8](repeating: 0, count: 512))
  }

  @Test func anOverlayKeepsWhatIsWrittenAndShowsTheRest() throws {
    let golden = files.make("golden.img", pattern(1 << 20, 9))
    let path = "\(files.folder)/desk.qcow2"
    try DiskImage.createOverlay(at: path, backing: "golden.img", size: 2 << 20)
    do {
      let desk = try DiskImage.open(path: path, readOnly: false)
      #expect(
        desk.backing?.path == "\(files.folder)/golden.img" && desk.backing?.isReadOnly == true)
      try desk.write(sector: 5, bytes: [UInt8](repeating: 1, count: 512))
      #expect(try desk.bytes(sector: 4)[...] == pattern(1 << 20, 9)[2048..<2560])
      #expect(try desk.bytes(sector: 5) == [UInt8](repeating: 1, count: 512))
      #expect(try desk.bytes(sector: 2048, count: 9) == [UInt8](repeating: 0, count: 9 * 512))
      #expect(throws: ImageError.self) { try RawImage(path: golden, readOnly: false) }
    }
    try expectClean(path)
    #expect(
      try RawImage(path: golden, readOnly: true).bytes(sector: 5)[0] == pattern(3000, 9)[2560])
  }

  @Test func anOverlayIsThereAsAWholeOrNotAtAll() throws {
    _ = files.make("golden.img", size: 4096)
    let path = "\(files.folder)/desk.qcow2"
    try DiskImage.createOverlay(at: path, backing: "golden.img")
    do throws(ImageError) {
      try DiskImage.createOverlay(at: path, backing: "golden.img")
      Issue.record("it was made twice")
    } catch { #expect(error.problem == .exists) }
    do throws(ImageError) {
      try DiskImage.createOverlay(at: "\(files.folder)/b.qcow2", backing: "none.img")
      Issue.record("it was made on nothing")
    } catch { #expect(error.problem == .badBacking) }
    #expect(files.names == ["desk.qcow2", "golden.img"])
  }

  @Test func aGuestCannotMakeAnotherFormatOfADiskWhoseFormatWasGuessed() throws {
    let path = files.make("disk.img", size: 4096)
    let evil = QCOW2Header.magic + [UInt8](repeating: 0, count: 508)
    do {
      let guessed = try DiskImage.open(path: path, readOnly: false)
      #expect(throws: ImageError.self) { try guessed.write(sector: 0, bytes: evil) }
      try guessed.write(sector: 1, bytes: evil)
    }
    let said = try DiskImage.open(path: path, readOnly: false, format: .raw)
    try said.write(sector: 0, bytes: evil)
  }

  @Test func growsAndShrinks() throws {
    _ = files.make("golden.img", pattern(1 << 20, 1))
    let path = "\(files.folder)/desk.qcow2"
    try DiskImage.createOverlay(at: path, backing: "golden.img", size: 512 << 10)
    do {
      let desk = try DiskImage.open(path: path, readOnly: false)
      try desk.resize(to: 100 << 30)
      #expect(try desk.bytes(sector: 1024, count: 1024) == [UInt8](repeating: 0, count: 512 << 10))
      try desk.write(sector: (100 << 30) / 512 - 1, bytes: [UInt8](repeating: 7, count: 512))
      try desk.resize(to: 100_000 * 512)
      try desk.resize(to: 100 << 30)
      #expect(try desk.bytes(sector: (100 << 30) / 512 - 1)[0] == 0)
    }
    try expectClean(path)
  }

  @Test func openingALargeImageTakesLittle() throws {
    let path = "\(files.folder)/large.qcow2"
    try DiskImage.create(.qcow2, at: path, QCOW2Options(size: 1 << 40))
    let image = try DiskImage.open(path: path, readOnly: false)
    for index in 0..<UInt64(500) {
      try image.write(
        sector: index << 22, bytes: [UInt8](repeating: UInt8(index & 255), count: 512))
    }
    for index in 0..<UInt64(500) {
      #expect(try image.bytes(sector: index << 22)[0] == UInt8(index & 255))
    }
    try image.flush()
    try expectClean(path)
  }

  @Test(arguments: CacheMode.allCases)
  func everyCacheModeReadsWhatItWrote(cache: CacheMode) throws {
    let path = files.make("disk.img", size: 100_000)
    let image = try DiskImage.open(path: path, readOnly: false, format: .raw, cache: cache)
    let data = pattern(77 * 512, 5)
    try image.write(sector: 33, bytes: data)
    try image.flush()
    #expect(try image.bytes(sector: 33, count: 77) == data)
    #expect(try image.bytes(sector: 20, count: 13) == [UInt8](repeating: 0, count: 13 * 512))
    try image.write(sector: 195, bytes: pattern(512, 1))
    #expect(try image.bytes(sector: 195) == pattern(512, 1))
  }

  @Test func anImageOnADeviceUsesWhatIsBehindIt() throws {
    let disk = SimulatedDisk()
    var options = QCOW2Options(size: 1 << 20)
    options.clusterBytes = 512
    try QCOW2Header(options, path: "device").create(in: disk)
    // What was on the device before.
    try disk.storeBytes([UInt8](repeating: 0xFF, count: 3 << 20), at: UInt64(disk.bytes.count))
    disk.growsWithZeroes = false
    disk.room = disk.bytes.count
    var image = try QCOW2Image(disk, QCOW2Header(disk), backing: nil)
    try image.write(sector: 0, bytes: pattern(700 * 512, 1))
    try image.write(sector: 1999, bytes: pattern(512, 2))
    try image.flush()
    image = try QCOW2Image(disk, QCOW2Header(disk), backing: nil)
    try image.write(sector: 700, bytes: pattern(600 * 512, 3))
    try image.flush()
    #expect(try image.bytes(sector: 0, count: 700) == pattern(700 * 512, 1))
    #expect(try image.bytes(sector: 700, count: 600) == pattern(600 * 512, 3))
    #expect(try image.bytes(sector: 1990, count: 9) == [UInt8](repeating: 0, count: 9 * 512))
    let report = try QCOW2Checker.check(disk, QCOW2Header(disk)).report
    #expect(report.errors == [] && report.leakedClusters == 0)
  }
}
