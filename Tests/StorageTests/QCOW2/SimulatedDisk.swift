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
  let growsWithZeroes = true
  private(set) var bytes: [UInt8]
  private var durable: [UInt8]
  private var changes: [Change] = []
  /// After so many more changes the host does not answer any more.
  var changesLeft = Int.max
  /// The file can't become longer than this.
  var room = Int.max
  private(set) var flushCount = 0

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
    flushCount += 1
    durable = bytes
    changes = []
    return 0
  }

  func setSize(_ bytes: UInt64) -> Int32 { make(.size(Int(bytes))) }

  func punch(_ range: Range<UInt64>) -> Int32 {
    make(.punch(Int(range.lowerBound)..<Int(range.upperBound)))
  }

  func run(at offset: UInt64) -> (isData: Bool, end: UInt64)? {
    offset < UInt64(bytes.count) ? (true, UInt64(bytes.count)) : nil
  }

  /// The disk after a loss of power.
  func afterPowerCut(_ random: inout some RandomNumberGenerator) -> SimulatedDisk {
    var left = durable
    let keeps = UInt32.random(in: 0...4, using: &random)
    for change in changes {
      guard case .write(let at, let data) = change else {
        if UInt32.random(in: 0..<4, using: &random) < keeps { apply(change, to: &left) }
        continue
      }
      // A sector of the disk is written as a whole or not at all.
      var done = 0
      while done < data.count {
        let count = min(data.count - done, 512 - (at + done) % 512)
        if UInt32.random(in: 0..<4, using: &random) < keeps {
          apply(.write(at + done, Array(data[done..<(done + count)])), to: &left)
        }
        done += count
      }
    }
    return SimulatedDisk(left)
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
