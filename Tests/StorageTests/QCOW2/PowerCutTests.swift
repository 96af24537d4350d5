import Testing

@testable import Storage

/// A sector that holds `value` throughout.
private func sectorOf(_ value: UInt64) -> [UInt8] {
  [UInt64](repeating: value, count: 64).withUnsafeBytes { Array($0) }
}

/// Random lives of images on a disk that loses power again and again.
@Suite struct PowerCutTests {
  /// What a medium's sectors may hold: the last one after a read, all after a loss of power.
  final class Model {
    /// The values that a sector may have, the newest last.
    var sectors: [[UInt64]]
    var serial: UInt64 = 0

    init(_ values: [UInt64]) { sectors = values.map { [$0] } }

    func settle() {
      for index in sectors.indices where sectors[index].count > 1 {
        sectors[index].removeFirst(sectors[index].count - 1)
      }
    }

    /// What `image` shows, a value for each sector.
    /// - Parameter afterCut: any value will do that the sector had since it was last flushed.
    func values(of image: QCOW2Image, afterCut: Bool) throws -> [UInt64] {
      let count = Int(image.sectorCount)
      #expect(afterCut ? count >= sectors.count : count == sectors.count)
      let words = try image.bytes(sector: 0, count: count).withUnsafeBytes {
        Array($0.bindMemory(to: UInt64.self))
      }
      for sector in 0..<count {
        let value = words[sector * 64]
        let isWhole = words[sector * 64 + 63] == value && words[sector * 64 + 31] == value
        let known = sector < sectors.count ? sectors[sector] : [0]
        if isWhole && (afterCut ? known.contains(value) : known.last == value) { continue }
        Issue.record("sector \(sector) has \(value), whole \(isWhole), and may have \(known)")
        break
      }
      return stride(from: 0, to: words.count, by: 64).map { words[$0] }
    }

    /// Opens what a loss of power leaves of `disk`, and looks whether all is there.
    func checkCut(
      _ disk: SimulatedDisk, over backing: RawImage?, _ random: inout Seeded
    ) throws -> (SimulatedDisk, QCOW2Image) {
      let left = disk.afterPowerCut(&random)
      let report = try QCOW2Checker.check(left, QCOW2Header(left)).report
      #expect(report.errors == [])
      return (left, try QCOW2Image(left, QCOW2Header(left), backing: backing))
    }
  }

  /// One image's life.
  struct Life {
    var random: Seeded
    var disk: SimulatedDisk
    var image: QCOW2Image
    let model: Model
    let backing: RawImage?

    /// - Parameter isTight: refcount blocks count few clusters, so that there are many, and their
    ///   table is nearly full.
    init(seed: Int, isTight: Bool = false) throws {
      random = Seeded(seed)
      disk = SimulatedDisk()
      var options = QCOW2Options(
        size: UInt64.random(in: 100...(isTight ? 300 : 1500), using: &random) * 512)
      options.clusterBytes = isTight ? 512 : 512 << Int.random(in: 0...3, using: &random)
      options.version = isTight ? 3 : UInt32.random(in: 2...3, using: &random)
      var below: [UInt64] = []
      if Bool.random(using: &random) {
        below = (0..<UInt64.random(in: 50...1000, using: &random)).map { $0 + 1 << 40 }
        let bytes = below.flatMap(sectorOf)
        backing = try RawImage(SimulatedDisk(bytes))
        options.backing = "below"
      } else {
        backing = nil
      }
      let header = try QCOW2Header(options, path: "new")
      try header.create(in: disk)
      if isTight { disk.widenRefcounts(header, fileBytes: (4096 - 40) * 512) }
      _ = disk.flush()
      image = try QCOW2Image(disk, QCOW2Header(disk), backing: backing)
      model = Model((0..<Int(options.size / 512)).map { $0 < below.count ? below[$0] : 0 })
    }

    /// Has power lost before every flush, `cuts` times each, beside what goes on.
    func cutAtFlushes(_ cuts: Int, seed: Int) {
      var random = Seeded(seed)
      disk.beforeFlush = { [model, backing, unowned disk] in
        do {
          for _ in 0..<cuts {
            let (_, image) = try model.checkCut(disk, over: backing, &random)
            _ = try model.values(of: image, afterCut: true)
          }
        } catch { Issue.record(error) }
      }
    }

    mutating func place() -> (Int, Int) {
      let first = Int.random(in: 0..<model.sectors.count, using: &random)
      let most = min(model.sectors.count - first, Bool.random(using: &random) ? 3 : 40)
      return (first, Int.random(in: 1...most, using: &random))
    }

    mutating func write() throws(ImageError) {
      let (first, count) = place()
      var bytes: [UInt8] = []
      for sector in first..<(first + count) {
        model.serial += 1
        model.sectors[sector].append(model.serial)
        let serial = model.serial
        bytes += sectorOf(serial)
      }
      try image.write(sector: UInt64(first), bytes: bytes)
    }

    mutating func zero() throws(ImageError) {
      let (first, count) = place()
      for sector in first..<(first + count) { model.sectors[sector].append(0) }
      try image.zero(sector: UInt64(first), count: UInt64(count))
    }

    mutating func grow() throws(ImageError) {
      guard model.sectors.count < 2500 else { return }
      let more = Int.random(in: 1...500, using: &random)
      let old = model.sectors.count
      do throws(ImageError) { try image.resize(to: UInt64(old + more) * 512) } catch {
        // Whether the new size is there is open.
        throw error
      }
      model.sectors += [[UInt64]](repeating: [0], count: more)
    }

    mutating func step() throws(ImageError) {
      switch Int.random(in: 0..<20, using: &random) {
      case 0..<12: try write()
      case 12..<15: try zero()
      case 15: try grow()
      // As happens to an image whose guest does not flush.
      case 16, 17: image.settle()
      default:
        try image.flush()
        model.settle()
      }
    }

    /// Loses power, and goes on with what is left.
    mutating func cutPower() throws {
      (disk, image) = try model.checkCut(disk, over: backing, &random)
      model.sectors = try model.values(of: image, afterCut: true).map { [$0] }
    }
  }

  @Test(arguments: 0..<12)
  func nothingThatWasFlushedIsLost(seed: Int) throws {
    for number in 0..<8 {
      var life = try Life(seed: seed * 1000 + number + 1)
      for _ in 0..<4 {
        life.disk.changesLeft = Int.random(in: 5...400, using: &life.random)
        do {
          for _ in 0..<Int.random(in: 5...100, using: &life.random) { try life.step() }
          life.disk.changesLeft = .max
          _ = try life.model.values(of: life.image, afterCut: false)
        } catch {}
        try life.cutPower()
      }
      // What is left over are leaks, and they can be found.
      life.disk.changesLeft = .max
      try life.image.flush()
      let header = try QCOW2Header(life.disk)
      let checker = try QCOW2Checker.check(life.disk, header)
      _ = try QCOW2Repair.freeLeaks(life.disk, header, checker)
      #expect(try QCOW2Checker.check(life.disk, header).report.leakedClusters == 0)
    }
  }

  @Test(arguments: 0..<16)
  func noMomentIsABadOneToLosePower(seed: Int) throws {
    var life = try Life(seed: seed + 77, isTight: true)
    life.cutAtFlushes(4, seed: seed + 1)
    for _ in 0..<40 { try life.step() }
    try life.image.flush()
    _ = try life.model.values(of: life.image, afterCut: false)
    life.disk.beforeFlush = {}
  }
}
