/// A form of an instruction: an opcode, its operands, and the flags that it leaves undefined.
struct Shape {
  enum Operands {
    /// A ModRM byte, whose reg field is a register or one of `fields`.
    case modRM
    /// The low three bits of the opcode are a register.
    case inOpcode
    case none
  }

  var opcode: [UInt8]
  var operands = Operands.modRM
  /// The ModRM.reg fields that are instructions; empty: a register.
  var fields: [UInt8] = []
  /// Bytes of immediate; -1: as the operand, 4 at most.
  var immediate = 0
  var undefined: UInt64 = 0
  /// Registers named are 8-bit.
  var isByte = false
  var needsMemory = false
  var mayLock = false
  /// A prefix that belongs to the opcode.
  var prefix: UInt8?
  /// What is done to the registers so that the instruction stays where it may.
  var setup = Setup.none

  /// A near jump, call or return.
  var isBranch: Bool {
    guard opcode.count == 1 || opcode[0] == 0xE8 || opcode[0] == 0xC2 else { return false }
    return opcode[0] & 0xF0 == 0x70
      || [0xC2, 0xC3, 0xE0, 0xE1, 0xE2, 0xE3, 0xE8, 0xEB].contains(
        opcode[0])
  }

  enum Setup { case none, float, count, string, translate, divide, bitOffset, shift, stack, frame }

  static let cf: UInt64 = 1
  static let pf: UInt64 = 4
  static let af: UInt64 = 0x10
  static let zf: UInt64 = 0x40
  static let sf: UInt64 = 0x80
  static let of: UInt64 = 0x800
  static let arithmetic: UInt64 = 0x8D5

  /// Instructions after which other instructions may come, for what they leave undefined nobody reads.
  static let chained: [Shape] = arithmeticShapes + moves + conditional

  static let all: [Shape] =
    arithmeticShapes + moves + conditional + multiplying + shifting + bits + exchanging + strings
    + stack + others

  private static let arithmeticShapes: [Shape] = {
    var list: [Shape] = []
    for operation in UInt8(0)..<8 {
      let undefined = [1, 4, 6].contains(operation) ? af : 0
      let first = operation << 3
      let locks = operation != 7
      list += [
        Shape(opcode: [first], undefined: undefined, isByte: true, mayLock: locks),
        Shape(opcode: [first | 1], undefined: undefined, mayLock: locks),
        Shape(opcode: [first | 2], undefined: undefined, isByte: true),
        Shape(opcode: [first | 3], undefined: undefined),
        Shape(opcode: [first | 4], operands: .none, immediate: 1, undefined: undefined),
        Shape(opcode: [first | 5], operands: .none, immediate: -1, undefined: undefined),
        Shape(
          opcode: [0x80], fields: [operation], immediate: 1, undefined: undefined, isByte: true,
          mayLock: locks),
        Shape(
          opcode: [0x83], fields: [operation], immediate: 1, undefined: undefined, mayLock: locks),
        Shape(
          opcode: [0x81], fields: [operation], immediate: -1, undefined: undefined, mayLock: locks),
      ]
    }
    list += [
      Shape(opcode: [0x84], undefined: af, isByte: true), Shape(opcode: [0x85], undefined: af),
      Shape(opcode: [0xA8], operands: .none, immediate: 1, undefined: af),
      Shape(opcode: [0xA9], operands: .none, immediate: -1, undefined: af),
      Shape(opcode: [0xF6], fields: [0], immediate: 1, undefined: af, isByte: true),
      Shape(opcode: [0xF7], fields: [0], immediate: -1, undefined: af),
      Shape(opcode: [0xF6], fields: [2, 3], isByte: true, mayLock: true),
      Shape(opcode: [0xF7], fields: [2, 3], mayLock: true),
      Shape(opcode: [0xFE], fields: [0, 1], isByte: true, mayLock: true),
      Shape(opcode: [0xFF], fields: [0, 1], mayLock: true),
    ]
    return list
  }()

  private static let moves: [Shape] = [
    Shape(opcode: [0x88], isByte: true), Shape(opcode: [0x89]),
    Shape(opcode: [0x8A], isByte: true), Shape(opcode: [0x8B]), Shape(opcode: [0x63]),
    Shape(opcode: [0x8D], needsMemory: true), Shape(opcode: [0x0F, 0xB6]),
    Shape(opcode: [0x0F, 0xB7]), Shape(opcode: [0x0F, 0xBE]), Shape(opcode: [0x0F, 0xBF]),
    Shape(opcode: [0xC6], fields: [0], immediate: 1, isByte: true),
    Shape(opcode: [0xC7], fields: [0], immediate: -1),
    Shape(opcode: [0xB0], operands: .inOpcode, immediate: 1, isByte: true),
    Shape(opcode: [0x90], operands: .inOpcode), Shape(opcode: [0x0F, 0xC8], operands: .inOpcode),
    Shape(opcode: [0x98], operands: .none), Shape(opcode: [0x99], operands: .none),
    Shape(opcode: [0xF5], operands: .none), Shape(opcode: [0xF8], operands: .none),
    Shape(opcode: [0xF9], operands: .none),
  ]

  private static let conditional: [Shape] = (UInt8(0)..<16).flatMap { condition in
    [
      Shape(opcode: [0x0F, 0x40 | condition]),
      Shape(opcode: [0x0F, 0x90 | condition], fields: [0], isByte: true),
      Shape(opcode: [0x70 | condition], operands: .none, immediate: 1),
    ]
  }

  private static let multiplying: [Shape] = [
    Shape(opcode: [0xF6], fields: [4, 5], undefined: sf | zf | af | pf, isByte: true),
    Shape(opcode: [0xF7], fields: [4, 5], undefined: sf | zf | af | pf),
    Shape(opcode: [0x69], immediate: -1, undefined: sf | zf | af | pf),
    Shape(opcode: [0x6B], immediate: 1, undefined: sf | zf | af | pf),
    Shape(opcode: [0x0F, 0xAF], undefined: sf | zf | af | pf),
    Shape(opcode: [0xF6], fields: [6, 7], undefined: arithmetic, isByte: true, setup: .divide),
    Shape(opcode: [0xF7], fields: [6, 7], undefined: arithmetic, setup: .divide),
  ]

  private static let shifting: [Shape] = [
    Shape(
      opcode: [0xC0], fields: [0, 1, 2, 3, 4, 5, 6, 7], immediate: 1, isByte: true, setup: .shift),
    Shape(opcode: [0xC1], fields: [0, 1, 2, 3, 4, 5, 6, 7], immediate: 1, setup: .shift),
    Shape(opcode: [0xD0], fields: [0, 1, 2, 3, 4, 5, 6, 7], isByte: true, setup: .shift),
    Shape(opcode: [0xD1], fields: [0, 1, 2, 3, 4, 5, 6, 7], setup: .shift),
    Shape(opcode: [0xD2], fields: [0, 1, 2, 3, 4, 5, 6, 7], isByte: true, setup: .shift),
    Shape(opcode: [0xD3], fields: [0, 1, 2, 3, 4, 5, 6, 7], setup: .shift),
    Shape(opcode: [0x0F, 0xA4], immediate: 1, setup: .shift),
    Shape(opcode: [0x0F, 0xAC], immediate: 1, setup: .shift),
    Shape(opcode: [0x0F, 0xA5], setup: .shift), Shape(opcode: [0x0F, 0xAD], setup: .shift),
  ]

  private static let bits: [Shape] = [
    Shape(opcode: [0x0F, 0xBA], fields: [4], immediate: 1, undefined: of | sf | af | pf),
    Shape(
      opcode: [0x0F, 0xBA], fields: [5, 6, 7], immediate: 1, undefined: of | sf | af | pf,
      mayLock: true),
    Shape(opcode: [0x0F, 0xA3], undefined: of | sf | af | pf, setup: .bitOffset),
    Shape(opcode: [0x0F, 0xAB], undefined: of | sf | af | pf, mayLock: true, setup: .bitOffset),
    Shape(opcode: [0x0F, 0xB3], undefined: of | sf | af | pf, mayLock: true, setup: .bitOffset),
    Shape(opcode: [0x0F, 0xBB], undefined: of | sf | af | pf, mayLock: true, setup: .bitOffset),
    Shape(opcode: [0x0F, 0xBC], undefined: of | sf | af | pf | cf),
    Shape(opcode: [0x0F, 0xBD], undefined: of | sf | af | pf | cf),
    Shape(opcode: [0x0F, 0xB8], prefix: 0xF3),
    Shape(opcode: [0x0F, 0xBC], undefined: of | sf | af | pf, prefix: 0xF3),
    Shape(opcode: [0x0F, 0xBD], undefined: of | sf | af | pf, prefix: 0xF3),
  ]

  private static let exchanging: [Shape] = [
    Shape(opcode: [0x86], isByte: true, mayLock: true), Shape(opcode: [0x87], mayLock: true),
    Shape(opcode: [0x0F, 0xC0], isByte: true, mayLock: true),
    Shape(opcode: [0x0F, 0xC1], mayLock: true),
    Shape(opcode: [0x0F, 0xB0], isByte: true, mayLock: true),
    Shape(opcode: [0x0F, 0xB1], mayLock: true),
    Shape(opcode: [0x0F, 0xC7], fields: [1], needsMemory: true, mayLock: true),
  ]

  private static let strings: [Shape] = [
    0xA4, 0xA5, 0xA6, 0xA7, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF,
  ].map { Shape(opcode: [$0], operands: .none, setup: .string) }

  private static let stack: [Shape] = [
    Shape(opcode: [0x50], operands: .inOpcode, setup: .stack),
    Shape(opcode: [0x58], operands: .inOpcode, setup: .stack),
    Shape(opcode: [0x68], operands: .none, immediate: -1, setup: .stack),
    Shape(opcode: [0x6A], operands: .none, immediate: 1, setup: .stack),
    Shape(opcode: [0xFF], fields: [6], setup: .stack),
    Shape(opcode: [0x8F], fields: [0], setup: .stack),
    Shape(opcode: [0x9C], operands: .none, setup: .stack),
    Shape(opcode: [0xC8, 0x20, 0x00], operands: .none, immediate: 1, setup: .frame),
    Shape(opcode: [0xC9], operands: .none, setup: .frame),
    Shape(opcode: [0xE8, 0x10, 0, 0, 0], operands: .none, setup: .stack),
    Shape(opcode: [0xC2, 0x08, 0x00], operands: .none, setup: .stack),
    Shape(opcode: [0xC3], operands: .none, setup: .stack),
  ]

  private static let others: [Shape] = [
    Shape(opcode: [0x9E], operands: .none), Shape(opcode: [0x9F], operands: .none),
    Shape(opcode: [0xFC], operands: .none), Shape(opcode: [0xFD], operands: .none),
    Shape(opcode: [0xD7], operands: .none, setup: .translate),
    Shape(opcode: [0xE0], operands: .none, immediate: 1, setup: .count),
    Shape(opcode: [0xE1], operands: .none, immediate: 1, setup: .count),
    Shape(opcode: [0xE2], operands: .none, immediate: 1, setup: .count),
    Shape(opcode: [0xE3], operands: .none, immediate: 1, setup: .count),
    Shape(opcode: [0xEB], operands: .none, immediate: 1),
    Shape(opcode: [0x0F, 0x0B], operands: .none), Shape(opcode: [0xF4], operands: .none),
    Shape(opcode: [0xFA], operands: .none), Shape(opcode: [0xE4, 0x80], operands: .none),
    Shape(opcode: [0xEE], operands: .none),
    Shape(opcode: [0x0F, 0x06], operands: .none),
    Shape(opcode: [0x0F, 0x20, 0xC0], operands: .none),
    Shape(opcode: [0x06], operands: .none), Shape(opcode: [0x27], operands: .none),
    Shape(opcode: [0x60], operands: .none), Shape(opcode: [0xD6], operands: .none),
    Shape(opcode: [0xFE], fields: [2, 7]), Shape(opcode: [0xFF], fields: [7]),
  ]
}
