/// Translates a run of operations to instructions of the host.
///
/// The guest's registers that a run uses are in the host's for its length, loaded where they are first
/// read and stored at its end. The arithmetic flags stay in the host's for as long as they last, and
/// are stored before anything that changes those, and at the end. An access to memory that the TLB
/// does not answer leaves the run: everything is stored, and the operation's own handler does it.
///
/// A jump inside the run is one of the host's: all registers are loaded at the run's start then, and
/// the flags are stored wherever jumps meet. One that leads back looks first whether the loop is to
/// get a turn. Other jumps, calls and returns lead straight to the block that they led to before.
struct Translator {
  /// More operations than one: a run of one is no faster.
  static let leastOperations = 2

  let ops: OpRef
  let surroundings: Surroundings
  var code = HostCode()
  /// By a guest register's number: the host's, 0 for none.
  private(set) var hosts = [UInt8](repeating: 0, count: 32)
  private var used = 0
  var loaded: UInt32 = 0
  var changed: UInt32 = 0
  var flagsInHost = false
  var flagsInMemory = true
  /// The number of the operation of the moment.
  var number = 0
  /// How many operations are translated, and what ends them.
  private(set) var count = 0
  private(set) var ending: Ending?
  /// What the run takes as given of ``Flatness``.
  private(set) var given: UInt8 = 0
  var labels = Labels()
  var exits: [Exit] = []
  var ways: [Way] = []

  /// Where the run is left for an operation's own handler.
  struct Exit {
    let jump: Int
    let number: Int
    let changed: UInt32
    let handler: Threaded
    /// The flags are in the host's.
    let hasFlags: Bool
  }

  /// The code for as many operations from `ops` on as can be translated, and how many those are; nil
  /// where they are too few.
  static func translate(_ ops: OpRef, _ surroundings: Surroundings) -> (bytes: [UInt8], count: Int)?
  {
    var translator = Translator(ops, surroundings)
    translator.plan()
    guard translator.length >= leastOperations else { return nil }
    translator.emitAll()
    if !translator.labels.isEmpty {
      // Again, with the registers known that change anywhere: a jump may come from there.
      translator.startAgain()
      translator.emitAll()
    }
    // What only goes on keeps its place as the block's end.
    return (translator.code.bytes, translator.length - (translator.ending == .goOn ? 1 : 0))
  }

  private init(_ ops: OpRef, _ surroundings: Surroundings) {
    self.ops = ops
    self.surroundings = surroundings
  }

  private var length: Int { count + (ending == nil ? 0 : 1) }

  private mutating func startAgain() {
    code = HostCode()
    (loaded, flagsInHost, flagsInMemory) = (0, false, true)
    (exits, ways) = ([], [])
    labels.forgetPlaces()
  }

  // MARK: What can be translated

  /// Finds the run's length, gives its registers their places, and finds the jumps inside.
  private mutating func plan() {
    while count < BlockCache.maximumOps, let meaning = Meaning.of(ops + count),
      let registers = Self.registers(of: ops + count, meaning), keep(registers)
    {
      takeAsGiven(ops + count, meaning)
      count += 1
    }
    if let last = Ending(ops + count), last.stackSize == nil || keep([4]) {
      ending = last
      if let size = last.stackSize, size != 3 { takeStackAsGiven() }
    }
    for index in 0..<count where Meaning.of(ops + index)?.kind == .jump { noteJump(index) }
    if ending == .jump { noteJump(count) }
  }

  private mutating func takeAsGiven(_ o: OpRef, _ meaning: Meaning) {
    if meaning.isStack {
      if meaning.size != 3 { takeStackAsGiven() }
    } else if meaning.usesMemory, o.pointee.flags & Op.flat == 0 {
      given |= surroundings.flatness & Flatness.segment(o.pointee.segment)
    }
  }

  private mutating func takeStackAsGiven() {
    let stack = Flatness.narrowStack | Flatness.wideStack | Flatness.segment(Seg.ss.rawValue)
    given |= surroundings.flatness & stack
  }

  /// Gives registers places in the host's; false where there is no room.
  private mutating func keep(_ registers: [Int]) -> Bool {
    let wanted = Set(registers.filter { hosts[$0] == 0 })
    guard used + wanted.count <= HostRegister.pool.count else { return false }
    for register in wanted.sorted() {
      hosts[register] = HostRegister.pool[used]
      used += 1
    }
    return true
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
    case .pushImmediate: offsets = [32]
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

  private mutating func emitAll() {
    let refusal = jumpOnOtherSegments()
    for register in kept { code.push(register) }
    if !labels.isEmpty { loadAll() }
    for index in 0..<count {
      number = index
      land()
      if let meaning = Meaning.of(ops + index) { emit(ops + index, meaning) }
    }
    number = count
    land()
    emitEnding()
    for way in ways { emit(way) }
    for exit in exits {
      code.land(exit.jump)
      if exit.hasFlags { emitFlagStore() }
      leave(exit.changed, to: exit.number)
      jump(to: exit.handler)
    }
    if let refusal {
      code.land(refusal)
      jump(to: ops.pointee.go)
    }
  }

  /// The run ends with whatever the next operation is.
  mutating func emitPlainEnd() {
    // A comparison that follows writes all flags before anything reads them, unless it is refused.
    let next = ops[count]
    if next.flags & Op.fusible == 0 || Meaning.key(next.go) == Meaning.key(Handlers.alone) {
      storeFlags()
    }
    leave(changed, to: count)
    code.emit(0xFF, 0x26)  // jmp [rsi]
  }

  /// Jumps to a handler, RSI being the operation.
  mutating func jump(to handler: Threaded) {
    code.load(HostRegister.rax, 3, UInt64(Meaning.key(handler)))
    code.emit(0xFF, 0xE0)  // jmp rax
  }

  private mutating func loadAll() {
    for register in 0..<32 where hosts[register] != 0 { _ = value(UInt8(register * 8)) }
  }

  /// Stores the registers that changed and makes operation `number` the one of the moment.
  mutating func leave(_ changed: UInt32, to number: Int) {
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
  mutating func value(_ offset: UInt8) -> UInt8 {
    let number = Int(offset / 8)
    let host = hosts[number]
    if loaded & 1 << UInt32(number) == 0 {
      loaded |= 1 << UInt32(number)
      code.memory(0x8B, 3, host, HostRegister.rdi, Int32(number * 8))
    }
    return host
  }

  /// The host's register for the guest's, of which `size` is about to be written.
  mutating func target(_ offset: UInt8, _ size: UInt8) -> UInt8 {
    let bit: UInt32 = 1 << UInt32(offset / 8)
    if size < 2 { _ = value(offset) }
    loaded |= bit
    changed |= bit
    return hosts[Int(offset / 8)]
  }

  /// The host's register for the guest's, which is about to be changed.
  mutating func changing(_ offset: UInt8) -> UInt8 {
    let host = value(offset)
    changed |= 1 << UInt32(offset / 8)
    return host
  }

  // MARK: Flags

  mutating func storeFlags() {
    if !flagsInMemory { emitFlagStore() }
    flagsInMemory = true
  }

  /// seto al; lahf; mov [flags], ax
  mutating func emitFlagStore() {
    code.emit(0x0F, 0x90, 0xC0, 0x9F)
    code.memory(0x89, 1, HostRegister.rax, HostRegister.rdi, Int32(Layout.flags))
  }

  /// mov ax, [flags]; add al, 127; sahf
  mutating func loadFlags() {
    guard !flagsInHost else { return }
    code.memory(0x8B, 1, HostRegister.rax, HostRegister.rdi, Int32(Layout.flags))
    code.emit(0x04, 0x7F, 0x9E)
    flagsInHost = true
  }

  mutating func wroteFlags() {
    flagsInHost = true
    flagsInMemory = false
  }

  /// Leaves the run on `condition`, for the operation's own handler.
  mutating func exit(on condition: UInt8) {
    exits.append(
      Exit(
        jump: code.jump(on: condition), number: number, changed: changed,
        handler: ops[number].go, hasFlags: !flagsInMemory))
  }
}
