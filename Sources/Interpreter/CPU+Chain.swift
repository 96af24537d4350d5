import KVMEngine

/// From operation to operation, and from block to block, without a turn in the loop.
///
/// A handler ends by calling the next operation's, which optimized builds turn into a jump. Where
/// that is not so, the stack grows by a frame an operation: `CPUState.credit` ends every run in
/// time for it.
extension CPU {
  /// Instructions that run before the loop gets a turn.
  static var turn: Int64 {
    #if DEBUG
      48
    #else
      2048
    #endif
  }

  /// The operation is done: on with the one behind it.
  @inline(__always) func go(_ o: OpRef) -> UInt {
    let next = o + 1
    return next.pointee.go(raw, next)
  }

  /// Tells the loop what the operation has to say.
  @inline(__always) func say(_ o: OpRef, _ next: Int) -> UInt {
    UInt(bitPattern: o) | UInt(truncatingIfNeeded: next)
  }

  /// Goes on where `result`, a ``Next``, says so.
  @inline(__always) func done(_ o: OpRef, _ result: Int) -> UInt {
    result == Next.op ? go(o) : say(o, result)
  }

  /// Whether nothing asks for a look up.
  @inline(__always) var isQuiet: Bool {
    s.pointee.slow == 0 && s.pointee.attention.pointee.load(ordering: .relaxed) == 0
  }

  /// Runs a block that is known to lie at `rip` in this world, if it may; `o` led there.
  @inline(__always) func enter(
    _ block: UnsafeMutablePointer<Block>, _ rip: UInt64, _ o: OpRef
  ) -> UInt {
    let left = s.pointee.credit &- block.pointee.count
    if left >= 0, isQuiet, block.pointee.isFresh {
      s.pointee.credit = left
      self[17] = rip
      let first = block.pointee.ops
      return first.pointee.go(raw, first)
    }
    s.pointee.rip = rip
    return say(o, Next.jump)
  }

  /// The block that `o` led to, if that is still the one at `rip`.
  @inline(__always) func linked(_ o: OpRef, _ rip: UInt64) -> UnsafeMutablePointer<Block>? {
    guard let block = o.pointee.link, block.pointee.isAt(rip, s.pointee.world) else { return nil }
    return block
  }

  /// Goes to `rip`, by the link, if there is one.
  @inline(__always) func chain(_ o: OpRef, _ rip: UInt64) -> UInt {
    if let block = linked(o, rip) { return enter(block, rip, o) }
    return Handlers.seek(raw, o, rip)
  }

  /// Where the block at `rip` is remembered.
  @inline(__always)
  func jumpEntry(_ rip: UInt64) -> UnsafeMutablePointer<UnsafeMutablePointer<Block>?> {
    let index = Int(truncatingIfNeeded: rip ^ rip &>> 14) & (Layout.jumpEntries - 1)
    return (raw + Layout.jumps).assumingMemoryBound(to: UnsafeMutablePointer<Block>?.self) + index
  }

  /// The block at `rip`, if it was run in this world before.
  @inline(__always) func knownBlock(_ rip: UInt64) -> UnsafeMutablePointer<Block>? {
    guard let block = jumpEntry(rip).pointee, block.pointee.isAt(rip, s.pointee.world) else {
      return nil
    }
    return block
  }
}

extension Block {
  /// Whether this is what lies at `rip` in `world`.
  @inline(__always) func isAt(_ rip: UInt64, _ world: UInt64) -> Bool {
    self.rip == rip && self.world == world
  }

  /// Whether nobody wrote to the code since it was decoded. Not for the scratch block.
  @inline(__always) var isFresh: Bool {
    generation == code.unsafelyUnwrapped.pointee.generation.load(ordering: .relaxed)
  }
}

extension Handlers {
  /// Calls the handler of an operation that has none that goes on by itself.
  static let alone: Threaded = { raw, op in
    CPU(raw: raw).done(op.op, op.op.pointee.run(raw, op))
  }
  /// The end of a block that no jump ends.
  static let goOn: Threaded = { raw, op in
    let cpu = CPU(raw: raw)
    return cpu.chain(op.op, (cpu[17] &+ UInt64(op.op.pointee.end)) & cpu.s.pointee.ripMask)
  }

  /// Leaves it to the loop to find the block at `rip`.
  @inline(never) static func seek(
    _ raw: UnsafeMutableRawPointer, _ o: OpRef, _ rip: UInt64
  ) -> UInt {
    let cpu = CPU(raw: raw)
    // Past the limit, a jump faults; what only goes on faults at the fetch.
    guard o.pointee.length == 0 || cpu.isInsideLimit(rip) else {
      return cpu.say(o, cpu.protectionFault())
    }
    cpu.s.pointee.rip = rip
    return cpu.say(o, Next.link)
  }
}
