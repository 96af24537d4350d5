/// What has to be known of a vector instruction to run it on the host: its memory operand and the
/// kinds of its registers (Intel SDM vol. 2). What is not in the table is #UD.
struct VectorForm: OptionSet {
  let rawValue: UInt32

  static let valid = VectorForm(rawValue: 1 << 8)
  /// The memory operand is written.
  static let store = VectorForm(rawValue: 1 << 9)
  static let aligned = VectorForm(rawValue: 1 << 10)
  static let memoryOnly = VectorForm(rawValue: 1 << 11)
  static let registerOnly = VectorForm(rawValue: 1 << 12)
  /// The ModRM.reg, or the ModRM.rm register, is a general one.
  static let generalReg = VectorForm(rawValue: 1 << 13)
  static let generalRM = VectorForm(rawValue: 1 << 14)
  /// MMX registers take part: the whole state is loaded.
  static let mmx = VectorForm(rawValue: 1 << 15)
  static let setsFlags = VectorForm(rawValue: 1 << 16)
  static let immediate = VectorForm(rawValue: 1 << 17)
  /// REX.W makes the memory operand 8 bytes long.
  static let wide = VectorForm(rawValue: 1 << 18)
  /// XMM0 is an operand.
  static let usesXMM0 = VectorForm(rawValue: 1 << 19)
  /// The string comparisons: RAX, RDX, RCX and XMM0.
  static let strings = VectorForm(rawValue: 1 << 20)
  /// ModRM.reg chooses the shift.
  static let group = VectorForm(rawValue: 1 << 21)
  static let noModRM = VectorForm(rawValue: 1 << 22)

  /// Bytes of the memory operand.
  static func bytes(_ count: UInt32) -> VectorForm { VectorForm(rawValue: count) }
  var memoryBytes: Int { Int(rawValue & 0xFF) }
}

/// The forms by map (1: 0F, 2: 0F38, 3: 0F3A), prefix (0: none, 1: 66, 2: F3, 3: F2) and opcode.
enum VectorTable {
  static func form(map: UInt8, prefix: UInt8, opcode: UInt8) -> VectorForm {
    let index = (Int(map) - 1) << 10 | Int(prefix) << 8 | Int(opcode)
    return index >= 0 && index < forms.count ? forms[index] : []
  }

  private static let forms: [VectorForm] = build()

  private static func build() -> [VectorForm] {
    var table = [VectorForm](repeating: [], count: 3 << 10)
    for rule in rules {
      for opcode in rule.opcodes {
        table[(rule.map - 1) << 10 | rule.prefix << 8 | opcode] =
          [rule.form, .bytes(rule.bytes), .valid]
      }
    }
    return table
  }

  private struct Rule {
    let map: Int
    let prefix: Int
    let opcodes: [Int]
    let bytes: UInt32
    let form: VectorForm

    init(_ map: Int, _ prefix: Int, _ bytes: UInt32, _ form: VectorForm, _ opcodes: [Int]) {
      (self.map, self.prefix, self.bytes, self.form, self.opcodes) =
        (map, prefix, bytes, form, opcodes)
    }
  }

  private static let a: VectorForm = .aligned

  private static let rules: [Rule] = single + packed + mmx + scalarSingle + scalarDouble + later

  private static let single: [Rule] = [
    Rule(1, 0, 16, [], [0x10]), Rule(1, 0, 16, .store, [0x11]),
    Rule(1, 0, 8, [], [0x12, 0x16]), Rule(1, 0, 8, [.store, .memoryOnly], [0x13, 0x17]),
    Rule(1, 0, 16, a, [0x14, 0x15, 0x28, 0x51, 0x52, 0x53] + Array(0x54...0x59) + [0x5B, 0x5C]),
    Rule(1, 0, 16, a, [0x5D, 0x5E, 0x5F]),
    Rule(1, 0, 16, [.store, a], [0x29]), Rule(1, 0, 16, [.store, a, .memoryOnly], [0x2B]),
    Rule(1, 0, 4, .setsFlags, [0x2E, 0x2F]),
    Rule(1, 0, 0, [.registerOnly, .generalReg], [0x50]),
    Rule(1, 0, 8, [], [0x5A]), Rule(1, 0, 16, [a, .immediate], [0xC2, 0xC6]),
    Rule(1, 0, 8, .mmx, [0x2A, 0x2C, 0x2D]),
  ]

  private static let packed: [Rule] = [
    Rule(1, 1, 16, [], [0x10]), Rule(1, 1, 16, .store, [0x11]),
    Rule(1, 1, 8, .memoryOnly, [0x12, 0x16]), Rule(1, 1, 8, [.store, .memoryOnly], [0x13, 0x17]),
    Rule(1, 1, 16, a, [0x14, 0x15, 0x28, 0x51] + Array(0x54...0x5F)),
    Rule(1, 1, 16, [.store, a], [0x29, 0x7F]),
    Rule(1, 1, 16, [.store, a, .memoryOnly], [0x2B, 0xE7]),
    Rule(1, 1, 8, .mmx, [0x2A]), Rule(1, 1, 16, [.mmx, a], [0x2C, 0x2D]),
    Rule(1, 1, 8, .setsFlags, [0x2E, 0x2F]),
    Rule(1, 1, 0, [.registerOnly, .generalReg], [0x50, 0xD7]),
    Rule(1, 1, 16, a, Array(0x60...0x6D) + [0x6F, 0x74, 0x75, 0x76, 0x7C, 0x7D, 0xD0]),
    Rule(1, 1, 16, a, Array(0xD1...0xD5) + Array(0xD8...0xE6) + Array(0xE8...0xEF)),
    Rule(1, 1, 16, a, Array(0xF1...0xF6) + Array(0xF8...0xFE)),
    Rule(1, 1, 4, [.generalRM, .wide], [0x6E]), Rule(1, 1, 4, [.generalRM, .wide, .store], [0x7E]),
    Rule(1, 1, 16, [a, .immediate], [0x70, 0xC2, 0xC6]),
    Rule(1, 1, 0, [.registerOnly, .group, .immediate], [0x71, 0x72, 0x73]),
    Rule(1, 1, 2, [.generalRM, .immediate], [0xC4]),
    Rule(1, 1, 0, [.registerOnly, .generalReg, .immediate], [0xC5]),
    Rule(1, 1, 8, .store, [0xD6]),
  ]

  private static let mmx: [Rule] = [
    Rule(1, 0, 4, .mmx, [0x60, 0x61, 0x62]),
    Rule(1, 0, 8, .mmx, Array(0x63...0x6B) + [0x6F, 0x74, 0x75, 0x76]),
    Rule(1, 0, 4, [.mmx, .generalRM, .wide], [0x6E]),
    Rule(1, 0, 8, [.mmx, .immediate], [0x70]),
    Rule(1, 0, 0, [.mmx, .registerOnly, .group, .immediate], [0x71, 0x72, 0x73]),
    Rule(1, 0, 0, [.mmx, .noModRM], [0x77]),
    Rule(1, 0, 4, [.mmx, .generalRM, .wide, .store], [0x7E]),
    Rule(1, 0, 8, [.mmx, .store], [0x7F]),
    Rule(1, 0, 2, [.mmx, .generalRM, .immediate], [0xC4]),
    Rule(1, 0, 0, [.mmx, .registerOnly, .generalReg, .immediate], [0xC5]),
    Rule(1, 0, 8, .mmx, Array(0xD1...0xD5) + Array(0xD8...0xE5) + Array(0xE8...0xEF)),
    Rule(1, 0, 8, .mmx, Array(0xF1...0xF6) + Array(0xF8...0xFE)),
    Rule(1, 0, 0, [.mmx, .registerOnly, .generalReg], [0xD7]),
    Rule(1, 0, 8, [.mmx, .store, .memoryOnly], [0xE7]),
    Rule(1, 2, 0, [.mmx, .registerOnly], [0xD6]), Rule(1, 3, 0, [.mmx, .registerOnly], [0xD6]),
    Rule(2, 0, 8, .mmx, Array(0x00...0x0B) + [0x1C, 0x1D, 0x1E]),
    Rule(3, 0, 8, [.mmx, .immediate], [0x0F]),
  ]

  private static let scalarSingle: [Rule] = [
    Rule(1, 2, 4, [], [0x10, 0x51, 0x52, 0x53, 0x58, 0x59, 0x5A, 0x5C, 0x5D, 0x5E, 0x5F]),
    Rule(1, 2, 4, .store, [0x11]), Rule(1, 2, 16, a, [0x12, 0x16, 0x5B]),
    Rule(1, 2, 4, [.generalRM, .wide], [0x2A]), Rule(1, 2, 4, .generalReg, [0x2C, 0x2D]),
    Rule(1, 2, 16, [], [0x6F]), Rule(1, 2, 16, .store, [0x7F]),
    Rule(1, 2, 16, [a, .immediate], [0x70]), Rule(1, 2, 8, [], [0x7E, 0xE6]),
    Rule(1, 2, 4, .immediate, [0xC2]),
  ]

  private static let scalarDouble: [Rule] = [
    Rule(1, 3, 8, [], [0x10, 0x12, 0x51, 0x58, 0x59, 0x5A, 0x5C, 0x5D, 0x5E, 0x5F]),
    Rule(1, 3, 8, .store, [0x11]), Rule(1, 3, 4, [.generalRM, .wide], [0x2A]),
    Rule(1, 3, 8, .generalReg, [0x2C, 0x2D]), Rule(1, 3, 16, [a, .immediate], [0x70]),
    Rule(1, 3, 16, a, [0x7C, 0x7D, 0xD0, 0xE6]), Rule(1, 3, 8, .immediate, [0xC2]),
    Rule(1, 3, 16, .memoryOnly, [0xF0]),
  ]

  private static let later: [Rule] = [
    Rule(2, 1, 16, a, Array(0x00...0x0B) + [0x1C, 0x1D, 0x1E, 0x28, 0x29, 0x2B]),
    // SHA, AES, GFNI, PCLMULQDQ.
    Rule(2, 0, 16, a, [0xC8, 0xC9, 0xCA, 0xCC, 0xCD]), Rule(2, 0, 16, [a, .usesXMM0], [0xCB]),
    Rule(3, 0, 16, [a, .immediate], [0xCC]), Rule(2, 1, 16, a, [0xCF] + Array(0xDB...0xDF)),
    Rule(3, 1, 16, [a, .immediate], [0x44, 0xCE, 0xCF, 0xDF]),
    Rule(2, 1, 16, a, Array(0x37...0x41)), Rule(2, 1, 16, [a, .usesXMM0], [0x10, 0x14, 0x15]),
    Rule(2, 1, 16, [a, .setsFlags], [0x17]), Rule(2, 1, 16, [a, .memoryOnly], [0x2A]),
    Rule(2, 1, 8, [], [0x20, 0x23, 0x25, 0x30, 0x33, 0x35]),
    Rule(2, 1, 4, [], [0x21, 0x24, 0x31, 0x34]), Rule(2, 1, 2, [], [0x22, 0x32]),
    Rule(3, 1, 16, [a, .immediate], [0x08, 0x09, 0x0C, 0x0D, 0x0E, 0x0F, 0x40, 0x41, 0x42]),
    Rule(3, 1, 4, .immediate, [0x0A, 0x21]), Rule(3, 1, 8, .immediate, [0x0B]),
    Rule(3, 1, 1, [.immediate, .generalRM, .store], [0x14]),
    Rule(3, 1, 2, [.immediate, .generalRM, .store], [0x15]),
    Rule(3, 1, 4, [.immediate, .generalRM, .store, .wide], [0x16]),
    Rule(3, 1, 4, [.immediate, .generalRM, .store], [0x17]),
    Rule(3, 1, 1, [.immediate, .generalRM], [0x20]),
    Rule(3, 1, 4, [.immediate, .generalRM, .wide], [0x22]),
    Rule(3, 1, 16, [.immediate, .strings, .setsFlags, .usesXMM0], [0x60, 0x61, 0x62, 0x63]),
  ]
}
