import KVMEngine

/// Decoded code: operations and blocks in two arenas of fixed size, found by a table of hashes.
/// When an arena is full, everything is forgotten.
final class BlockCache {
  // SAFETY: the arenas live from init to deinit; `usedOps` and `usedBlocks` stay below their sizes.
  static let opCapacity = 1 << 19
  /// Blocks are never moved: whoever remembers one asks it which it is.
  static let blockCapacity = 1 << 16
  private static let tableSize = 1 << 17
  static let maximumOps = 48

  private let ops: OpRef
  private let blocks: UnsafeMutablePointer<Block>
  private let table: UnsafeMutablePointer<UnsafeMutablePointer<Block>?>
  /// Room for one instruction that is decoded anew each time, and its end.
  let scratch: UnsafeMutablePointer<Block>
  private var usedOps = 4
  private var usedBlocks = 1
  /// How often everything was forgotten.
  private(set) var clearings = 0

  init() {
    // Each operation in a cache line of its own.
    ops = UnsafeMutableRawPointer.allocate(
      byteCount: Self.opCapacity * MemoryLayout<Op>.stride, alignment: 64
    ).bindMemory(to: Op.self, capacity: Self.opCapacity)
    blocks = .allocate(capacity: Self.blockCapacity)
    table = .allocate(capacity: Self.tableSize)
    table.initialize(repeating: nil, count: Self.tableSize)
    scratch = blocks
    scratch.initialize(
      to: Block(ops: ops, code: nil, generation: 0, key: 0, length: 0, count: 1))
  }

  deinit {
    ops.deallocate()
    blocks.deallocate()
    table.deallocate()
  }

  /// Whether another block may not find room.
  var isFull: Bool {
    usedOps + Self.maximumOps + 2 > Self.opCapacity || usedBlocks + 1 > Self.blockCapacity
  }

  /// Forgets every block. Jump caches that point here have to be forgotten, too.
  func clear() {
    usedOps = 4
    usedBlocks = 1
    clearings &+= 1
    table.update(repeating: nil, count: Self.tableSize)
  }

  private func slot(
    _ code: UnsafeMutablePointer<CodePage>, _ key: UInt64
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Block>?> {
    let mixed = (UInt64(UInt(bitPattern: code)) >> 4) &* 0x9E37_79B9_7F4A_7C15 &+ key &* 0x9E3B
    return table + Int(truncatingIfNeeded: (mixed >> 20) ^ mixed) & (Self.tableSize - 1)
  }

  /// The block of `key` in the page of `code`, if it is there and not stale.
  func find(
    _ code: UnsafeMutablePointer<CodePage>, _ key: UInt64
  ) -> UnsafeMutablePointer<Block>? {
    guard let block = slot(code, key).pointee, block.pointee.code == code,
      block.pointee.key == key,
      block.pointee.generation == code.pointee.generation.load(ordering: .relaxed)
    else { return nil }
    return block
  }

  /// Where the next block's operations go.
  var nextOps: OpRef { ops + usedOps }
  var scratchOps: OpRef { ops }

  /// Keeps the block whose operations were written to ``nextOps``.
  func add(_ block: Block, opCount: Int) -> UnsafeMutablePointer<Block> {
    let place = blocks + usedBlocks
    place.initialize(to: block)
    usedBlocks += 1
    usedOps += opCount
    if let code = block.code { slot(code, block.key).pointee = place }
    return place
  }
}
