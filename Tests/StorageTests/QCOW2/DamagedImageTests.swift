import Glibc
import Testing

@testable import Storage

/// Images that were made to do harm: each is a sentence that says what is wrong.
@Suite struct DamagedImageTests {
  let files = TemporaryImages()

  /// The bytes of a small image with one cluster written: header, refcount table, block, L1, L2,
  /// data.
  func sound(_ change: (inout QCOW2Options) -> Void = { _ in }) throws -> [UInt8] {
    let disk = SimulatedDisk()
    var options = QCOW2Options(size: 1 << 20)
    options.clusterBytes = 4096
    change(&options)
    try QCOW2Header(options, path: "new").create(in: disk)
    let image = try QCOW2Image(disk, QCOW2Header(disk), backing: nil)
    try image.write(sector: 0, bytes: [UInt8](repeating: 7, count: 4096))
    try image.flush()
    return disk.bytes
  }

  /// What opening `bytes` as an image says.
  func refusal(_ bytes: [UInt8], readOnly: Bool = true) -> ImageError? {
    let path = files.make("hostile.qcow2", bytes)
    do throws(ImageError) { _ = try DiskImage.open(path: path, readOnly: readOnly) } catch {
      return error
    }
    return nil
  }

  @Test func aHeaderThatCannotBeIsRefusedWithItsFault() throws {
    let cases: [(Int, [UInt8], ImageError.Problem, String)] = [
      (4, [0, 0, 0, 4], .unsupported, "version 4"),
      (20, [0, 0, 0, 60], .damaged, "2^60"),
      (20, [0, 0, 0, 8], .damaged, "2^8"),
      (24, [0x80], .oversized, "9223372036855824384 bytes"),
      (32, [0, 0, 0, 2], .unsupported, "LUKS"),
      (36, [0xFF, 0xFF, 0xFF, 0xFF], .damaged, "L1 table"),
      (36, [0, 0, 0, 0], .damaged, "L1 table has 0 entries"),
      (40, [0, 0, 0x10], .damaged, "beyond its end"),
      (40, [0, 0, 0, 0, 0, 0, 0x30, 0x08], .damaged, "within a cluster"),
      (48, [0x7F], .damaged, "refcount table"),
      (56, [0, 0, 0, 0], .damaged, "no refcount table"),
      (56, [0x80, 0, 0, 0], .damaged, "refcount table"),
      (60, [0xFF, 0, 0, 0], .damaged, "snapshots"),
      (60, [0, 0, 0, 1, 0x70], .damaged, "snapshots"),
      (72, [0, 0, 0, 0, 0, 0, 0, 4], .unsupported, "external data file"),
      (72, [0, 0, 0, 0, 0, 0, 0, 16], .unsupported, "extended L2 entries"),
      (72, [0, 0, 1, 0, 0, 0, 0, 0], .unsupported, "number 40"),
      (72, [0, 0, 0, 0, 0, 0, 0, 8], .damaged, "compression type"),
      (96, [0, 0, 0, 7], .damaged, "refcount order is 7"),
      (100, [0xFF, 0xFF, 0xFF, 0xF8], .damaged, "4294967288 bytes"),
      (100, [0, 0, 0, 90], .damaged, "90 bytes"),
      (104, [9], .unsupported, "compression type 9"),
      (112, [0, 0, 0, 5, 0xFF, 0xFF, 0xFF, 0xFF], .damaged, "4294967295 bytes"),
      (8, [0, 0, 0, 0, 0, 0, 0x0F, 0, 0x7F, 0, 0, 0], .damaged, "backing file"),
      (8, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4], .damaged, "backing file"),
    ]
    for (place, patch, problem, words) in cases {
      var bytes = try sound()
      bytes.replaceSubrange(place..<(place + patch.count), with: patch)
      let error = refusal(bytes)
      #expect(error?.problem == problem, "\(place) \(patch): \(error?.description ?? "opened")")
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "opened")")
      #expect(error?.description.contains("hostile.qcow2") == true)
    }
    #expect(refusal(try sound()) == nil)
    #expect(refusal(Array(try sound()[..<60]))?.problem == .damaged)
  }

  @Test func anUnknownFeatureIsNamedAsTheImageNamesIt() throws {
    var bytes = try sound()
    bytes[72 + 2] = 1
    let name = Array("time travel".utf8)
    let table: [UInt8] = [0x68, 0x03, 0xF8, 0x57, 0, 0, 0, 48, 0, 40] + name
    bytes.replaceSubrange(112..<(112 + table.count), with: table)
    for index in (112 + table.count)..<(112 + 64) { bytes[index] = 0 }
    #expect(refusal(bytes)?.description.contains("\"time travel\"") == true)
  }

  @Test(arguments: [
    "nbd:unix:/tmp/x:exportname=y", "json:{\"driver\":\"null-co\"}", "http://example.org/a",
    "file:base.img", "/dev/null", "/dev/vda", "none.img", ".", "fifo", "hostile.qcow2",
  ])
  func backingFilesThatAreNoPlainFilesAreRefused(name: String) throws {
    mkfifo("\(files.folder)/fifo", 0o600)
    _ = files.make("base.img", size: 4096)
    let bytes = try sound { $0.backing = name }
    let error = refusal(bytes)
    #expect(error?.problem == .badBacking, "\(error?.description ?? "opened")")
  }

  @Test func loopsOfBackingFilesAreFound() throws {
    _ = files.make("b.qcow2", try sound { $0.backing = "hostile.qcow2" })
    let error = refusal(try sound { $0.backing = "b.qcow2" })
    #expect(error?.problem == .badBacking)
    #expect(error?.description.contains("loop") == true)
  }

  @Test func aChainThatIsTooLongIsRefused() throws {
    _ = files.make("0", size: 4096)
    for number in 1...201 {
      _ = files.make("\(number)", try sound { $0.backing = "\(number - 1)" })
    }
    #expect(refusal(try sound { $0.backing = "198" }) == nil)
    #expect(refusal(try sound { $0.backing = "201" })?.problem == .badBacking)
  }

  @Test func tablesOverEachOtherAreNotWrittenTo() throws {
    // L1 at 3000h names the L2 table at 4000h, which names the data at 5000h.
    let good = try sound()
    #expect(good.big64(0x3000) == 0x8000_0000_0000_4000)
    #expect(good.big64(0x4000) == 0x8000_0000_0000_5000)
    for target in [0x0000, 0x1000, 0x2000, 0x3000] as [UInt64] {
      var bytes = good
      bytes.setBig(0x8000_0000_0000_0000 | target, at: 0x3000)
      if target != 0 { #expect(refusal(bytes, readOnly: false)?.problem == .damaged) }
      // The same for data: it opens, and a write is refused.
      bytes = good
      bytes.setBig(0x8000_0000_0000_0000 | target, at: 0x4000)
      guard target != 0 else { continue }
      let path = files.make("data.qcow2", bytes)
      let image = try DiskImage.open(path: path, readOnly: false)
      #expect(throws: ImageError.self) {
        try image.write(sector: 0, bytes: [UInt8](repeating: 1, count: 512))
      }
      #expect(throws: ImageError.self) { try image.flush() }
      let report = try checked(bytes)
      #expect(report.errorCount > 0)
    }
  }

  func checked(_ bytes: [UInt8]) throws -> CheckReport {
    let disk = SimulatedDisk(bytes)
    return try QCOW2Checker.check(disk, QCOW2Header(disk)).report
  }

  @Test func aCheckSaysWhatIsWrong() throws {
    let good = try sound()
    #expect(try checked(good).errors == [])
    #expect(try checked(good).allocatedClusters == 1)
    // The data's refcount is 0, though it is in use.
    var bytes = good
    bytes.replaceSubrange(0x200A..<0x200C, with: [0, 0])
    #expect(try checked(bytes).errors.contains { $0.contains("used 1 times and counted 0") })
    // A cluster that is counted and not used.
    bytes = good
    bytes.replaceSubrange(0x2010..<0x2012, with: [0, 1])
    #expect(try checked(bytes).leakedClusters == 1 && checked(bytes).errors == [])
    // An entry beyond the file, and one within a cluster.
    for wrong in [0x8000_0000_0010_0000, 0x8000_0000_0000_5200] as [UInt64] {
      bytes = good
      bytes.setBig(wrong, at: 0x4008)
      #expect(try checked(bytes).errorCount > 0)
    }
    // One refcount block for all clusters there are.
    bytes = good
    for at in stride(from: 0x1000, to: 0x2000, by: 8) { bytes.setBig(0x2000 as UInt64, at: at) }
    #expect(try checked(bytes).errors.contains { $0.contains("named twice") })
    // The copied flag where the cluster is not alone.
    bytes = good
    bytes.setBig(0x8000_0000_0000_5000 as UInt64, at: 0x4008)
    bytes.replaceSubrange(0x200A..<0x200C, with: [0, 2])
    #expect(try checked(bytes).errors.contains { $0.contains("copied flag") })
  }

  @Test func leaksAreRepaired() throws {
    var bytes = try sound()
    bytes.replaceSubrange(0x2010..<0x2012, with: [0, 1])
    let path = files.make("leaky.qcow2", bytes)
    #expect(try DiskImage.check(path: path).leakedClusters == 1)
    #expect(try DiskImage.check(path: path, repairsLeaks: true).repairedClusters == 1)
    #expect(try DiskImage.check(path: path).leakedClusters == 0)
  }

  @Test func refcountsThatWereLeftBehindAreCountedAnew() throws {
    var bytes = try sound()
    bytes[72 + 7] = 1
    bytes.replaceSubrange(0x200A..<0x200C, with: [0, 0])
    let path = files.make("dirty.qcow2", bytes)
    do {
      let image = try DiskImage.open(path: path, readOnly: false)
      try image.write(sector: 100, bytes: [UInt8](repeating: 9, count: 4096))
      #expect(try image.bytes(sector: 0) == [UInt8](repeating: 7, count: 512))
    }
    let report = try DiskImage.check(path: path)
    #expect(report.errors == [] && report.leakedClusters == 0)
    #expect(try ImageInspection(path: path).isDirty == false)
  }

  @Test func refcountsLeftBehindThatStandForSeveralPlacesAreNotCounted() throws {
    var bytes = try sound()
    bytes[72 + 7] = 1
    for at in stride(from: 0x1000, to: 0x2000, by: 8) { bytes.setBig(0x2000 as UInt64, at: at) }
    #expect(refusal(bytes) == nil)
    let error = refusal(bytes, readOnly: false)
    #expect(error?.problem == .damaged)
    #expect(error?.description.contains("several places") == true)
  }

  @Test(.timeLimit(.minutes(1))) func manySnapshotsAreNoHarm() throws {
    var bytes = try sound()
    let count = 30_000
    // Each with one entry in its L1 table, behind the list of them, in what the file has not.
    let list = bytes.count
    let listBytes = (count * 40 + 4095) & ~4095
    for number in 0..<count {
      var entry = [UInt8](repeating: 0, count: 40)
      entry.setBig(UInt64(list + listBytes + number * 4096), at: 0)
      entry.setBig(UInt32(1), at: 8)
      bytes += entry
    }
    bytes.setBig(UInt32(count), at: QCOW2Field.snapshotCount)
    bytes.setBig(UInt64(list), at: QCOW2Field.snapshotsOffset)
    let path = files.make("many.qcow2", bytes, size: list + listBytes + count * 4096)
    let image = try DiskImage.open(path: path, readOnly: false)
    #expect(try image.bytes(sector: 0)[0] == 7)
    // None of their tables is counted as used, and not all of that is said.
    let file = try ImageFile(path: path, readOnly: true)
    let report = try QCOW2Checker.check(file, QCOW2Header(file)).report
    #expect(report.errorCount >= count && report.errors.count <= CheckReport.messageLimit)
  }

  @Test func referencesAllOverAnEmptyFileAreNotKept() {
    var dense = ReferenceCounts(limit: 100)
    for cluster in 0..<20_000 as Range<UInt64> { dense.add(cluster) }
    #expect(!dense.isScattered && dense.used.count == 20_000)
    var scattered = ReferenceCounts(limit: 100)
    for cluster in 0..<200 as Range<UInt64> { scattered.add(cluster << 20) }
    #expect(scattered.isScattered)
  }

  /// `sound`, with a directory of bitmaps at `directory` that says it has `count`.
  func withBitmaps(count: UInt32, directory: UInt64, bytes size: UInt64 = 64) throws -> [UInt8] {
    var bytes = try sound()
    var fields = [UInt8](repeating: 0, count: 24)
    fields.setBig(count, at: 0)
    fields.setBig(size, at: 8)
    fields.setBig(directory, at: 16)
    let block = QCOW2Header.block(QCOW2Extension.bitmaps, fields)
    bytes.replaceSubrange(112..<(112 + block.count), with: block)
    for index in (112 + block.count)..<1024 { bytes[index] = 0 }
    bytes[QCOW2Field.autoclear + 7] = 1
    return bytes
  }

  @Test(
    arguments: [
      (1, 0x1234, 64), (1, 0x7FFF_0000, 64), (70_000, 0x5000, 64), (3, 0x5000, 64),
      (1, 0x5000, 1 << 40),
    ] as [(UInt32, UInt64, UInt64)])
  func directoriesOfBitmapsThatCannotBeAreToldOfAndHarmNothing(
    count: UInt32, directory: UInt64, size: UInt64
  ) throws {
    let bytes = try withBitmaps(count: count, directory: directory, bytes: size)
    let disk = SimulatedDisk(bytes)
    if let report = try? QCOW2Checker.check(disk, QCOW2Header(disk)).report {
      #expect(report.errorCount > 0)
    }
    let path = files.make("bitmaps.qcow2", bytes)
    let image = try DiskImage.open(path: path, readOnly: false)
    try image.write(sector: 0, bytes: [UInt8](repeating: 1, count: 512))
    try image.flush()
    #expect(try QCOW2Header(ImageFile(path: path, readOnly: true)).autoclear == 0)
  }

  @Test func clustersOfBitmapsAreNoLeaks() throws {
    // The directory at 6000h names a table at 7000h, which names a cluster at 8000h.
    var bytes = try withBitmaps(count: 1, directory: 0x6000, bytes: 32)
    bytes += [UInt8](repeating: 0, count: 0x9000 - bytes.count)
    bytes.setBig(UInt64(0x7000), at: 0x6000)
    bytes.setBig(UInt32(1), at: 0x6008)
    bytes.setBig(UInt64(0x8000), at: 0x7000)
    for cluster in 6...8 { bytes.setBig(UInt16(1), at: 0x2000 + cluster * 2) }
    let path = files.make("bitmaps.qcow2", bytes)
    #expect(try DiskImage.check(path: path, repairsLeaks: true).leakedClusters == 0)
    #expect(try QCOW2Header(ImageFile(path: path, readOnly: true)).autoclear == 1)
    do {
      let image = try DiskImage.open(path: path, readOnly: false)
      try image.write(sector: 0, bytes: [UInt8](repeating: 1, count: 512))
    }
    // Nobody believes them any more.
    #expect(try DiskImage.check(path: path).leakedClusters == 3)
    #expect(try DiskImage.check(path: path, repairsLeaks: true).repairedClusters == 3)
  }

  @Test func tablesSaidToBeWhereTheRefcountTableGrowsAreNoHarm() throws {
    // Behind the end lie as many L2 tables as the next longer refcount table can count.
    let disk = SimulatedDisk()
    let tables = 17_000
    var options = QCOW2Options(size: UInt64(tables + 2) * 32768)
    options.clusterBytes = 512
    let header = try QCOW2Header(options, path: "hostile")
    try header.create(in: disk)
    let end = 64 * 256
    for number in 1...tables {
      var entry = [UInt8](repeating: 0, count: 8)
      entry.setBig(L2Entry.copied | UInt64((end + number) * 512), at: 0)
      try disk.storeBytes(entry, at: header.l1Offset + UInt64(number * 8))
    }
    _ = disk.setSize(UInt64(end - 40) * 512)
    let data = (0..<400 * 512).map { UInt8(truncatingIfNeeded: $0 / 512 &+ 1) }
    do {
      let image = try QCOW2Image(disk, QCOW2Header(disk), backing: nil)
      for sector in 0..<200 as Range<Int> {
        try image.write(
          sector: UInt64(sector) * 2, bytes: Array(data[(sector * 1024)..<(sector * 1024 + 1024)]))
      }
      try image.flush()
    }
    let after = try QCOW2Header(disk)
    #expect(after.refcountTableOffset != header.refcountTableOffset)
    let image = try QCOW2Image(disk, after, backing: nil)
    #expect(try image.bytes(sector: 0, count: 400) == data)
    // What holds data, and what counts it, is counted once.
    let report = try QCOW2Checker.check(disk, after).report
    #expect(
      report.errors.allSatisfy {
        $0.contains("used 1 times and counted 0") || $0.contains("copied")
      })
    let refcounts = try QCOW2Refcounts(disk, after)
    for cluster in 0..<UInt64(after.refcountTableClusters) {
      #expect(try refcounts.count(of: after.refcountTableOffset / 512 + cluster) == 1)
    }
    for place in [0, 2, 3, header.l1Offset / 512] as [UInt64] {
      #expect(try refcounts.count(of: place) == 1)
    }
  }
}
