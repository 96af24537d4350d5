import Glibc

@testable import Storage

/// A host's file on a disk that can lose power: what was not flushed may then be there, or not, or
/// in part, sector by sector. Confined to one thread.
final class SimulatedDisk: HostFile, @unchecked Sendable {
  // SAFETY: each test uses its disk from its own thread only.
  private enum Change {
    case write(Int, [UInt8])
    case size(Int)
    case punch(Range<Int>)
  }

  let path = "the simulated disk"
  let isReadOnly = false
  /// False for a device, whose length stays what it is.
  var growsWithZeroes = true
  let punches = true
  private(set) var bytes: [UInt8]
  private var durable: [UInt8]
  private var changes: [Change] = []
  /// After so many more changes the host does not answer any more.
  var changesLeft = Int.max
  /// The file can't become longer than this.
  var room = Int.max
  private(set) var flushCount = 0
  /// Called before a flush is done: when most can be lost. All that can be lost at a moment before
  /// can be lost then.
  var beforeFlush: () -> Void = {}

  init(_ bytes: [UInt8] = []) {
    self.bytes = bytes
    durable = bytes
  }

  func size() throws(ImageError) -> UInt64 { UInt64(bytes.count) }

  func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
    let start = Int(clamping: offset)
    guard start < bytes.count else { return 0 }
    let count = min(buffer.count, bytes.count - start)
    buffer.copyBytes(from: bytes[start..<(start + count)])
    return count
  }

  private func apply(_ change: Change, to bytes: inout [UInt8]) {
    switch change {
    case .write(let at, let data):
      if bytes.count < at + data.count {
        bytes += [UInt8](repeating: 0, count: at + data.count - bytes.count)
      }
      bytes.replaceSubrange(at..<(at + data.count), with: data)
    case .size(let count):
      if count < bytes.count { bytes.removeLast(bytes.count - count) }
      bytes += [UInt8](repeating: 0, count: count - bytes.count)
    case .punch(let range):
      for index in range.clamped(to: bytes.indices) { bytes[index] = 0 }
    }
  }

  private func make(_ change: Change) -> Int32 {
    guard changesLeft > 0 else { return EIO }
    changesLeft -= 1
    changes.append(change)
    apply(change, to: &bytes)
    return 0
  }

  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) -> Int {
    guard Int(offset) + buffer.count <= room else { return -Int(ENOSPC) }
    let code = make(.write(Int(offset), Array(buffer)))
    return code == 0 ? buffer.count : -Int(code)
  }

  func flush() -> Int32 {
    guard changesLeft > 0 else { return EIO }
    beforeFlush()
    flushCount += 1
    durable = bytes
    changes = []
    return 0
  }

  func setSize(_ bytes: UInt64) -> Int32 {
    growsWithZeroes ? make(.size(Int(bytes))) : EINVAL
  }

  func punch(_ range: Range<UInt64>) -> Int32 {
    make(.punch(Int(range.lowerBound)..<Int(range.upperBound)))
  }

  func run(at offset: UInt64) -> (isData: Bool, end: UInt64)? {
    offset < UInt64(bytes.count) ? (true, UInt64(bytes.count)) : nil
  }

  /// The disk after a loss of power: any of what was not flushed is there, or is not.
  func afterPowerCut(_ random: inout some RandomNumberGenerator) -> SimulatedDisk {
    let pending = changes.flatMap(Self.sectors)
    var left = durable
    let keeps = Self.choice(of: pending.count, &random)
    for (number, change) in pending.enumerated() where keeps(number) { apply(change, to: &left) }
    return SimulatedDisk(left)
  }

  /// The parts of `change` that a disk does as a whole or not at all: a sector each.
  private static func sectors(_ change: Change) -> [Change] {
    guard case .write(let at, let data) = change else { return [change] }
    var parts: [Change] = []
    var done = 0
    while done < data.count {
      let count = min(data.count - done, 512 - (at + done) % 512)
      parts.append(.write(at + done, Array(data[done..<(done + count)])))
      done += count
    }
    return parts
  }

  /// Which of `count` changes reach the disk: many or few, all but a few, or few beside those that
  /// came first.
  private static func choice(
    of count: Int, _ random: inout some RandomNumberGenerator
  ) -> (Int) -> Bool {
    guard count > 0 else { return { _ in true } }
    let one = Int.random(in: 0..<count, using: &random)
    switch UInt32.random(in: 0..<6, using: &random) {
    case 0: return { $0 == one }
    case 1: return { $0 != one }
    case 2: return { $0 <= one }
    case 3: return { $0 >= one }
    default:
      let share = UInt32.random(in: 0...4, using: &random)
      let kept = (0..<count).map { _ in UInt32.random(in: 0..<4, using: &random) < share }
      return { kept[$0] }
    }
  }
}

/// Numbers that are the same in every run.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: Int) { state = UInt64(bitPattern: Int64(seed)) &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_F491_4F6C_DD1D
  }
}

extension SimulatedDisk {
  /// Makes a new image's refcounts 64 bits wide, which are the most that an image can need, and the
  /// file as long as `fileBytes`, so that new clusters lie behind that.
  func widenRefcounts(_ header: QCOW2Header, fileBytes: Int) {
    let used = bytes.count / header.clusterBytes
    var patch = bytes
    patch.setBig(UInt32(6), at: QCOW2Field.refcountOrder)
    let block = Int(patch.big64(Int(header.refcountTableOffset)))
    for cluster in 0..<used { patch.setBig(UInt64(1), at: block + cluster * 8) }
    _ = patch.withUnsafeBytes { write($0, at: 0) }
    _ = setSize(UInt64(fileBytes))
  }
}
