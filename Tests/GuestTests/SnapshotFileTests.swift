import Glibc
import KVMEngine
import Testing

@testable import Machine

/// Snapshots that are no snapshots.
@Suite(.serialized) struct SnapshotFileTests {
  private struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  /// A snapshot of a small guest, as bytes.
  private static func sample() throws -> [UInt8] {
    let run = try GuestRun("firstlight") {
      $0.engine = .software
      $0.memoryBytes = 2 << 20
    }
    try run.wait("the picture") { $0.pixel(0, 0) == 0x3060C0 }
    let path = GuestRun.temporaryPath()
    defer { unlink(path) }
    try run.machine.save(to: path, holds: true)
    run.stop()
    let file = open(path, O_RDONLY)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: Int(lseek(file, 0, SEEK_END)))
    #expect(pread(file, &bytes, bytes.count, 0) == bytes.count)
    return bytes
  }

  private static func write(_ bytes: [UInt8], _ path: String) {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
    close(file)
  }

  /// Restores the machine of `bytes` and stops it.
  /// - Returns: the sentence, if it was refused.
  private static func restore(_ bytes: [UInt8]) -> String? {
    let path = GuestRun.temporaryPath()
    defer { unlink(path) }
    write(bytes, path)
    do {
      var configuration = try MachineConfiguration(restoring: path)
      guard configuration.memoryBytes <= 64 << 20, configuration.processors <= 2 else { return nil }
      configuration.engine = .software
      configuration.drives = []
      configuration.directBoot = nil
      let machine = try Machine(configuration) { _ in }
      try machine.start()
      machine.requestStop(.poweredOff)
      _ = machine.waitUntilStopped()
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// Where the sections of a good file lie: head and contents.
  private static func sections(_ bytes: [UInt8]) -> [(head: Int, contents: Range<Int>)] {
    var result: [(head: Int, contents: Range<Int>)] = []
    var place = SnapshotFile.magic.count + 8
    while place + SnapshotFile.headBytes <= bytes.count {
      let length = Int(SnapshotFile.number(bytes[(place + 4)...], as: UInt32.self))
      let start = place + SnapshotFile.headBytes
      result.append((place, start..<(start + length)))
      place = start + length
    }
    return result
  }

  @Test func wholeSnapshotIsTaken() throws {
    #expect(Self.restore(try Self.sample()) == nil)
  }

  @Test func cutSnapshotsAreRefusedWithASentence() throws {
    let good = try Self.sample()
    var dice = Dice(state: 7)
    for cut in [0, 1, 15, 16, 23, 24, 30, good.count - 1]
      + (0..<20).map({ _ in Int.random(in: 0..<good.count, using: &dice) })
    {
      let said = Self.restore(Array(good[..<cut]))
      #expect(said?.contains("cut short") == true || said?.contains("no snapshot") == true)
    }
  }

  @Test func everyFlippedBitIsNoticed() throws {
    let good = try Self.sample()
    var dice = Dice(state: 11)
    for _ in 0..<60 {
      var bad = good
      // The spare bytes of the head carry nothing.
      let place = Int.random(in: 24..<good.count, using: &dice)
      bad[place] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
      #expect(Self.restore(bad) != nil, "byte \(place)")
    }
  }

  @Test func missingAndDoubledSectionsAreNoticed() throws {
    let good = try Self.sample()
    let sections = Self.sections(good)
    for index in [0, 1, sections.count / 2, sections.count - 2, sections.count - 1] {
      let range = sections[index].head..<sections[index].contents.upperBound
      var bad = good
      bad.removeSubrange(range)
      #expect(Self.restore(bad) != nil)
      bad = good
      bad.insert(contentsOf: good[range], at: range.lowerBound)
      #expect(index == sections.count - 1 || Self.restore(bad) != nil)
    }
  }

  /// Contents that lie under a right checksum: refused with a sentence or taken, and never a trap.
  @Test func hostileContentsNeverBringTheProcessDown() throws {
    let good = try Self.sample()
    let sections = Self.sections(good)
    let memory = SnapshotFile.Kind.memory.rawValue
    let small = sections.filter {
      SnapshotFile.number(good[$0.head...], as: UInt32.self) != memory
    }
    var dice = Dice(state: 23)
    var refused = 0
    for _ in 0..<150 {
      var bad = good
      let all = Bool.random(using: &dice) ? small : sections
      let section = try #require(all.randomElement(using: &dice))
      for _ in 0..<Int.random(in: 1...4, using: &dice) {
        guard let place = section.contents.randomElement(using: &dice) else { continue }
        bad[place] = UInt8.random(in: 0...255, using: &dice)
      }
      Self.correct(&bad, section)
      if Self.restore(bad) != nil { refused += 1 }
    }
    #expect(refused > 5)
  }

  private static func correct(
    _ bytes: inout [UInt8], _ section: (head: Int, contents: Range<Int>)
  ) {
    let kind = SnapshotFile.number(bytes[section.head...], as: UInt32.self)
    let sum = Array(bytes[section.contents]).withUnsafeBytes { SnapshotFile.checksum(kind, $0) }
    bytes.replaceSubrange(
      (section.head + 8)..<(section.head + 16), with: SnapshotFile.little(sum))
  }

  private static func isValue(_ bytes: [UInt8]) -> Bool { SnapshotValue(decoding: bytes) != nil }

  @Test func valuesDecodeToWhatTheyWere() throws {
    struct Thing: Codable, Equatable {
      enum Kind: Codable, Equatable { case none, some(UInt8, name: String?) }
      var bytes: [UInt8] = [1, 2, 255]
      var words: [UInt64] = [0, .max]
      var signed: [Int] = [.min, -1, 0, .max]
      var kind = Kind.some(7, name: "ä")
      var none = Kind.none
      var maybe: Int?
      var list: [[String: Bool]] = [["a": true], [:]]
      var vector = SIMD4<UInt64>(1, 2, 3, 4)
      var real = -1.5
    }
    let thing = Thing()
    let bytes = try SnapshotEncoder.encode(thing).encoded()
    let value = try #require(SnapshotValue(decoding: bytes))
    #expect(try SnapshotDecoder.decode(Thing.self, from: value) == thing)
    for cut in 0..<bytes.count { #expect(!Self.isValue(Array(bytes[..<cut]))) }
    // A list of lists of lists..., and one that claims more than there is.
    #expect(!Self.isValue([UInt8](repeating: 8, count: 1000)))
    #expect(!Self.isValue([8, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]))
  }
}
