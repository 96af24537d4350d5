/// Translates a run of operations to instructions of the host.
///
/// The guest's registers that a run uses are in the host's for its length, loaded where they are first
/// read and stored at its end. The arithmetic flags stay in the host's for as long as they last, and
/// are stored before anything that changes those, and at the end. An access to memory that the TLB
/// does not answer leaves the run: everything is stored, and the operation's own handler does it.
struct Translator {
  /// More operations than one: a run of one is no faster.
  static let leastOperations = 2

  private let ops: OpRef
  private var code = HostCode()
  /// By a guest register's number: the host's, 0 for none.
  private var hosts = [UInt8](repeating: 0, count: 32)
  private var used = 0
  private var loaded: UInt32 = 0
  private var changed: UInt32 = 0
  private var flagsInHost = false
  private var flagsInMemory = true
  /// The number of the operation of the moment, and what it does.
  private var number = 0
  private var exits: [Exit] = []

  /// Where the run is left for an operation's own handler.
  private struct Exit {
    let jump: Int
    let number: Int
    let changed: UInt32
    let handler: Threaded
    /// The flags are in the host's.
    let hasFlags: Bool
  }

  /// The code for as many operations from `ops` on as can be translated, and how many those are; nil
  /// where they are too few.
  static func translate(_ ops: OpRef) -> (bytes: [UInt8], count: Int)? {
    var translator = Translator(ops)
    let count = translator.plan()
    guard count >= leastOperations else { return nil }
    translator.emitAll(count)
    return (translator.code.bytes, count)
  }

  private init(_ ops: OpRef) { self.ops = ops }

  // MARK: What can be translated

  /// Gives the registers of the run their places; how many operations it has.
  private mutating func plan() -> Int {
    var count = 0
    while count < BlockCache.maximumOps, let meaning = Meaning.of(ops + count),
      let registers = Self.registers(of: ops + count, meaning)
    {
      let wanted = registers.filter { hosts[$0] == 0 }
      guard used + Set(wanted).count <= HostRegister.pool.count else { break }
      for register in wanted where hosts[register] == 0 {
        hosts[register] = HostRegister.pool[used]
        used += 1
      }
      count += 1
    }
    return count
  }

  /// The numbers of the guest's registers that an operation names; nil where it can't be translated.
  private static func registers(of o: OpRef, _ meaning: Meaning) -> [Int]? {
    var offsets: [UInt8] = []
    if meaning.usesMemory || meaning.kind == .loadAddress {
      guard
        o.pointee.addressShift != 0
          || Int64(Int32(truncatingIfNeeded: o.pointee.disp))
            == Int64(bitPattern: o.pointee.disp)
      else { return nil }
      offsets = [o.pointee.base, o.pointee.index].filter { $0 != Layout.zeroRegister }
    }
    switch meaning.kind {
    case .shift where o.pointee.flags & Op.countInCL != 0: return nil
    case .arithmetic where meaning.usesMemory && [2, 3].contains(meaning.detail): return nil
    case .push, .pop: offsets = [32, o.pointee.reg]
    case .jump: break
    case .increment, .decrement, .not, .negate, .shift, .set: offsets.append(o.pointee.rm)
    case .moveImmediate:
      if !meaning.usesMemory { offsets.append(o.pointee.rm) }
    case .multiplyImmediate: offsets += [o.pointee.reg, o.pointee.rm]
    case .loadAddress: offsets.append(o.pointee.reg)
    default:
      if meaning.form != .memoryImmediate { offsets.append(o.pointee.reg) }
      if meaning.form == .registers { offsets.append(o.pointee.rm) }
    }
    // AH to BH lie inside another register.
    guard offsets.allSatisfy({ $0 & 7 == 0 && $0 / 8 < 32 }) else { return nil }
    return offsets.map { Int($0 / 8) }
  }

  // MARK: The frame of a run

  private var kept: ArraySlice<UInt8> { HostRegister.pool[..<used].dropFirst(HostRegister.free) }

  private mutating func emitAll(_ count: Int) {
    for register in kept { code.push(register) }
    for index in 0..<count {
      number = index
      if let meaning = Meaning.of(ops + index) { emit(ops + index, meaning) }
    }
    // A comparison that follows writes all flags before anything reads them, unless it is refused.
    let next = ops[count]
    if next.flags & Op.fusible == 0 || Meaning.key(next.go) == Meaning.key(Handlers.alone) {
      storeFlags()
    }
    leave(changed, to: count)
    code.emit(0xFF, 0x26)  // jmp [rsi]
    for exit in exits {
      code.land(exit.jump)
      if exit.hasFlags { emitFlagStore() }
      leave(exit.changed, to: exit.number)
      code.load(HostRegister.rax, 3, UInt64(Meaning.key(exit.handler)))
      code.emit(0xFF, 0xE0)  // jmp rax
    }
  }

  /// Stores the registers that changed and makes operation `number` the one of the moment.
  private mutating func leave(_ changed: UInt32, to number: Int) {
    for register in 0..<32 where changed & 1 << UInt32(register) != 0 {
      code.memory(0x89, 3, hosts[register], HostRegister.rdi, Int32(register * 8))
    }
    for register in kept.reversed() { code.pop(register) }
    if number > 0 {
      let distance = Int32(number * MemoryLayout<Op>.stride)
      code.loadAddress(
        3, HostRegister.rsi, base: HostRegister.rsi, index: nil, scale: 0, distance)
    }
  }

  // MARK: Registers

  /// The host's register that holds the guest's at byte `offset`.
  private mutating func value(_ offset: UInt8) -> UInt8 {
    let number = Int(offset / 8)
    let host = hosts[number]
    if loaded & 1 << UInt32(number) == 0 {
      loaded |= 1 << UInt32(number)
      code.memory(0x8B, 3, host, HostRegister.rdi, Int32(number * 8))
    }
    return host
  }

  /// The host's register for the guest's, of which `size` is about to be written.
  private mutating func target(_ offset: UInt8, _ size: UInt8) -> UInt8 {
    let bit: UInt32 = 1 << UInt32(offset / 8)
    if size < 2 { _ = value(offset) }
    loaded |= bit
    changed |= bit
    return hosts[Int(offset / 8)]
  }

  /// The host's register for the guest's, which is about to be changed.
  private mutating func changing(_ offset: UInt8) -> UInt8 {
    let host = value(offset)
    changed |= 1 << UInt32(offset / 8)
    return host
  }

  // MARK: Flags

  private mutating func storeFlags() {
    if !flagsInMemory { emitFlagStore() }
    flagsInMemory = true
  }

  /// seto al; lahf; mov [flags], ax
  private mutating func emitFlagStore() {
    code.emit(0x0F, 0x90, 0xC0, 0x9F)
    code.memory(0x89, 1, HostRegister.rax, HostRegister.rdi, Int32(Layout.flags))
  }

  /// mov ax, [flags]; add al, 127; sahf
  private mutating func loadFlags() {
    guard !flagsInHost else { return }
    code.memory(0x8B, 1, HostRegister.rax, HostRegister.rdi, Int32(Layout.flags))
    code.emit(0x04, 0x7F, 0x9E)
    flagsInHost = true
  }

  private mutating func wroteFlags() {
    flagsInHost = true
    flagsInMemory = false
  }

  // MARK: Memory

  /// Puts the offset that the operand names into RAX. Keeps the flags.
  private mutating func loadOffset(_ o: OpRef) {
    let parts = address(o)
    let shift = o.pointee.addressShift
    code.loadAddress(
      shift == 0 ? 3 : 2, HostRegister.rax, base: parts.base, index: parts.index,
      scale: o.pointee.scale, Int32(truncatingIfNeeded: o.pointee.disp))
    // movzx eax, ax
    if shift == 48 { code.registers(0x0FB7, 2, HostRegister.rax, HostRegister.rax) }
  }

  private mutating func address(_ o: OpRef) -> (base: UInt8?, index: UInt8?) {
    (
      o.pointee.base == Layout.zeroRegister ? nil : value(o.pointee.base),
      o.pointee.index == Layout.zeroRegister ? nil : value(o.pointee.index)
    )
  }

  /// Puts the place of the operand in the host's memory into RCX, or leaves the run.
  private mutating func find(_ o: OpRef, _ size: UInt8, writing: Bool) {
    storeFlags()
    flagsInHost = false
    loadOffset(o)
    if o.pointee.flags & Op.flat == 0 { addSegment(o.pointee.segment, size, writing: writing) }
    look(size, writing: writing)
  }

  /// From an offset in RAX to a linear address.
  private mutating func addSegment(_ segment: UInt16, _ size: UInt8, writing: Bool) {
    let place = Int32(segment)
    let limit = writing ? HostLayout.writeLimit : HostLayout.readLimit
    code.loadAddress(
      3, HostRegister.rcx, base: HostRegister.rax, index: nil, scale: 0, (1 << Int32(size)) - 1)
    code.memory(0x3B, 3, HostRegister.rcx, HostRegister.rdi, place + limit)
    exit(on: 15)
    code.memory(0x03, 3, HostRegister.rax, HostRegister.rdi, place + HostLayout.base)
    code.memory(0x23, 3, HostRegister.rax, HostRegister.rdi, HostLayout.linearMask)
  }

  /// From a linear address in RAX to a pointer in RCX.
  private mutating func look(_ size: UInt8, writing: Bool) {
    code.registers(0x8B, 3, HostRegister.rcx, HostRegister.rax)
    code.emit(0x48, 0xC1, 0xE9, 7)  // shr rcx, 7: the page's number, times an entry's 32 bytes
    code.emit(0x81, 0xE1)  // and ecx, ...
    code.emit(UInt64((Layout.tlbEntries - 1) * 32), bytes: 4)
    code.memory(0x03, 3, HostRegister.rcx, HostRegister.rdi, HostLayout.tlb)
    code.loadAddress(
      3, HostRegister.rdx, base: HostRegister.rax, index: nil, scale: 0, (1 << Int32(size)) - 1)
    code.emit(0x48, 0x81, 0xE2)  // and rdx, -4096
    code.emit(UInt64(UInt32(bitPattern: -4096)), bytes: 4)
    code.memory(
      0x3B, 3, HostRegister.rdx, HostRegister.rcx,
      writing ? HostLayout.writeTag : HostLayout.readTag)
    exit(on: 5)
    code.memory(0x8B, 3, HostRegister.rcx, HostRegister.rcx, HostLayout.addend)
    code.registers(0x03, 3, HostRegister.rcx, HostRegister.rax)
  }

  /// Leaves the run on `condition`, for the operation's own handler or another.
  private mutating func exit(on condition: UInt8, for handler: Threaded? = nil) {
    exits.append(
      Exit(
        jump: code.jump(on: condition), number: number, changed: changed,
        handler: handler ?? ops[number].go, hasFlags: !flagsInMemory))
  }

  // MARK: Operations

  private mutating func emit(_ o: OpRef, _ meaning: Meaning) {
    let size = meaning.size
    switch meaning.kind {
    case .arithmetic: emitArithmetic(o, meaning)
    case .move: emitMove(o, meaning)
    case .moveImmediate: emitMoveImmediate(o, meaning)
    case .increment, .decrement:
      loadFlags()
      let host = changing(o.pointee.rm)
      code.registers(wide(0xFE, size), size, meaning.kind == .increment ? 0 : 1, host)
      wroteFlags()
    case .not: code.registers(wide(0xF6, size), size, 2, changing(o.pointee.rm))
    case .negate:
      code.registers(wide(0xF6, size), size, 3, changing(o.pointee.rm))
      wroteFlags()
    case .shift: emitShift(o, meaning)
    case .loadAddress: emitLoadAddress(o, size)
    case .zeroExtend, .signExtend: emitExtension(o, meaning)
    case .conditionalMove:
      let source = value(o.pointee.rm)
      let host = changing(o.pointee.reg)
      loadFlags()
      code.registers(0x0F40 | UInt16(meaning.detail), size, host, source)
    case .set:
      let host = target(o.pointee.rm, 0)
      loadFlags()
      code.registers(0x0F90 | UInt16(meaning.detail), 0, 0, host)
    case .multiply:
      let source = value(o.pointee.rm)
      code.registers(0x0FAF, size, changing(o.pointee.reg), source)
      wroteFlags()
    case .multiplyImmediate:
      let source = value(o.pointee.rm)
      code.registers(0x69, size, target(o.pointee.reg, size), source)
      code.emit(o.pointee.imm, bytes: size == 1 ? 2 : 4)
      wroteFlags()
    case .push, .pop: emitStack(o, isPush: meaning.kind == .push)
    case .jump:
      loadFlags()
      exit(on: meaning.detail, for: Handlers.jump)
    }
  }

  /// The opcode of an instruction that has its byte form one below.
  private func wide(_ opcode: UInt16, _ size: UInt8) -> UInt16 { opcode | (size == 0 ? 0 : 1) }

  private mutating func emitArithmetic(_ o: OpRef, _ meaning: Meaning) {
    let (size, isTest) = (meaning.size, meaning.detail == 8)
    let writes = meaning.detail < 7
    let opcode: UInt16 = isTest ? 0x84 : UInt16(meaning.detail) << 3
    if meaning.usesMemory { find(o, size, writing: writes && meaning.form != .registerMemory) }
    if [2, 3].contains(meaning.detail) { loadFlags() }
    switch meaning.form {
    case .registers:
      // What is taken from itself leaves nothing of it.
      let isZero =
        size >= 2 && o.pointee.reg == o.pointee.rm && [5, 6].contains(meaning.detail)
      let source = isZero ? target(o.pointee.rm, size) : value(o.pointee.rm)
      let host = writes ? changing(o.pointee.reg) : value(o.pointee.reg)
      code.registers(wide(opcode, size), size, source, host)
    case .registerMemory:
      let host = writes ? changing(o.pointee.reg) : value(o.pointee.reg)
      code.memory(wide(isTest ? opcode : opcode | 2, size), size, host, HostRegister.rcx)
    case .memoryRegister:
      code.memory(wide(opcode, size), size, value(o.pointee.reg), HostRegister.rcx)
    case .registerImmediate:
      let host = writes ? changing(o.pointee.reg) : value(o.pointee.reg)
      code.registers(wide(isTest ? 0xF6 : 0x80, size), size, isTest ? 0 : meaning.detail, host)
      emitImmediate(o, size)
    case .memoryImmediate:
      code.memory(
        wide(isTest ? 0xF6 : 0x80, size), size, isTest ? 0 : meaning.detail, HostRegister.rcx)
      emitImmediate(o, size)
    }
    wroteFlags()
  }

  private mutating func emitImmediate(_ o: OpRef, _ size: UInt8) {
    code.emit(o.pointee.imm, bytes: min(4, 1 << Int(size)))
  }

  private mutating func emitMove(_ o: OpRef, _ meaning: Meaning) {
    let size = meaning.size
    switch meaning.form {
    case .registers:
      let source = value(o.pointee.rm)
      code.registers(wide(0x88, size), size, source, target(o.pointee.reg, size))
    case .registerMemory:
      find(o, size, writing: false)
      code.memory(wide(0x8A, size), size, target(o.pointee.reg, size), HostRegister.rcx)
    default:
      find(o, size, writing: true)
      code.memory(wide(0x88, size), size, value(o.pointee.reg), HostRegister.rcx)
    }
  }

  private mutating func emitMoveImmediate(_ o: OpRef, _ meaning: Meaning) {
    let size = meaning.size
    if meaning.usesMemory {
      find(o, size, writing: true)
      code.memory(wide(0xC6, size), size, 0, HostRegister.rcx)
      emitImmediate(o, size)
    } else {
      code.load(target(o.pointee.rm, size), size, o.pointee.imm)
    }
  }

  private mutating func emitShift(_ o: OpRef, _ meaning: Meaning) {
    let size = meaning.size
    let count = UInt8(truncatingIfNeeded: o.pointee.imm) & (size == 3 ? 63 : 31)
    // Rotations leave some flags as they are, and some take the carry in.
    if meaning.detail < 4 && count != 0 { loadFlags() }
    code.registers(wide(0xC0, size), size, meaning.detail, changing(o.pointee.rm))
    code.emit(count)
    if count != 0 { wroteFlags() }
  }

  private mutating func emitLoadAddress(_ o: OpRef, _ size: UInt8) {
    guard o.pointee.addressShift == 0, size >= 2 else {
      loadOffset(o)
      code.registers(0x89, size, HostRegister.rax, target(o.pointee.reg, size))
      return
    }
    let parts = address(o)
    code.loadAddress(
      size, target(o.pointee.reg, size), base: parts.base, index: parts.index,
      scale: o.pointee.scale, Int32(truncatingIfNeeded: o.pointee.disp))
  }

  private mutating func emitExtension(_ o: OpRef, _ meaning: Meaning) {
    let (size, from) = (meaning.size, meaning.detail)
    let opcode: UInt16
    switch (meaning.kind, from) {
    case (.zeroExtend, 2): opcode = 0x8B
    case (.zeroExtend, _): opcode = 0x0FB6 | UInt16(from)
    case (_, 2): opcode = 0x63
    default: opcode = 0x0FBE | UInt16(from)
    }
    let width = meaning.kind == .zeroExtend && from == 2 ? 2 : size
    if meaning.usesMemory {
      find(o, from, writing: false)
      code.memory(opcode, width, target(o.pointee.reg, size), HostRegister.rcx)
    } else {
      let source = value(o.pointee.rm)
      code.registers(opcode, width, target(o.pointee.reg, size), source)
    }
  }

  /// PUSH and POP of 64 bits, which lie in no segment.
  private mutating func emitStack(_ o: OpRef, isPush: Bool) {
    storeFlags()
    flagsInHost = false
    let top = value(32)
    code.loadAddress(
      3, HostRegister.rax, base: top, index: nil, scale: 0, isPush ? -8 : 0)
    look(3, writing: isPush)
    if isPush {
      code.memory(0x89, 3, value(o.pointee.reg), HostRegister.rcx)
    } else {
      code.memory(0x8B, 3, HostRegister.rdx, HostRegister.rcx)
    }
    let changedTop = changing(32)
    code.loadAddress(3, changedTop, base: changedTop, index: nil, scale: 0, isPush ? -8 : 8)
    if !isPush { code.registers(0x8B, 3, target(o.pointee.reg, 3), HostRegister.rdx) }
  }
}

/// Where translated code finds things in a processor's memory.
private enum HostLayout {
  static let tlb = Int32(Layout.state + (MemoryLayout<CPUState>.offset(of: \.tlb) ?? 0))
  static let linearMask = Int32(
    Layout.state + (MemoryLayout<CPUState>.offset(of: \.linearMask) ?? 0))
  static let base = Int32(MemoryLayout<SegmentState>.offset(of: \.base) ?? 0)
  static let readLimit = Int32(MemoryLayout<SegmentState>.offset(of: \.readLimit) ?? 0)
  static let writeLimit = Int32(MemoryLayout<SegmentState>.offset(of: \.writeLimit) ?? 0)
  static let readTag = Int32(MemoryLayout<TLBEntry>.offset(of: \.readTag) ?? 0)
  static let writeTag = Int32(MemoryLayout<TLBEntry>.offset(of: \.writeTag) ?? 0)
  static let addend = Int32(MemoryLayout<TLBEntry>.offset(of: \.addend) ?? 0)
}
