import KVMEngine

/// What ends a run that goes on at another block.
enum Ending: Equatable {
  case goOn, jump
  /// Of so many bytes, as a power of two.
  case call(UInt8), ret(UInt8)

  init?(_ o: OpRef) {
    guard let ending = Self.table[Meaning.key(o.pointee.go)] else { return nil }
    // The distance of a jump is an instruction's displacement here.
    let distance = Int64(bitPattern: o.pointee.imm)
    guard Int64(Int32(truncatingIfNeeded: distance)) == distance else { return nil }
    self = ending
  }

  /// The size of what it moves on the stack.
  var stackSize: UInt8? {
    switch self {
    case .goOn, .jump: nil
    case .call(let size), .ret(let size): size
    }
  }

  private static let table: [UInt: Ending] = {
    var table: [UInt: Ending] = [
      Meaning.key(Handlers.goOn): .goOn, Meaning.key(Handlers.jump): .jump,
    ]
    for size in UInt8(1)..<4 {
      table[Meaning.key(Handlers.call(size))] = .call(size)
      table[Meaning.key(Handlers.returnNear(size))] = .ret(size)
    }
    return table
  }()
}

/// The operations of a run that jumps inside it lead to.
struct Labels {
  /// Where each label's code begins; 0 where it is not there yet.
  private var starts: [Int: Int] = [:]
  /// The jumps that wait for their label.
  private var waiting: [(jump: Int, label: Int)] = []

  var isEmpty: Bool { starts.isEmpty }
  func contains(_ number: Int) -> Bool { starts[number] != nil }
  func start(_ number: Int) -> Int? { starts[number] }

  mutating func add(_ number: Int) { starts[number] = 0 }
  mutating func wait(_ jump: Int, for label: Int) { waiting.append((jump, label)) }
  /// Puts a label where `code` ends.
  mutating func put(_ number: Int, in code: inout HostCode) {
    starts[number] = code.count
    for entry in waiting where entry.label == number { code.land(entry.jump) }
  }
  mutating func forgetPlaces() { waiting = [] }
}

/// Jumps, calls and returns.
extension Translator {
  /// A jump that is taken out of the run, or back in it.
  struct Way {
    /// The host's jump that leads here; nil where nothing lies between.
    let jump: Int?
    let number: Int
    let changed: UInt32
    let hasFlags: Bool
    /// The label that it leads back to.
    let label: Int?
  }

  // MARK: Jumps inside the run

  mutating func noteJump(_ index: Int) {
    if let label = inside(index) { labels.add(label) }
  }

  /// The operation of the run that the jump at `index` leads to.
  private func inside(_ index: Int) -> Int? {
    // A target that wraps at 16 bits in wider code is elsewhere.
    guard ops[index].scale <= 32 || surroundings.codeSize == 1 else { return nil }
    return (0...count).first { UInt64(ops[$0].start) == ops[index].imm }
  }

  /// Puts the label of the operation of the moment here, if it is one.
  mutating func land() {
    guard labels.contains(number) else { return }
    if !flagsAreDead(at: number) { storeFlags() }
    (flagsInHost, flagsInMemory) = (false, true)
    labels.put(number, in: &code)
  }

  /// Whether all flags are written before anything reads them, faults or leaves.
  private func flagsAreDead(at index: Int) -> Bool {
    for index in index..<max(index, count) {
      guard let meaning = Meaning.of(ops + index), !meaning.usesMemory else { return false }
      switch meaning.kind {
      case .arithmetic: return meaning.detail != 2 && meaning.detail != 3
      case .negate: return true
      case .move, .moveImmediate, .loadAddress, .zeroExtend, .signExtend, .not: continue
      default: return false
      }
    }
    return false
  }

  mutating func emitJump(on condition: UInt8) {
    loadFlags()
    let label = inside(number)
    if let label, label > number {
      if !flagsAreDead(at: label) { storeFlags() }
      labels.wait(code.jump(on: condition), for: label)
    } else {
      ways.append(
        Way(
          jump: code.jump(on: condition), number: number, changed: changed,
          hasFlags: !flagsInMemory, label: label))
    }
  }

  // MARK: Jumps to other blocks

  mutating func emitEnding() {
    switch ending {
    case nil: emitPlainEnd()
    case .jump:
      emit(
        Way(
          jump: nil, number: count, changed: changed, hasFlags: !flagsInMemory,
          label: inside(count)))
    case .goOn: emitGoOn()
    case .call(let size): emitCall(ops + count, size)
    case .ret(let size): emitReturn(ops + count, size)
    }
  }

  /// A jump that is taken: back in the run, to the block that it led to before, or to the handler.
  mutating func emit(_ way: Way) {
    if let jump = way.jump { code.land(jump) }
    if way.hasFlags { emitFlagStore() }
    if let label = way.label { emitTurn(way.number, label) }
    leave(way.changed, to: way.number)
    emitTarget(ops[way.number].imm, shift: ops[way.number].scale)
    let refusals = enterLink()
    refuse(refusals, for: Handlers.jump)
  }

  /// Goes back to `label` unless the loop is to get a turn. What others write to the code counts then.
  private mutating func emitTurn(_ number: Int, _ label: Int) {
    guard let start = labels.start(label) else { return }
    var refusals: [Int] = []
    code.memory(0x8B, 3, HostRegister.rax, HostRegister.rdi, HostLayout.credit)
    code.emit(0x48, 0x2D)  // sub rax, ...
    code.emit(UInt64(number - label + 1), bytes: 4)
    refusals.append(code.jump(on: 8))
    code.memory(0x8B, 3, HostRegister.rdx, HostRegister.rdi, HostLayout.attention)
    refusals.append(jumpUnlessZero(HostRegister.rdx, 0))
    code.memory(0x89, 3, HostRegister.rax, HostRegister.rdi, HostLayout.credit)
    code.jump(to: start)
    for refusal in refusals { code.land(refusal) }
  }

  private mutating func emitGoOn() {
    storeFlags()
    leave(changed, to: count)
    emitTarget(UInt64(ops[count].end), shift: surroundings.codeSize == 1 ? 48 : 0)
    let refusals = enterLink()
    refuse(refusals, for: nil)
  }

  private mutating func emitCall(_ o: OpRef, _ size: UInt8) {
    findOnStack(size, pushing: true)
    code.registers(0x8B, 3, HostRegister.rdx, value(Self.stackPointer))
    moveStackPointer(HostRegister.rdx, size, by: -(1 << Int32(size)))
    leave(changed, to: count)
    emitTarget(o.pointee.imm, shift: o.pointee.scale)
    let refusals = findLink()
    code.memory(0x8B, 3, HostRegister.r9, HostRegister.rdi, HostLayout.blockRip)
    code.loadAddress(
      3, HostRegister.r9, base: HostRegister.r9, index: nil, scale: 0, Int32(o.pointee.end))
    // In a segment of more than 64 KiB, 16-bit code goes round.
    if surroundings.codeSize == 1 { code.registers(0x0FB7, 2, HostRegister.r9, HostRegister.r9) }
    code.memory(0x89, size, HostRegister.r9, HostRegister.rcx)
    code.memory(0x89, 3, HostRegister.rdx, HostRegister.rdi, HostLayout.stackPointer)
    enterFound()
    refuse(refusals, for: nil)
  }

  private mutating func emitReturn(_ o: OpRef, _ size: UInt8) {
    findOnStack(size, pushing: false)
    code.registers(0x8B, 3, HostRegister.rdx, value(Self.stackPointer))
    moveStackPointer(
      HostRegister.rdx, size,
      by: 1 << Int32(size) + Int32(truncatingIfNeeded: o.pointee.imm & 0xFFFF))
    leave(changed, to: count)
    code.memory(size == 1 ? 0x0FB7 : 0x8B, max(size, 2), HostRegister.rax, HostRegister.rcx)
    // The block's place: (RIP ^ RIP >> 14) & 16383.
    code.registers(0x8B, 3, HostRegister.r9, HostRegister.rax)
    code.registers(0xC1, 3, 5, HostRegister.r9)
    code.emit(14)
    code.registers(0x33, 3, HostRegister.r9, HostRegister.rax)
    code.registers(0x81, 2, 4, HostRegister.r9)
    code.emit(UInt64(Layout.jumpEntries - 1), bytes: 4)
    code.loadAddress(
      3, HostRegister.r9, base: HostRegister.rdi, index: HostRegister.r9, scale: 3,
      HostLayout.jumps)
    code.memory(0x8B, 3, HostRegister.r8, HostRegister.r9)
    let refusals = checkFound()
    code.memory(0x89, 3, HostRegister.rdx, HostRegister.rdi, HostLayout.stackPointer)
    enterFound()
    refuse(refusals, for: nil)
  }

  // MARK: Blocks

  /// Puts the address `distance` behind the block's start into RAX.
  private mutating func emitTarget(_ distance: UInt64, shift: UInt8) {
    code.memory(0x8B, 3, HostRegister.rax, HostRegister.rdi, HostLayout.blockRip)
    code.loadAddress(
      shift == 0 ? 3 : 2, HostRegister.rax, base: HostRegister.rax, index: nil, scale: 0,
      Int32(truncatingIfNeeded: distance))
    if shift == 48 { code.registers(0x0FB7, 2, HostRegister.rax, HostRegister.rax) }
  }

  /// Goes to the block that the operation at RSI led to before, if it is still the one at RAX and may
  /// run; the host's jumps where not.
  private mutating func enterLink() -> [Int] {
    let refusals = findLink()
    enterFound()
    return refusals
  }

  private mutating func findLink() -> [Int] {
    code.memory(0x8B, 3, HostRegister.r8, HostRegister.rsi, Int32(Op.linkOffset))
    return checkFound()
  }

  /// Whether the block at R8, if any, is the one at RAX and may run; its credit goes to R10. Leaves
  /// RCX and RDX alone.
  private mutating func checkFound() -> [Int] {
    let (r8, r9, r10) = (HostRegister.r8, HostRegister.r9, HostRegister.r10)
    var refusals: [Int] = []
    code.registers(0x85, 3, r8, r8)
    refusals.append(code.jump(on: 4))
    code.memory(0x3B, 3, HostRegister.rax, r8, HostLayout.blockStart)
    refusals.append(code.jump(on: 5))
    code.memory(0x8B, 3, r9, HostRegister.rdi, HostLayout.world)
    code.memory(0x3B, 3, r9, r8, HostLayout.blockWorld)
    refusals.append(code.jump(on: 5))
    code.memory(0x8B, 3, r10, HostRegister.rdi, HostLayout.credit)
    code.memory(0x2B, 3, r10, r8, HostLayout.blockCount)
    refusals.append(code.jump(on: 8))
    refusals.append(jumpUnlessZero(HostRegister.rdi, HostLayout.slow))
    code.memory(0x8B, 3, r9, HostRegister.rdi, HostLayout.attention)
    refusals.append(jumpUnlessZero(r9, 0))
    code.memory(0x8B, 3, r9, r8, HostLayout.blockCode)
    code.memory(0x8B, 3, r9, r9, Int32(CodePage.generationOffset))
    code.memory(0x3B, 3, r9, r8, HostLayout.blockGeneration)
    refusals.append(code.jump(on: 5))
    return refusals
  }

  /// Runs the block at R8, which lies at RAX.
  private mutating func enterFound() {
    code.memory(0x89, 3, HostRegister.r10, HostRegister.rdi, HostLayout.credit)
    code.memory(0x89, 3, HostRegister.rax, HostRegister.rdi, HostLayout.blockRip)
    code.memory(0x8B, 3, HostRegister.rsi, HostRegister.r8, HostLayout.blockOps)
    code.emit(0xFF, 0x26)  // jmp [rsi]
  }

  /// Where the jumps `refusals` lead: to `handler`, or to the operation's own.
  private mutating func refuse(_ refusals: [Int], for handler: Threaded?) {
    for refusal in refusals { code.land(refusal) }
    if let handler { jump(to: handler) } else { code.emit(0xFF, 0x26) }
  }

  /// cmp dword [...], 0; jne
  private mutating func jumpUnlessZero(_ base: UInt8, _ displacement: Int32) -> Int {
    code.memory(0x83, 2, 7, base, displacement)
    code.emit(0)
    return code.jump(on: 5)
  }
}
