import Glibc
import KVMEngine
import Synchronization

/// The loop: find the block, run its operations, deliver what went wrong.
extension CPU {
  /// Runs until something outside is needed.
  func execute() -> Leave {
    let s = self.s
    s.pointee.leave = .none
    unpark()
    var wanting: OpRef?
    while true {
      if !isQuiet {
        wanting = nil
        let leave = lookUp()
        if leave != .none { return leave }
        continue
      }
      let rip = s.pointee.rip
      var block: UnsafeMutablePointer<Block>
      if let known = knownBlock(rip), known.pointee.isFresh {
        block = known
      } else {
        let clearings = environment.blocks.clearings
        guard let found = findBlock(rip, codeAddress(rip), single: false) else {
          wanting = nil
          if deliverFault() == .shutdown { return .shutdown }
          continue
        }
        block = found
        if environment.blocks.clearings != clearings { wanting = nil }
        if found.pointee.code != nil {
          found.pointee.rip = rip
          found.pointee.world = s.pointee.world
          jumpEntry(rip).pointee = found
        } else {
          wanting = nil
        }
      }
      if let from = wanting { from.pointee.link = block }
      let isKept = block.pointee.code != nil
      let result = run(block, rip)
      wanting = isKept && result & Next.mask == UInt(Next.link) ? Self.op(result) : nil
      if settle(result) && s.pointee.leave != .none { return s.pointee.leave }
    }
  }

  /// The linear address of `rip`.
  private func codeAddress(_ rip: UInt64) -> UInt64 {
    (segment(.cs).pointee.base &+ rip) & s.pointee.linearMask
  }

  /// Runs a block and those that it leads to.
  @inline(__always)
  private func run(_ block: UnsafeMutablePointer<Block>, _ rip: UInt64) -> UInt {
    self[17] = rip
    s.pointee.credit = Self.turn
    let first = block.pointee.ops
    let result = first.pointee.go(raw, first)
    let count = Self.turn &- s.pointee.credit &+ block.pointee.count
    s.pointee.executed &+= UInt64(truncatingIfNeeded: count)
    if s.pointee.userShare.spend(count) { s.pointee.slow |= Slow.user }
    return result
  }

  /// The operation that said `result`.
  @inline(__always) private static func op(_ result: UInt) -> OpRef? {
    OpRef(bitPattern: result & ~Next.mask)
  }

  /// Sets RIP after a run. Whether it left for a reason that `leave` may tell.
  @inline(__always)
  private func settle(_ result: UInt) -> Bool {
    let next = Int(truncatingIfNeeded: result & Next.mask)
    guard next == Next.leave || next == Next.fault, let op = Self.op(result) else { return false }
    if next == Next.leave {
      s.pointee.rip = (self[17] &+ UInt64(op.pointee.end)) & s.pointee.ripMask
    } else {
      s.pointee.rip = self[17] &+ UInt64(op.pointee.start)
      _ = deliverFault()
    }
    return true
  }

  @inline(__always)
  private func isInsideCode(_ rip: UInt64, _ length: UInt64) -> Bool {
    s.pointee.is64 || rip &+ length &- 1 <= UInt64(segment(.cs).pointee.limit)
  }

  /// Looks at what came up between two instructions; runs one instruction where only one may run.
  @inline(never)
  private func lookUp() -> Leave {
    if s.pointee.attention.pointee.load(ordering: .relaxed) != 0 {
      let bits = s.pointee.attention.pointee.load(ordering: .acquiring)
      // Before the bit is taken: another processor waits for that.
      if bits & PageChange.tablesMarked != 0 { dropDirectWrites() }
      // Only what was seen is cleared: a bit that comes in between is not lost.
      s.pointee.attention.pointee.bitwiseAnd(
        ~(bits & (PageChange.all | Attention.interrupt)), ordering: .sequentiallyConsistent)
      if bits & PageChange.moved != 0 {
        dropWindowWrites()
        flushPhysical()
        flushTLB()
      }
      if bits & PageChange.dirtyTaken != 0 { dropWindowWrites() }
      if bits & PageChange.tableWritten != 0 { environment.userEngine?.machine.tables.dropAll() }
      if bits & Attention.interrupt != 0 { s.pointee.slow |= Slow.pendingInterrupt }
      if bits & Attention.exit != 0 { return .kicked }
    }
    let slow = s.pointee.slow
    if slow == 0 { return .none }
    if slow & Slow.debugTrap != 0 && slow & Slow.shadow == 0 {
      s.pointee.slow &= ~Slow.debugTrap
      _ = fault(Vector.debug)
      return deliverFault()
    }
    let isShadowed = slow & Slow.shadow != 0
    s.pointee.slow &= ~Slow.shadow
    if !isShadowed {
      let leave = serveInterrupts()
      if leave != .none { return leave }
    }
    if slow & Slow.budget != 0 {
      s.pointee.budget -= 1
      if s.pointee.budget < 0 { return .kicked }
    }
    let single = s.pointee.slow & (Slow.singleStep | Slow.budget | Slow.breakpoints) != 0
    if isShadowed || single { return step() }
    if s.pointee.slow & Slow.user != 0 {
      if s.pointee.userHold <= 0 { return .user }
      s.pointee.userHold -= 1
      return step()
    }
    return s.pointee.slow == 0 ? .none : runBlock()
  }

  /// Delivers or announces external interrupts.
  private func serveInterrupts() -> Leave {
    if s.pointee.injected >= 0 {
      let vector = UInt8(truncatingIfNeeded: s.pointee.injected)
      s.pointee.injected = -1
      s.pointee.slow &= ~Slow.injected
      return deliverInterrupt(vector)
    }
    if environment.localAPIC == nil { s.pointee.slow &= ~Slow.pendingInterrupt }
    if s.pointee.slow & Slow.pendingInterrupt != 0, let local = environment.localAPIC {
      let events = local.pendingEvents.subtracting(.external)
      if events.isEmpty { s.pointee.slow &= ~Slow.pendingInterrupt }
      if events.contains(.initialize) { return .initialize }
      if events.contains(.nonMaskable), !s.pointee.blocksNMI, local.takeNMI() {
        s.pointee.blocksNMI = true
        return deliverInterrupt(2)
      }
      if events.contains(.interrupt), s.pointee.eflags & RFlag.interrupt != 0,
        let vector = local.nextInterrupt()
      {
        return deliverInterrupt(vector)
      }
    }
    guard s.pointee.eflags & RFlag.interrupt != 0 else {
      // Nothing comes before IF is set, or somebody asks for attention again.
      let waiting = s.pointee.slow & (Slow.pendingInterrupt | Slow.window)
      s.pointee.slow ^= waiting
      s.pointee.parked |= waiting
      return .none
    }
    if environment.localAPIC?.externalInterruptAllowed == false { return .none }
    return s.pointee.wantsWindow ? .window : .none
  }

  /// Runs exactly one instruction.
  private func step() -> Leave {
    let rip = s.pointee.rip
    if stopsAtBreakpoint(codeAddress(rip)) { return deliverFault() }
    guard let block = findBlock(rip, codeAddress(rip), single: true) else {
      return deliverFault()
    }
    let flags = s.pointee.eflags
    let op = block.pointee.ops
    let isInterrupt = op.pointee.aux == OpAux.softwareInterrupt
    self[17] = rip
    s.pointee.executed &+= 1
    s.pointee.credit = 0
    let result = op.pointee.go(raw, op)
    if result & Next.mask == UInt(Next.fault) {
      s.pointee.rip = rip
      return deliverFault()
    }
    _ = settle(result)
    s.pointee.eflags &= ~(flags & RFlag.resume)
    // An interrupt that was taken, or a load of SS, takes the place of a single-step trap; STI, which
    // shadows too, does not.
    let isTaken = isInterrupt && Self.op(result) == op
    let loadedSS =
      s.pointee.slow & Slow.shadow != 0 && (s.pointee.eflags ^ flags) & RFlag.interrupt == 0
    if flags & RFlag.trap != 0 && !isTaken && !loadedSS {
      s.pointee.dr6 |= 1 << 14
      s.pointee.slow = s.pointee.slow & ~Slow.shadow | Slow.debugTrap
    }
    return s.pointee.leave
  }

  /// Runs one block although something waits that can't be served yet.
  private func runBlock() -> Leave {
    let rip = s.pointee.rip
    guard let block = findBlock(rip, codeAddress(rip), single: false) else {
      return deliverFault()
    }
    _ = settle(run(block, rip))
    return s.pointee.leave
  }

  // MARK: Blocks

  /// The page that code at `linear` is fetched from; nil after a page fault.
  private func executable(_ linear: UInt64) -> UnsafeMutablePointer<ExecutableEntry>? {
    let index = Int(truncatingIfNeeded: linear &>> 12) & (Layout.executableEntries - 1)
    let entry = (raw + Layout.executable).assumingMemoryBound(to: ExecutableEntry.self) + index
    let page = linear & ~4095
    if entry.pointee.tag == page, entry.pointee.stamp == s.pointee.stamp { return entry }
    guard
      let physical = translate(linear, writing: false, user: isUser, fetching: true)
    else { return nil }
    noteExecuted(linear)
    let isUserPage = s.pointee.endedUser
    let found = physicalPage(physical & ~4095)
    guard let base = found.pointee.base else {
      // Code in a device's memory: fetched into the page of nobody.
      entry.pointee.tag = 1
      entry.pointee.base = nil
      entry.pointee.code = nil
      entry.pointee.stamp = physical & ~4095
      return entry
    }
    if isUserPage && s.pointee.hasUserEngine {
      // Native user code may have written here unseen: what was decoded before counts no more.
      found.pointee.code?.pointee.noteWrite(from: 0, through: 4095)
      s.pointee.decodesUserPages = true
    }
    entry.pointee.tag = page
    entry.pointee.stamp = s.pointee.stamp
    entry.pointee.base = base
    entry.pointee.code = found.pointee.code
    return entry
  }

  /// The block at RIP, decoded if need be; nil after a fault of the fetch.
  @inline(never)
  private func findBlock(
    _ rip: UInt64, _ linear: UInt64, single: Bool
  ) -> UnsafeMutablePointer<Block>? {
    if s.pointee.is64 && !Self.isCanonical(rip) {
      _ = protectionFault()
      return nil
    }
    let limit = s.pointee.is64 ? UInt64.max : UInt64(segment(.cs).pointee.limit)
    guard rip <= limit else {
      _ = protectionFault()
      return nil
    }
    if single { return decodeScratch(rip, linear, limit) }
    guard let page = executable(linear) else { return nil }
    let inside = linear & 4095
    if inside > 4096 - 16, let known = knownCrossing(rip) { return known }
    guard let base = page.pointee.base, let code = page.pointee.code,
      limit - rip >= 4096 - inside
    else { return decodeScratch(rip, linear, limit) }
    let cache = environment.blocks
    let key = inside | decodeMode << 12
    if let block = cache.find(code, key), isInsideCode(rip, block.pointee.length) { return block }
    if cache.isFull || environment.stubs.isFull || environment.translated.isFull {
      cache.clear()
      environment.stubs.clear()
      environment.translated.clear()
      newGeneration()
    }
    let generation = code.pointee.generation.load(ordering: .sequentiallyConsistent)
    // Decoded from a copy: the marks come before the second look, so that a write is either seen
    // by it or bumps the generation.
    let copy = raw + Layout.bounce + 256
    let available = min(256, 4096 - Int(inside))
    copy.copyMemory(from: base + Int(inside), byteCount: available)
    var decoder = Decoder(
      bytes: UnsafePointer(copy.assumingMemoryBound(to: UInt8.self)), available: available,
      cpu: self)
    let ops = cache.nextOps
    let count = decoder.decodeBlock(ops)
    guard count > 0 else { return decodeScratch(rip, linear, limit, keeps: true) }
    let wasMarked = code.pointee.chunks.load(ordering: .relaxed) != 0
    code.pointee.mark(from: Int(inside), through: Int(inside) + decoder.position - 1)
    if !wasMarked, let physical = translate(linear, writing: false, user: isUser, fetching: true) {
      protectCode(physical)
    }
    guard memcmp(copy, base + Int(inside), decoder.position) == 0 else {
      return decodeScratch(rip, linear, limit)
    }
    environment.translated.watch(ops, count: count)
    let length = UInt64(decoder.position)
    return cache.add(
      Block(
        ops: ops, code: code, generation: generation, key: key, length: length,
        count: Int64(count)),
      opCount: count + 1)
  }

  /// Decodes one instruction that may cross a page, meet the limit or lie in a device's memory.
  private func decodeScratch(
    _ rip: UInt64, _ linear: UInt64, _ limit: UInt64, keeps: Bool = false
  ) -> UnsafeMutablePointer<Block>? {
    let cache = environment.blocks
    if environment.stubs.isFull {
      cache.clear()
      environment.stubs.clear()
      environment.translated.clear()
      newGeneration()
    }
    let bytes = (raw + Layout.bounce + 512).assumingMemoryBound(to: UInt8.self)
    let cr2 = s.pointee.cr2
    var count = 0
    var isLimited = false
    while count < 16 {
      if UInt64(count) > limit &- rip {
        isLimited = true
        break
      }
      let at = (linear &+ UInt64(count)) & s.pointee.linearMask
      guard let physical = translate(at, writing: false, user: isUser, fetching: true) else {
        break
      }
      let run = min(16 - count, 4096 - Int(truncatingIfNeeded: at & 4095))
      for index in 0..<run {
        if UInt64(count) > limit &- rip { break }
        bytes[count] = UInt8(truncatingIfNeeded: loadPhysical(physical &+ UInt64(index), 1))
        count += 1
      }
    }
    let ops = cache.scratchOps
    var decoder = Decoder(bytes: UnsafePointer(bytes), available: count, cpu: self)
    switch decoder.decodeOne(ops) {
    case .truncated:
      // More than 15 bytes, or the limit; else the page fault of the missing byte stands.
      if count >= 15 || isLimited || UInt64(count) > limit &- rip { _ = protectionFault() }
      return nil
    case .more, .ends: s.pointee.cr2 = cr2
    }
    Decoder.finish(ops + 1, at: decoder.position)
    cache.scratch.pointee.length = UInt64(decoder.position)
    cache.scratch.pointee.code = nil
    cache.scratch.pointee.ops = ops
    cache.scratch.pointee.count = 1
    let inside = 4096 - Int(truncatingIfNeeded: linear & 4095)
    if keeps && inside < decoder.position {
      keepCrossing(rip, linear, UnsafePointer(bytes), decoder.position, inside)
    }
    return cache.scratch
  }
}
