/// Instructions of the floating-point unit and of MMX. Which exist, the processors say.
extension Shape {
  /// What a case of such instructions may begin with. FNSTENV and FNSAVE are not for later: some
  /// processors store selectors, which differ between the two sides.
  static let floating: [Shape] =
    floatingChained + [
      Shape(opcode: [0xD9], fields: [6], setup: .float),
      Shape(opcode: [0xDD], fields: [6], setup: .float),
    ]

  static let floatingChained: [Shape] = x87 + x87 + mmx

  private static let x87: [Shape] =
    (UInt8(0xD8)...0xDF).map {
      let fields: [UInt8] = [0, 1, 2, 3, 4, 5, 7] + ($0 == 0xD9 || $0 == 0xDD ? [] : [6])
      return Shape(opcode: [$0], fields: fields, setup: .float)
    } + [Shape(opcode: [0x9B], operands: .none)]

  /// By their second byte, or second and third; with a 66h prefix they are SSE's.
  private static let mmx: [Shape] = {
    var list: [Shape] = []
    let plain: [ClosedRange<UInt8>] = [
      0x60...0x6B, 0x6E...0x6F, 0x74...0x76, 0x7E...0x7F, 0xD1...0xD5, 0xD8...0xE5, 0xE8...0xEF,
      0xF1...0xF6, 0xF8...0xFE,
    ]
    for opcode in plain.joined() where opcode != 0xD6 {
      list.append(Shape(opcode: [0x0F, opcode]))
    }
    for opcode in UInt8(0)...0x0B { list.append(Shape(opcode: [0x0F, 0x38, opcode])) }
    for opcode in UInt8(0x1C)...0x1E { list.append(Shape(opcode: [0x0F, 0x38, opcode])) }
    for opcode in UInt8(0x71)...0x73 {
      list.append(
        Shape(opcode: [0x0F, opcode], fields: [0, 1, 2, 3, 4, 5, 6, 7], immediate: 1))
    }
    list += [
      Shape(opcode: [0x0F, 0x77], operands: .none), Shape(opcode: [0x0F, 0x70], immediate: 1),
      Shape(opcode: [0x0F, 0xC4], immediate: 1), Shape(opcode: [0x0F, 0xC5], immediate: 1),
      Shape(opcode: [0x0F, 0xD7]), Shape(opcode: [0x0F, 0xE7], needsMemory: true),
      Shape(opcode: [0x0F, 0x3A, 0x0F], immediate: 1), Shape(opcode: [0x0F, 0x2A]),
      Shape(opcode: [0x0F, 0x2C]), Shape(opcode: [0x0F, 0x2D]),
      Shape(opcode: [0x0F, 0xD6], prefix: 0xF3), Shape(opcode: [0x0F, 0xD6], prefix: 0xF2),
    ]
    return list
  }()
}

extension RandomCase {
  /// An FXSAVE image: registers of every kind of number, any control word, any status.
  static func vectors(_ dice: inout Seeded) -> [UInt8] {
    var image = [UInt8](repeating: 0, count: 512)
    func store(_ value: UInt64, _ at: Int, _ count: Int) {
      for index in 0..<count {
        image[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8))
      }
    }
    // Exceptions are masked more often than not, and seldom pending.
    store(0x40 | dice.below(64) << 8 & 0xF00 | (dice.once(in: 4) ? dice.below(64) : 0x3F), 0, 2)
    store(dice.once(in: 8) ? dice.next() : dice.next() & 0x7F00, 2, 2)
    store(dice.once(in: 2) ? 0xFF : dice.next(), 4, 1)
    store(0x1F80, 24, 4)
    for number in 0..<8 {
      store(significand(&dice), 32 + number * 16, 8)
      store(dice.below(2) << 15 | exponent(&dice), 40 + number * 16, 2)
    }
    for half in 0..<32 { store(dice.next(), 160 + half * 8, 8) }
    return image
  }

  private static func significand(_ dice: inout Seeded) -> UInt64 {
    let integer: UInt64 = 1 << 63
    // Without the integer bit it is a denormal, or no number at all.
    if dice.once(in: 12) { return dice.next() & ~integer }
    return integer | dice.pick([0, 1 << 62, dice.next(), dice.next() << 40, 1], or: 0)
  }

  private static func exponent(_ dice: inout Seeded) -> UInt64 {
    switch dice.below(6) {
    case 0: dice.pick([0, 1, 0x7FFE, 0x7FFF, 0x7FFF], or: 0)
    case 1: dice.below(0x7FFF)
    default: 0x3FFF - 40 + dice.below(80)
    }
  }
}
