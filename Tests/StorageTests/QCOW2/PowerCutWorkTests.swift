import Testing

@testable import Storage

/// Works on whole images, which lose power at any moment: what is shown is what was shown.
@Suite struct PowerCutWorkTests {
  static let sectors = 150

  /// An image of `sectors` on a disk of its own.
  static func image(
    _ random: inout Seeded, backing: String? = nil, writes: Int = 40, sectors: Int = sectors,
    clusterBytes: Int = 512
  ) throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    var options = QCOW2Options(size: UInt64(sectors) * 512)
    options.clusterBytes = clusterBytes
    options.backing = backing
    options.backingFormat = backing == nil ? nil : .qcow2
    try QCOW2Header(options, path: "new").create(in: disk)
    let image = try QCOW2Image(disk, QCOW2Header(disk), backing: nil)
    for _ in 0..<writes {
      let value = UInt8.random(in: 1...255, using: &random)
      try image.write(
        sector: UInt64.random(in: 0..<UInt64(sectors), using: &random),
        bytes: [UInt8](repeating: value, count: 512))
    }
    try image.flush()
    return disk
  }

  static func open(
    _ disk: SimulatedDisk, over backing: (any StoredImage)? = nil
  ) throws -> QCOW2Image { try QCOW2Image(disk, QCOW2Header(disk), backing: backing) }

  static func contents(_ image: any StoredImage) throws -> [UInt8] {
    try image.bytes(sector: 0, count: Int(image.sectorCount))
  }

  /// Calls `check` with what is left of the disks, some times before each flush of one of them and
  /// at the end of `body`.
  static func losingPower(
    _ disks: [SimulatedDisk], _ random: Seeded, during body: () throws -> Void,
    _ check: @escaping ([SimulatedDisk]) throws -> Void
  ) throws {
    var random = random
    let cut = {
      for _ in 0..<12 {
        let left = disks.map { $0.afterPowerCut(&random) }
        do { try check(left) } catch { Issue.record(error) }
      }
    }
    for disk in disks { disk.beforeFlush = cut }
    try body()
    cut()
    for disk in disks { disk.beforeFlush = {} }
  }

  static func expectSound(_ disk: SimulatedDisk) throws {
    #expect(try QCOW2Checker.check(disk, QCOW2Header(disk)).report.errors == [])
  }

  @Test(arguments: 1...6) func aCommitMovesDataWithoutLosingIt(seed: Int) throws {
    var random = Seeded(seed)
    let below = try Self.image(&random, sectors: Self.sectors - 20)
    let above = try Self.image(&random, backing: "below")
    let shown = try Self.contents(Self.open(above, over: Self.open(below)))
    let (base, overlay) = (try Self.open(below), try Self.open(above))
    try Self.losingPower([below, above], random) {
      try ImageCopy.commit(overlay, into: base) { _, _ in }
    } _: { left in
      try left.forEach(Self.expectSound)
      #expect(try Self.contents(Self.open(left[1], over: Self.open(left[0]))) == shown)
    }
    #expect(try Self.contents(base) == shown)
    // It is empty, and stays so after a loss of power.
    let left = above.afterPowerCut(&random)
    #expect(try QCOW2Checker.check(left, QCOW2Header(left)).report.allocatedClusters == 0)
  }

  @Test(arguments: 1...6) func anotherImageBelowChangesNothing(seed: Int) throws {
    var random = Seeded(seed)
    let images = try ["old": Self.open(Self.image(&random)), "new": Self.open(Self.image(&random))]
    // In large clusters the name is beside the header's sector.
    let above = try Self.image(
      &random, backing: "old", writes: 10, clusterBytes: seed % 2 == 0 ? 512 : 4096)
    let overlay = try Self.open(above, over: images["old"])
    let shown = try Self.contents(overlay)
    try Self.losingPower([above], random) {
      try ImageCopy.keepApart(overlay, from: images["new"]) { _, _ in }
      try overlay.locked { volume throws(ImageError) in
        try volume.setBacking("new", format: .qcow2)
      }
    } _: { left in
      try Self.expectSound(left[0])
      let header = try QCOW2Header(left[0])
      let backing = try #require(images[header.backingName ?? "none"])
      #expect(header.backingFormat == "qcow2")
      #expect(try Self.contents(Self.open(left[0], over: backing)) == shown)
    }
    let left = above.afterPowerCut(&random)
    #expect(try QCOW2Header(left).backingName == "new")
  }

  @Test(arguments: 1...4) func refcountsAreCountedAnewOrStillToBe(seed: Int) throws {
    var random = Seeded(seed)
    let disk = try Self.image(&random)
    let header = try QCOW2Header(disk)
    var dirty = header
    dirty.incompatible |= QCOW2Feature.dirty
    try dirty.update(in: disk)
    // Some counts were left behind.
    let block = try disk.loadBytes(8, at: header.refcountTableOffset).big64(0)
    for cluster in 5..<20 as Range<UInt64> {
      try disk.storeBytes([0, UInt8.random(in: 0...2, using: &random)], at: block + cluster * 2)
    }
    _ = disk.flush()
    let shown = try Self.contents(Self.open(disk))
    try Self.losingPower([disk], random) {
      var header = dirty
      try QCOW2Repair.recount(disk, &header)
      #expect(header.incompatible == 0)
    } _: { left in
      let header = try QCOW2Header(left[0])
      if header.incompatible == 0 { try Self.expectSound(left[0]) }
      #expect(try Self.contents(Self.open(left[0])) == shown)
    }
    #expect(try QCOW2Header(disk.afterPowerCut(&random)).incompatible == 0)
  }

  @Test(arguments: 1...4) func repairedLeaksHarmNothing(seed: Int) throws {
    var random = Seeded(seed)
    let disk = try Self.image(&random)
    let header = try QCOW2Header(disk)
    let block = try disk.loadBytes(8, at: header.refcountTableOffset).big64(0)
    for cluster in 70..<90 as Range<UInt64> {
      try disk.storeBytes([0, 3], at: block + cluster * 2)
    }
    _ = disk.flush()
    let found = try QCOW2Checker.check(disk, header)
    #expect(found.report.leakedClusters > 0 && found.report.errors == [])
    try Self.losingPower([disk], random) {
      _ = try QCOW2Repair.freeLeaks(disk, header, found)
    } _: {
      try Self.expectSound($0[0])
    }
    let left = disk.afterPowerCut(&random)
    #expect(try QCOW2Checker.check(left, header).report.leakedClusters == 0)
  }

  @Test(arguments: 1...4) func bitmapsAreOutdatedBeforeTheDataIsAnother(seed: Int) throws {
    var random = Seeded(seed)
    let disk = try Self.image(&random, writes: 300)
    var marked = try QCOW2Header(disk)
    marked.autoclear = 1
    try marked.update(in: disk)
    _ = disk.flush()
    let image = try Self.open(disk)
    let shown = try Self.contents(image)
    try Self.losingPower([disk], random) {
      for sector in 0..<20 as Range<UInt64> {
        try image.write(sector: sector * 7, bytes: [UInt8](repeating: 0, count: 512))
      }
      try image.flush()
    } _: { left in
      let isMarked = try QCOW2Header(left[0]).autoclear != 0
      #expect(try !isMarked || Self.contents(Self.open(left[0])) == shown)
    }
    #expect(try QCOW2Header(disk).autoclear == 0)
  }

  @Test(arguments: 1...6) func aSnapshotStaysWhatItWas(seed: Int) throws {
    var random = Seeded(seed)
    let disk = try Self.image(&random, writes: 100)
    try disk.takeSnapshot()
    let kept = try Self.contents(Self.open(disk))
    let image = try Self.open(disk)
    try Self.losingPower([disk], random) {
      for _ in 0..<60 {
        let sector = UInt64.random(in: 0..<UInt64(Self.sectors - 4), using: &random)
        if Bool.random(using: &random) {
          try image.write(sector: sector, bytes: [UInt8](repeating: 1, count: 1024))
        } else {
          try image.zero(sector: sector, count: 3)
        }
        if UInt8.random(in: 0..<12, using: &random) == 0 { image.settle() }
      }
      try image.flush()
    } _: { left in
      try Self.expectSound(left[0])
      let image = try Self.open(left[0])
      let snapshot = try #require(try image.snapshots().first)
      try image.locked { volume throws(ImageError) in try volume.show(snapshot) }
      #expect(try Self.contents(image) == kept)
    }
  }

  @Test(arguments: 1...4) func anotherSizeLeavesWhatWasThere(seed: Int) throws {
    var random = Seeded(seed)
    let disk = try Self.image(&random)
    let image = try Self.open(disk)
    try image.write(sector: 3, bytes: [UInt8](repeating: 3, count: 512))
    try image.flush()
    let shown = try Self.contents(image)
    try Self.losingPower([disk], random) {
      try image.resize(to: 4000 * 512)
    } _: { left in
      try Self.expectSound(left[0])
      let image = try Self.open(left[0])
      #expect(image.sectorCount == 4000 || image.sectorCount == UInt64(Self.sectors))
      #expect(try image.bytes(sector: 0, count: Self.sectors) == shown)
    }
  }
}
