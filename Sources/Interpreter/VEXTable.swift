/// What has to be known of a VEX-coded instruction to run it on the host (Intel SDM vol. 2, tables
/// where its memory operand comes from and which register it writes. What the table
/// lets through and the host still refuses (a reserved length or vvvv) is #UD by trial.
struct VEXForm: OptionSet {
  let rawValue: UInt32

  static let valid = VEXForm(rawValue: 1 << 8)
  /// The ModRM.rm operand is written.
  static let store = VEXForm(rawValue: 1 << 9)
  static let aligned = VEXForm(rawValue: 1 << 10)
  static let memoryOnly = VEXForm(rawValue: 1 << 11)
  static let registerOnly = VEXForm(rawValue: 1 << 12)
  /// The ModRM.reg, or the ModRM.rm register, is a general one.
  static let generalReg = VEXForm(rawValue: 1 << 13)
  static let generalRM = VEXForm(rawValue: 1 << 14)
  static let setsFlags = VEXForm(rawValue: 1 << 15)
  static let immediate = VEXForm(rawValue: 1 << 16)
  /// VEX.W makes the memory operand 8 bytes long instead of 4.
  static let wide = VEXForm(rawValue: 1 << 17)
  static let strings = VEXForm(rawValue: 1 << 18)
  /// ModRM.reg chooses the operation, VEX.vvvv is written.
  static let group = VEXForm(rawValue: 1 << 19)
  /// VEX.vvvv names no operand.
  static let unary = VEXForm(rawValue: 1 << 20)
  /// The register that is written is read, too.
  static let accumulates = VEXForm(rawValue: 1 << 21)
  /// The immediate's upper half names a register.
  static let fourth = VEXForm(rawValue: 1 << 22)
  /// The size of the memory operand is that of the vector, shifted right.
  static let full = VEXForm(rawValue: 1 << 23)
  static let half: VEXForm = [full, VEXForm(rawValue: 1)]
  static let quarter: VEXForm = [full, VEXForm(rawValue: 2)]
  static let eighth: VEXForm = [full, VEXForm(rawValue: 3)]
  /// All operands are general registers.
  static let general = VEXForm(rawValue: 1 << 24)
  /// MXCSR takes part.
  static let control = VEXForm(rawValue: 1 << 25)
  /// Executed without a stub.
  static let special = VEXForm(rawValue: 1 << 26)

  static func bytes(_ count: UInt32) -> VEXForm { VEXForm(rawValue: count) }

  /// Bytes of the memory operand.
  func memoryBytes(isLong: Bool, isWide: Bool) -> Int {
    let number = Int(rawValue & 0xFF)
    if contains(.full) { return (isLong ? 32 : 16) >> number }
    return contains(.wide) && isWide ? 8 : number
  }
}

/// The forms by map (1: 0F, 2: 0F38, 3: 0F3A), prefix (0: none, 1: 66, 2: F3, 3: F2) and opcode.
enum VEXTable {
  static func form(map: UInt8, prefix: UInt8, opcode: UInt8) -> VEXForm {
    let index = (Int(map) - 1) << 10 | Int(prefix) << 8 | Int(opcode)
    return index >= 0 && index < forms.count ? forms[index] : []
  }

  private static let forms: [VEXForm] = {
    var table = [VEXForm](repeating: [], count: 3 << 10)
    for rule in floating + moves + integers + later + last + generals {
      for opcode in rule.opcodes {
        table[(rule.map - 1) << 10 | rule.prefix << 8 | opcode] = [rule.form, .valid]
      }
    }
    return table
  }()

  private struct Rule {
    let map: Int
    let prefix: Int
    let form: VEXForm
    let opcodes: [Int]

    init(_ map: Int, _ prefix: Int, _ form: VEXForm, _ opcodes: [Int]) {
      (self.map, self.prefix, self.form, self.opcodes) = (map, prefix, form, opcodes)
    }
  }

  private static let c: VEXForm = .control
  private static let f: VEXForm = .full
  private static let u: VEXForm = .unary
  private static func b(_ count: UInt32) -> VEXForm { .bytes(count) }

  private static let floating: [Rule] = [
    Rule(1, 0, [f, u, c], [0x51, 0x52, 0x53, 0x5B]), Rule(1, 0, [.half, u, c], [0x5A]),
    Rule(1, 0, [f, c], [0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F]),
    Rule(1, 0, f, [0x14, 0x15, 0x54, 0x55, 0x56, 0x57]),
    Rule(1, 0, [b(4), u, c, .setsFlags], [0x2E, 0x2F]),
    Rule(1, 0, [f, c, .immediate], [0xC2]), Rule(1, 0, [f, .immediate], [0xC6]),
    Rule(1, 1, [f, u, c], [0x51, 0x5A, 0x5B, 0xE6]),
    Rule(1, 1, [f, c], [0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F, 0x7C, 0x7D, 0xD0]),
    Rule(1, 1, f, [0x14, 0x15, 0x54, 0x55, 0x56, 0x57]),
    Rule(1, 1, [b(8), u, c, .setsFlags], [0x2E, 0x2F]),
    Rule(1, 1, [f, c, .immediate], [0xC2]), Rule(1, 1, [f, .immediate], [0xC6]),
    Rule(1, 2, [b(4), c], [0x51, 0x52, 0x53, 0x58, 0x59, 0x5A, 0x5C, 0x5D, 0x5E, 0x5F]),
    Rule(1, 2, [f, u, c], [0x5B]), Rule(1, 2, [b(4), c, .generalRM, .wide], [0x2A]),
    Rule(1, 2, [b(4), u, c, .generalReg], [0x2C, 0x2D]), Rule(1, 2, [.half, u, c], [0xE6]),
    Rule(1, 2, [b(4), c, .immediate], [0xC2]),
    Rule(1, 3, [b(8), c], [0x51, 0x58, 0x59, 0x5A, 0x5C, 0x5D, 0x5E, 0x5F]),
    Rule(1, 3, [b(4), c, .generalRM, .wide], [0x2A]),
    Rule(1, 3, [b(8), u, c, .generalReg], [0x2C, 0x2D]), Rule(1, 3, [f, u, c], [0xE6]),
    Rule(1, 3, [f, c], [0x7C, 0x7D, 0xD0]), Rule(1, 3, [b(8), c, .immediate], [0xC2]),
  ]

  private static let moves: [Rule] = [
    Rule(1, 0, [f, u], [0x10]), Rule(1, 0, [f, u, .store], [0x11]), Rule(1, 0, b(8), [0x12, 0x16]),
    Rule(1, 0, [b(8), u, .store, .memoryOnly], [0x13, 0x17]),
    Rule(1, 0, [f, u, .aligned], [0x28]), Rule(1, 0, [f, u, .store, .aligned], [0x29]),
    Rule(1, 0, [f, u, .store, .aligned, .memoryOnly], [0x2B]),
    Rule(1, 0, [u, .registerOnly, .generalReg], [0x50]), Rule(1, 0, .special, [0x77, 0xAE]),
    Rule(1, 1, [f, u], [0x10]), Rule(1, 1, [f, u, .store], [0x11]),
    Rule(1, 1, [b(8), .memoryOnly], [0x12, 0x16]),
    Rule(1, 1, [b(8), u, .store, .memoryOnly], [0x13, 0x17]),
    Rule(1, 1, [f, u, .aligned], [0x28, 0x6F]),
    Rule(1, 1, [f, u, .store, .aligned], [0x29, 0x7F]),
    Rule(1, 1, [f, u, .store, .aligned, .memoryOnly], [0x2B, 0xE7]),
    Rule(1, 1, [u, .registerOnly, .generalReg], [0x50, 0xD7]),
    Rule(1, 1, [b(4), u, .generalRM, .wide], [0x6E]),
    Rule(1, 1, [b(4), u, .generalRM, .wide, .store], [0x7E]),
    Rule(1, 1, [b(2), .generalRM, .immediate], [0xC4]),
    Rule(1, 1, [u, .registerOnly, .generalReg, .immediate], [0xC5]),
    Rule(1, 1, [b(8), u, .store], [0xD6]), Rule(1, 1, [.special, .registerOnly], [0xF7]),
    Rule(1, 2, b(4), [0x10]), Rule(1, 2, [b(4), .store], [0x11]),
    Rule(1, 2, [f, u], [0x12, 0x16]),
    Rule(1, 2, [f, u], [0x6F]), Rule(1, 2, [f, u, .store], [0x7F]), Rule(1, 2, [b(8), u], [0x7E]),
    Rule(1, 3, b(8), [0x10]), Rule(1, 3, [b(8), .store], [0x11]),
    // VMOVDDUP reads 8 bytes, or 32: the decoder knows.
    Rule(1, 3, [b(8), u], [0x12]), Rule(1, 3, [f, u, .memoryOnly], [0xF0]),
  ]

  private static let integers: [Rule] = [
    Rule(1, 1, f, Array(0x60...0x6D) + [0x74, 0x75, 0x76]),
    Rule(1, 1, [f, u, .immediate], [0x70]), Rule(1, 2, [f, u, .immediate], [0x70]),
    Rule(1, 3, [f, u, .immediate], [0x70]),
    Rule(1, 1, [.registerOnly, .group, .immediate], [0x71, 0x72, 0x73]),
    Rule(1, 1, b(16), [0xD1, 0xD2, 0xD3, 0xE1, 0xE2, 0xF1, 0xF2, 0xF3]),
    Rule(1, 1, f, [0xD4, 0xD5] + Array(0xD8...0xE0) + [0xE3, 0xE4, 0xE5]),
    Rule(1, 1, f, Array(0xE8...0xEF) + Array(0xF4...0xF6) + Array(0xF8...0xFE)),
  ]

  private static let later: [Rule] = [
    Rule(2, 1, f, Array(0x00...0x0D) + [0x16, 0x28, 0x29, 0x2B, 0x36]),
    Rule(2, 1, f, Array(0x37...0x40) + [0x45, 0x46, 0x47, 0xCF, 0xDC, 0xDD, 0xDE, 0xDF]),
    Rule(2, 1, [f, u, .setsFlags], [0x0E, 0x0F, 0x17]), Rule(2, 1, [.half, u, c], [0x13]),
    Rule(2, 1, [b(4), u], [0x18, 0x58]), Rule(2, 1, [b(8), u], [0x19, 0x59]),
    Rule(2, 1, [b(16), u, .memoryOnly], [0x1A, 0x5A]), Rule(2, 1, [b(1), u], [0x78]),
    Rule(2, 1, [b(2), u], [0x79]), Rule(2, 1, [f, u], [0x1C, 0x1D, 0x1E, 0x41, 0xDB]),
    Rule(2, 1, [.half, u], [0x20, 0x23, 0x25, 0x30, 0x33, 0x35]),
    Rule(2, 1, [.quarter, u], [0x21, 0x24, 0x31, 0x34]), Rule(2, 1, [.eighth, u], [0x22, 0x32]),
    Rule(2, 1, [f, u, .aligned, .memoryOnly], [0x2A]),
    Rule(2, 1, [.special, .memoryOnly], [0x2C, 0x2D, 0x2E, 0x2F, 0x8C, 0x8E]),
    Rule(2, 1, [.special, .memoryOnly], [0x90, 0x91, 0x92, 0x93]),
    Rule(
      2, 1, [f, c, .accumulates],
      [0x96, 0x97, 0x98, 0x9A, 0x9C, 0x9E, 0xA6, 0xA7, 0xA8, 0xAA, 0xAC, 0xAE]
        + [0xB6, 0xB7, 0xB8, 0xBA, 0xBC, 0xBE]),
    Rule(
      2, 1, [b(4), c, .accumulates, .wide],
      [0x99, 0x9B, 0x9D, 0x9F, 0xA9, 0xAB, 0xAD, 0xAF, 0xB9, 0xBB, 0xBD, 0xBF]),
  ]

  private static let last: [Rule] = [
    Rule(3, 1, [f, u, .immediate], [0x00, 0x01, 0x04, 0x05]),
    Rule(3, 1, [f, u, c, .immediate], [0x08, 0x09]),
    Rule(3, 1, [b(4), c, .immediate], [0x0A]), Rule(3, 1, [b(8), c, .immediate], [0x0B]),
    Rule(3, 1, [f, .immediate], [0x02, 0x06, 0x0C, 0x0D, 0x0E, 0x0F, 0x42, 0x44, 0x46]),
    Rule(3, 1, [f, .immediate], [0xCE, 0xCF]), Rule(3, 1, [f, c, .immediate], [0x40, 0x41]),
    Rule(3, 1, [b(1), u, .immediate, .generalRM, .store], [0x14]),
    Rule(3, 1, [b(2), u, .immediate, .generalRM, .store], [0x15]),
    Rule(3, 1, [b(4), u, .immediate, .generalRM, .store, .wide], [0x16]),
    Rule(3, 1, [b(4), u, .immediate, .generalRM, .store], [0x17]),
    Rule(3, 1, [b(16), .immediate], [0x18, 0x38]),
    Rule(3, 1, [b(16), u, .immediate, .store], [0x19, 0x39]),
    Rule(3, 1, [.half, u, c, .immediate, .store], [0x1D]),
    Rule(3, 1, [b(1), .immediate, .generalRM], [0x20]), Rule(3, 1, [b(4), .immediate], [0x21]),
    Rule(3, 1, [b(4), .immediate, .generalRM, .wide], [0x22]),
    Rule(3, 1, [f, .immediate, .fourth], [0x4A, 0x4B, 0x4C]),
    Rule(3, 1, [b(16), u, .immediate, .strings, .setsFlags], [0x60, 0x61, 0x62, 0x63]),
    Rule(3, 1, [f, u, .immediate], [0xDF]),
  ]

  private static let generals: [Rule] = [
    Rule(2, 0, [b(4), .general, .wide, .setsFlags], [0xF2, 0xF5, 0xF7]),
    Rule(2, 0, [b(4), .general, .wide, .setsFlags, .group], [0xF3]),
    Rule(2, 1, [b(4), .general, .wide], [0xF7]),
    Rule(2, 2, [b(4), .general, .wide], [0xF5, 0xF7]),
    Rule(2, 3, [b(4), .general, .wide], [0xF5, 0xF6, 0xF7]),
    Rule(3, 3, [b(4), .general, .wide, .immediate], [0xF0]),
  ]
}
