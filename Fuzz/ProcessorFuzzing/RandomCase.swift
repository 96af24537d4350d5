/// Code in 64-bit ring 3 with all registers, and what it leaves undefined. It ends by an exception,
/// at the latest by the INT 3 that the code page is full of.
package struct RandomCase: CustomStringConvertible {
  package var code: [UInt8] = []
  /// RAX RCX RDX RBX RSP RBP RSI RDI R8 to R15.
  package var registers = [UInt64](repeating: 0, count: 16)
  package var flags: UInt64 = 2
  /// Flags whose value after the code nobody knows.
  package var undefined: UInt64 = 0
  /// Whether the software processor translates the code; else it interprets it.
  package var isTranslated = false
  /// The FXSAVE image that the case begins with; empty: it has nothing to do with that.
  package var vectors: [UInt8] = []

  /// Where memory lies, on both sides: two pages for everything, one for reading, one that is absent.
  package static let arena: UInt64 = 0x2_4000_0000
  package static let arenaBytes = 4 * 4096
  /// The page of the code, and where in it a case begins.
  package static let codePage: UInt64 = 0x2_5000_0000
  package static let entry = codePage + 0x800

  private static let stackTop = arena + 0x600

  package init(_ dice: inout Seeded) {
    for number in 0..<16 { registers[number] = dice.value() }
    registers[4] = Self.stackTop + dice.below(16) * 8
    flags = dice.next() & Shape.arithmetic | 2
    if dice.once(in: 4) { flags |= 0x400 }
    isTranslated = dice.once(in: 2)
    if dice.once(in: 4) {
      vectors = Self.vectors(&dice)
      append(dice.pick(Shape.floating, or: Shape.all[0]), &dice)
      for _ in 0..<dice.below(3) {
        append(dice.pick(Shape.floatingChained, or: Shape.all[0]), &dice)
      }
    } else if dice.once(in: 3) {
      for _ in 0...dice.below(8) { append(dice.pick(Shape.chained, or: Shape.all[0]), &dice) }
    } else {
      append(dice.pick(Shape.all, or: Shape.all[0]), &dice)
    }
  }

  package var description: String {
    let bytes = code.map { hex(UInt64($0), 2) }.joined(separator: " ")
    let values = registers.map { hex($0) }.joined(separator: " ")
    return "\(bytes); registers \(values); flags \(hex(flags))"
  }

  // MARK: Making an instruction

  private mutating func append(_ shape: Shape, _ dice: inout Seeded) {
    let isFirst = code.isEmpty
    // With an operand-size prefix, processors of two makers do not take near branches alike.
    // Nor do they agree on how much MOVSXD to a 16-bit register reads.
    let isWide = shape.isBranch || shape.opcode == [0x63]
    let size = isWide ? 1 + dice.below(2) : dice.below(3)
    let shiftCount = count(&dice)
    var prefixes: [UInt8] = []
    if size == 0 { prefixes.append(0x66) }
    if let prefix = shape.prefix { prefixes.append(prefix) }
    if shape.setup == .string { prefixes += dice.pick([[], [0xF2], [0xF3]], or: []) }
    let usesMemory = shape.needsMemory || dice.once(in: 2)
    if case .modRM = shape.operands, usesMemory ? shape.mayLock && dice.once(in: 4) : false {
      prefixes.append(0xF0)
    } else if dice.once(in: 60) && shape.opcode != [0x0F, 0x20, 0xC0] {
      // (With LOCK, some processors have CR8 there.)
      prefixes.append(0xF0)
    }
    if dice.once(in: 30) { prefixes.append(dice.pick([0x26, 0x2E, 0x36, 0x3E], or: 0x26)) }
    undefined |= shape.undefined
    var rex: UInt8 = size == 2 ? 8 : 0
    var tail: [UInt8] = []
    switch shape.operands {
    case .none: tail = shape.opcode
    case .inOpcode:
      var number = dice.byte() & 15
      // The stack pointer is left alone, but where it is the point.
      if number == 4 && shape.setup != .stack && !shape.isByte { number = 6 }
      if number > 7 { rex |= 1 }
      tail = shape.opcode
      tail[tail.count - 1] |= number & 7
    case .modRM:
      tail = shape.opcode + modRM(shape, usesMemory, isFirst, &rex, &dice)
    }
    let isByteWithoutRex = shape.isByte && dice.once(in: 2) && rex == 0
    if rex != 0 || !isByteWithoutRex && dice.once(in: 4) { tail.insert(0x40 | rex, at: 0) }
    let immediateBytes = shape.immediate >= 0 ? shape.immediate : (size == 0 ? 2 : 4)
    tail += immediate(shape, immediateBytes, shiftCount, &dice)
    prepare(shape, shiftCount, size: size, &dice)
    code += prefixes + tail
  }

  private mutating func immediate(
    _ shape: Shape, _ bytes: Int, _ shiftCount: UInt8, _ dice: inout Seeded
  ) -> [UInt8] {
    // Short jumps go past all that may follow, where only INT 3s are: what lies between two
    // instructions must never run, for it could call the host's system.
    if shape.isBranch && bytes == 1 { return [UInt8(64 + dice.below(60))] }
    if shape.setup == .frame { return bytes == 1 ? [UInt8(dice.below(34))] : [] }
    if shape.setup == .shift { return bytes == 1 ? [shiftCount] : [] }
    return (0..<bytes).map { _ in dice.byte() }
  }

  private func count(_ dice: inout Seeded) -> UInt8 {
    dice.pick([0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, dice.byte()], or: 1)
  }

  /// ModRM and what follows it but the immediate. REX bits are added.
  private mutating func modRM(
    _ shape: Shape, _ usesMemory: Bool, _ isFirst: Bool, _ rex: inout UInt8, _ dice: inout Seeded
  ) -> [UInt8] {
    var reg = dice.byte() & 15
    if let field = shape.fields.isEmpty ? nil : dice.pick(shape.fields, or: 0) { reg = field }
    if shape.fields.isEmpty && reg == 4 && !shape.isByte { reg = 5 }
    if shape.setup == .bitOffset && reg != 1 && reg != 2 { reg = 1 }
    if reg > 7 && shape.fields.isEmpty { rex |= 4 }
    let low = (reg & 7) << 3
    guard usesMemory else {
      var rm = dice.byte() & 15
      if rm == 4 && shape.setup != .float { rm = 6 }
      if rm > 7 { rex |= 1 }
      return [0xC0 | low | rm & 7]
    }
    let target = place(isFirst, &dice)
    // Later instructions find registers changed: only RBX and R11 hold addresses there, and no
    // instruction of such a chain is sure to leave them alone, so RIP is the base.
    if !isFirst || dice.once(in: 6) { return relative(low, target) }
    var base: UInt8 = dice.pick([3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], or: 3)
    if shape.setup == .divide && base == 2 { base = 3 }
    if base > 7 { rex |= 1 }
    var displacement = Int64(truncatingIfNeeded: dice.below(256)) - 128
    let mode = dice.below(3)
    if mode == 0 && base & 7 != 5 { displacement = 0 }
    if mode == 2 { displacement = Int64(Int32(truncatingIfNeeded: dice.next())) }
    let isShort = mode != 2
    var tail: [UInt8] = []
    if !(mode == 0 && base & 7 != 5) {
      let bits = UInt32(truncatingIfNeeded: displacement)
      tail = (0..<(isShort ? 1 : 4)).map { UInt8(truncatingIfNeeded: bits >> UInt32($0 * 8)) }
    }
    let mod: UInt8 = mode == 0 && base & 7 != 5 ? 0 : (isShort ? 0x40 : 0x80)
    let first: UInt8 = mod | low | 4
    let index = dice.byte() & 15
    if base & 7 == 4 || dice.once(in: 3) {
      var scaled: UInt64 = 0
      let scale = dice.byte() & 3
      if index != 4 && index != base {
        scaled = registers[Int(index)] << UInt64(scale)
        if index > 7 { rex |= 2 }
        registers[Int(base)] = target &- UInt64(bitPattern: displacement) &- scaled
        let sib: UInt8 = scale << 6 | ((index & 7) << 3) | (base & 7)
        return [first, sib] + tail
      }
      registers[Int(base)] = target &- UInt64(bitPattern: displacement)
      let sib: UInt8 = scale << 6 | 0x20 | (base & 7)
      return [first, sib] + tail
    }
    registers[Int(base)] = target &- UInt64(bitPattern: displacement)
    let plain: UInt8 = mod | low | (base & 7)
    return [plain] + tail
  }

  /// RIP-relative. The instruction's end is not known here, so the place is met only roughly: the
  /// places are not near the arena's border.
  private mutating func relative(_ low: UInt8, _ target: UInt64) -> [UInt8] {
    let distance = UInt32(truncatingIfNeeded: Int64(target) - Int64(Self.entry) - 16)
    return [low | 5] + (0..<4).map { UInt8(truncatingIfNeeded: distance >> UInt32($0 * 8)) }
  }

  /// An address: plain memory, on the border of two pages, in what may only be read or not at all,
  /// rarely one that is none.
  private func place(_ isFirst: Bool, _ dice: inout Seeded) -> UInt64 {
    switch dice.below(isFirst ? 24 : 40) {
    case 0: return Self.arena + 0x1000 - 8 + dice.below(16)
    case 1: return Self.arena + 0x2000 - 8 + dice.below(16)
    case 2: return Self.arena + 0x3000 - 8 + dice.below(16)
    case 3 where isFirst: return 0x8000_0000_0000 + dice.next() >> 20
    default: return Self.arena + 0x700 + dice.below(0x700)
    }
  }

  /// Registers that an instruction uses without naming them.
  private mutating func prepare(
    _ shape: Shape, _ shiftCount: UInt8, size: UInt64, _ dice: inout Seeded
  ) {
    switch shape.setup {
    case .none, .float: break
    case .count: registers[1] = dice.pick([0, 1, 2, 1 << 32, dice.next()], or: 1)
    case .string:
      registers[1] = dice.pick([0, 1, 2, dice.below(40)], or: 1)
      registers[6] = place(true, &dice)
      registers[7] = dice.once(in: 4) ? registers[6] &+ dice.below(16) : place(true, &dice)
      // Which of its two operands CMPS reads first is nobody's promise: only one may fault.
      if shape.opcode[0] & 0xFE == 0xA6 { registers[6] = Self.arena + 0x800 + dice.below(0x400) }
    case .translate: registers[3] = Self.arena + 0x700
    case .divide:
      if dice.once(in: 2) { registers[2] = dice.pick([0, 1, .max], or: 0) }
    case .bitOffset:
      let offset = dice.below(2048)
      registers[1] = dice.once(in: 2) ? offset : 0 &- offset
      registers[2] = offset
    case .shift:
      registers[1] = registers[1] & ~0xFF | UInt64(shiftCount)
      undefined |= shiftLeavesUndefined(shape, shiftCount, size)
    case .stack, .frame:
      if shape.setup == .frame { registers[5] = Self.arena + 0x900 + dice.below(32) * 8 }
      if dice.once(in: 12) { registers[4] = place(true, &dice) }
    }
  }

  private func shiftLeavesUndefined(_ shape: Shape, _ count: UInt8, _ size: UInt64) -> UInt64 {
    let byOne = shape.opcode == [0xD0] || shape.opcode == [0xD1]
    let times = byOne ? 1 : count & (size == 2 ? 63 : 31)
    if times == 0 { return 0 }
    let width: UInt8 = shape.isByte ? 8 : [16, 32, 64][Int(size)]
    return Shape.af | (times == 1 ? 0 : Shape.of) | (times >= width ? Shape.cf : 0)
  }
}

/// Hexadecimal, with at least `digits` digits.
package func hex(_ value: UInt64, _ digits: Int = 1) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: max(0, digits - text.count)) + text
}
