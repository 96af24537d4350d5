import Testing

@testable import Storage

/// A sector that holds `value` throughout.
private func sectorOf(_ value: UInt64) -> [UInt8] {
  [UInt64](repeating: value, count: 64).withUnsafeBytes { Array($0) }
}

/// Random lives of images on a disk that loses power again and again.
@Suite struct PowerCutTests {
  /// What a medium's sectors may hold: the last one after a read, all after a loss of power.
  struct Model {
    /// The values that a sector may have, the newest last.
    var sectors: [[UInt64]]
    var serial: UInt64 = 0

    mutating func settle() {
      for index in sectors.indices { sectors[index].removeFirst(sectors[index].count - 1) }
    }
  }

  /// One image's life.
  struct Life {
    var random: Seeded
    var disk: SimulatedDisk
    var image: QCOW2Image
    var model: Model
    let backing: RawImage?

    init(seed: Int) throws {
      random = Seeded(seed)
      disk = SimulatedDisk()
      var options = QCOW2Options(size: UInt64.random(in: 100...1500, using: &random) * 512)
      options.clusterBytes = 512 << Int.random(in: 0...3, using: &random)
      options.version = UInt32.random(in: 2...3, using: &random)
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
      _ = disk.flush()
      image = try QCOW2Image(disk, QCOW2Header(disk), backing: backing)
      model = Model(
        sectors: (0..<Int(options.size / 512)).map { [$0 < below.count ? below[$0] : 0] })
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

    /// Reads all and compares.
    mutating func verify(afterCut: Bool) throws {
      let count = Int(image.sectorCount)
      if afterCut && count > model.sectors.count {
        model.sectors += [[UInt64]](repeating: [0], count: count - model.sectors.count)
      }
      #expect(count == model.sectors.count)
      let words = try image.bytes(sector: 0, count: count).withUnsafeBytes {
        Array($0.bindMemory(to: UInt64.self))
      }
      for sector in 0..<min(count, model.sectors.count) {
        let value = words[sector * 64]
        let isWhole = words[sector * 64 + 63] == value && words[sector * 64 + 31] == value
        let allowed = afterCut ? model.sectors[sector][...] : model.sectors[sector].suffix(1)
        guard isWhole && allowed.contains(value) else {
          Issue.record("sector \(sector) has \(value), whole \(isWhole), and may have \(allowed)")
          return
        }
        if afterCut { model.sectors[sector] = [value] }
      }
    }

    /// Loses power, and goes on with what is left.
    mutating func cutPower() throws {
      disk = disk.afterPowerCut(&random)
      let checker = try QCOW2Checker.check(disk, QCOW2Header(disk))
      #expect(checker.report.errors == [])
      image = try QCOW2Image(disk, QCOW2Header(disk), backing: backing)
      try verify(afterCut: true)
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
          try life.verify(afterCut: false)
        } catch {}
        try life.cutPower()
      }
      // What is left over are leaks, and they can be found.
      life.disk.changesLeft = .max
      try life.image.flush()
      let header = try QCOW2Header(life.disk)
      let checker = try QCOW2Checker.check(life.disk, header)
      _ = try QCOW2Repair.freeLeaks(life.disk, header, checker.references)
      #expect(try QCOW2Checker.check(life.disk, header).report.leakedClusters == 0)
    }
  }
}
