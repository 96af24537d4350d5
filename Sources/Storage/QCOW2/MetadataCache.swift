import KVMEngine

/// Pieces of an image's tables in memory: a bounded number, the least recently used given up first.
///
/// A piece is 4 KiB, or a cluster where those are smaller. What was changed is kept by sector, so
/// that a write-back writes no more than that. Confined to the lock of the image.
final class MetadataCache {
  private struct Slot {
    var offset: UInt64 = .max
    /// A bit for each sector that differs from the file.
    var dirty: UInt8 = 0
    var used: UInt64 = 0
  }

  /// Bytes of a piece: a power of two.
  let pieceBytes: Int
  private let file: any HostFile
  private let limit: Int
  private let memory: ZeroedMemory
  private let entries: UnsafeMutablePointer<UInt64>
  private var slots: [Slot] = []
  private var index: [UInt64: Int] = [:]
  private var time: UInt64 = 0
  private var recent = 0
  private(set) var dirtyCount = 0

  /// - Parameter bytes: of memory at most.
  init(_ file: any HostFile, clusterBytes: Int, bytes: Int) {
    self.file = file
    pieceBytes = min(4096, clusterBytes)
    limit = bytes / pieceBytes
    memory = ZeroedMemory(byteCount: limit * pieceBytes)
    entries = memory.values(UInt64.self, count: limit * pieceBytes / 8)
  }

  /// The slot that holds the piece at `offset` of the file, a multiple of ``pieceBytes``; nil where
  /// all slots hold what has to be written first.
  func slot(at offset: UInt64) throws(ImageError) -> Int? {
    time &+= 1
    if recent < slots.count && slots[recent].offset == offset { return recent }
    if let found = index[offset] {
      slots[found].used = time
      recent = found
      return found
    }
    guard let free = victim() else { return nil }
    let piece = bytes(of: free)
    // What was there is gone whether or not the new piece can be read.
    index[slots[free].offset] = nil
    slots[free] = Slot()
    try file.load(piece, at: offset)
    slots[free] = Slot(offset: offset, used: time)
    index[offset] = free
    recent = free
    return free
  }

  private func victim() -> Int? {
    if slots.count < limit {
      slots.append(Slot())
      return slots.count - 1
    }
    var best: Int?
    var oldest = UInt64.max
    for (number, slot) in slots.enumerated() where slot.dirty == 0 && slot.used < oldest {
      (best, oldest) = (number, slot.used)
    }
    return best
  }

  private func bytes(of slot: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(
      rebasing: memory.bytes[(slot * pieceBytes)..<((slot + 1) * pieceBytes)])
  }

  /// Entry `number` of 64 bits, taken modulo their count, as a number of this host.
  func entry(_ number: Int, in slot: Int) -> UInt64 {
    // SAFETY: `slot` came from this cache, and the mask keeps the entry within the piece.
    UInt64(bigEndian: entries[slot &* (pieceBytes / 8) &+ (number & (pieceBytes / 8 - 1))])
  }

  func setEntry(_ number: Int, in slot: Int, to value: UInt64) {
    let place = number & (pieceBytes / 8 - 1)
    // SAFETY: as above.
    entries[slot &* (pieceBytes / 8) &+ place] = value.bigEndian
    markDirty(slot, byte: place * 8)
  }

  /// The byte at `offset` within the piece.
  func byte(_ offset: Int, in slot: Int) -> UInt8 { bytes(of: slot)[offset & (pieceBytes - 1)] }

  func setByte(_ offset: Int, in slot: Int, to value: UInt8) {
    let place = offset & (pieceBytes - 1)
    bytes(of: slot)[place] = value
    markDirty(slot, byte: place)
  }

  private func markDirty(_ slot: Int, byte: Int) {
    if slots[slot].dirty == 0 { dirtyCount += 1 }
    slots[slot].dirty |= 1 << UInt8(byte / Sector.bytes)
  }

  /// Writes back the changed sectors of the pieces that `isWanted` says yes to, by their offset.
  func writeBack(where isWanted: (UInt64) -> Bool = { _ in true }) throws(ImageError) {
    guard dirtyCount > 0 else { return }
    let changed = slots.indices.filter { slots[$0].dirty != 0 && isWanted(slots[$0].offset) }
    for slot in changed.sorted(by: { slots[$0].offset < slots[$1].offset }) {
      try writeBack(slot)
    }
  }

  private func writeBack(_ slot: Int) throws(ImageError) {
    let dirty = slots[slot].dirty
    var sector = 0
    while sector < 8 {
      guard dirty >> UInt8(sector) & 1 != 0 else {
        sector += 1
        continue
      }
      var end = sector + 1
      while end < 8 && dirty >> UInt8(end) & 1 != 0 { end += 1 }
      let part = bytes(of: slot)[(sector * Sector.bytes)..<(end * Sector.bytes)]
      try file.store(
        UnsafeRawBufferPointer(rebasing: part),
        at: slots[slot].offset &+ UInt64(sector * Sector.bytes))
      sector = end
    }
    slots[slot].dirty = 0
    dirtyCount -= 1
  }

  /// Forgets what it has of the file's `range`, changed or not: it is no table any more.
  func forget(_ range: Range<UInt64>) {
    for slot in slots.indices where range.contains(slots[slot].offset) {
      index[slots[slot].offset] = nil
      if slots[slot].dirty != 0 { dirtyCount -= 1 }
      slots[slot] = Slot()
    }
  }
}
