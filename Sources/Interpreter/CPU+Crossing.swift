import KVMEngine

/// An instruction that begins in one page and ends in the next, kept decoded: its bytes are in two
/// pages of code, so that it is in no block.
struct Crossing {
  /// Its operation, and the one that goes on.
  var block: Block
  var first: UnsafeMutablePointer<CodePage>?
  var second: UnsafeMutablePointer<CodePage>?
  var generations: (UInt64, UInt64)
}

extension CPU {
  /// The instruction at `rip` that crosses a page, if it is known and nobody wrote to it.
  func knownCrossing(_ rip: UInt64) -> UnsafeMutablePointer<Block>? {
    let known = environment.blocks.crossing(rip)
    guard known.pointee.block.isAt(rip, s.pointee.world), let first = known.pointee.first,
      let second = known.pointee.second,
      known.pointee.generations.0 == first.pointee.generation.load(ordering: .relaxed),
      known.pointee.generations.1 == second.pointee.generation.load(ordering: .relaxed)
    else { return nil }
    // The block is what a crossing begins with.
    return UnsafeMutableRawPointer(known).assumingMemoryBound(to: Block.self)
  }

  /// Keeps the instruction at `rip`, whose bytes were read from two pages before they are marked as
  /// code, if both are memory.
  /// - Parameters:
  ///   - operations: it and the one behind it, in the scratch block.
  ///   - bytes: what was decoded, `length` of it, `inside` of them in the first page.
  func keepCrossing(
    _ rip: UInt64, _ linear: UInt64, _ bytes: UnsafePointer<UInt8>, _ length: Int, _ inside: Int
  ) {
    guard let one = translate(linear, writing: false, user: isUser, fetching: true) else { return }
    noteExecuted(linear)
    let next = (linear &+ UInt64(inside)) & s.pointee.linearMask
    guard let two = translate(next, writing: false, user: isUser, fetching: true) else { return }
    noteExecuted(next)
    guard let first = physicalPage(one & ~4095).pointee.code,
      let second = physicalPage(two & ~4095).pointee.code
    else { return }
    let generations = (
      first.pointee.generation.load(ordering: .sequentiallyConsistent),
      second.pointee.generation.load(ordering: .sequentiallyConsistent)
    )
    mark(first, one, from: 4096 - inside, through: 4095)
    mark(second, two, from: 0, through: length - inside - 1)
    // A write since the bytes were read is seen here, one from now on by the generation.
    for index in 0..<length {
      let at = index < inside ? one &+ UInt64(index) : two &+ UInt64(index - inside)
      if loadPhysical(at, 1) != UInt64(bytes[index]) { return }
    }
    let cache = environment.blocks
    let place = cache.crossing(rip)
    let ops = cache.crossingOps(rip)
    ops.initialize(from: cache.scratchOps, count: 2)
    place.pointee = Crossing(
      block: Block(
        ops: ops, code: nil, generation: 0, key: 0, length: UInt64(length), count: 1, rip: rip,
        world: s.pointee.world),
      first: first, second: second, generations: generations)
  }

  private func mark(
    _ code: UnsafeMutablePointer<CodePage>, _ physical: UInt64, from: Int, through: Int
  ) {
    let wasMarked = code.pointee.chunks.load(ordering: .relaxed) != 0
    code.pointee.mark(from: from, through: through)
    if !wasMarked { protectCode(physical) }
  }
}
