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
  /// What ``table`` and ``crossings`` are in: a program of few blocks touches little of them.
  private let tableMemory = ZeroedMemory(
    byteCount: tableSize * MemoryLayout<UnsafeMutablePointer<Block>?>.stride)
  private let crossingMemory = ZeroedMemory(
    byteCount: crossingCount * MemoryLayout<Crossing>.stride)
  /// Room for one instruction that is decoded anew each time, and its end.
  let scratch: UnsafeMutablePointer<Block>
  /// Instructions that cross a page, each at a place that its RIP chooses, and their operations.
  /// Zeroes are an instruction of no page.
  private let crossings: UnsafeMutablePointer<Crossing>
  private let crossingOperations: OpRef
  private static let crossingCount = 2048
  private var usedOps = 4
  private var usedBlocks = 1
  /// How often everything was forgotten.
  private(set) var clearings = 0

  init() {
    // The low bits of an operation's address say what it said: see `Next.mask`.
    ops = UnsafeMutableRawPointer.allocate(
      byteCount: Self.opCapacity * MemoryLayout<Op>.stride, alignment: 64
    ).bindMemory(to: Op.self, capacity: Self.opCapacity)
    blocks = .allocate(capacity: Self.blockCapacity)
    table = tableMemory.values(UnsafeMutablePointer<Block>?.self, count: Self.tableSize)
    scratch = blocks
    crossings = crossingMemory.values(Crossing.self, count: Self.crossingCount)
    crossingOperations = .allocate(capacity: Self.crossingCount * 2)
    scratch.initialize(
      to: Block(ops: ops, code: nil, generation: 0, key: 0, length: 0, count: 1))
  }

  deinit {
    ops.deallocate()
    blocks.deallocate()
    crossingOperations.deallocate()
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

  private func crossingIndex(_ rip: UInt64) -> Int {
    Int(truncatingIfNeeded: rip >> 12 ^ rip >> 23) & (Self.crossingCount - 1)
  }
  /// The place of the instruction at `rip` that crosses a page.
  func crossing(_ rip: UInt64) -> UnsafeMutablePointer<Crossing> {
    crossings + crossingIndex(rip)
  }
  /// The place of its two operations.
  func crossingOps(_ rip: UInt64) -> OpRef { crossingOperations + crossingIndex(rip) * 2 }

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
