/// ACPI Machine Language, a term at a time (ACPI specification 6.5, chapter 20). Each function
/// returns a term's bytes; a list of terms is their concatenation.
enum AML {
  typealias Bytes = [UInt8]

  private enum Op {
    static let zero: UInt8 = 0x00
    static let one: UInt8 = 0x01
    static let name: UInt8 = 0x08
    static let byte: UInt8 = 0x0A
    static let word: UInt8 = 0x0B
    static let dword: UInt8 = 0x0C
    static let string: UInt8 = 0x0D
    static let scope: UInt8 = 0x10
    static let buffer: UInt8 = 0x11
    static let package: UInt8 = 0x12
    static let method: UInt8 = 0x14
    static let dualName: UInt8 = 0x2E
    static let multiName: UInt8 = 0x2F
    static let extended: UInt8 = 0x5B
    static let root: UInt8 = 0x5C
    static let local0: UInt8 = 0x60
    static let argument0: UInt8 = 0x68
    static let store: UInt8 = 0x70
    static let and: UInt8 = 0x7B
    static let or: UInt8 = 0x7D
    static let dwordField: UInt8 = 0x8A
    static let ifTrue: UInt8 = 0xA0
    static let returns: UInt8 = 0xA4
  }
  private enum ExtendedOp {
    static let region: UInt8 = 0x80
    static let field: UInt8 = 0x81
    static let device: UInt8 = 0x82
    static let processor: UInt8 = 0x83
  }

  // MARK: Data

  /// The shortest constant of `value`.
  static func integer(_ value: UInt32) -> Bytes {
    switch value {
    case 0: [Op.zero]
    case 1: [Op.one]
    case 2...0xFF: [Op.byte, UInt8(value)]
    case 0x100...0xFFFF: [Op.word] + littleEndian(value, 2)
    default: [Op.dword] + littleEndian(value, 4)
    }
  }

  static func string(_ text: String) -> Bytes { [Op.string] + Array(text.utf8) + [0] }

  static func package(_ elements: [Bytes]) -> Bytes {
    [Op.package] + sized([UInt8(truncatingIfNeeded: elements.count)] + elements.flatMap { $0 })
  }

  static func buffer(_ contents: Bytes) -> Bytes {
    [Op.buffer] + sized(integer(UInt32(truncatingIfNeeded: contents.count)) + contents)
  }

  /// A plug and play identifier, three letters and four hexadecimal digits, in its packed form
  /// (19.3.4 "EISAID").
  static func identifier(_ text: String) -> Bytes {
    let letters = text.utf8.prefix(3).reduce(UInt32(0)) { $0 << 5 | UInt32($1 & 0x1F) }
    let number = UInt32(text.dropFirst(3), radix: 16) ?? 0
    return [Op.dword] + littleEndian((letters << 16 | number).byteSwapped, 4)
  }

  // MARK: Names and objects

  /// A path of four-letter segments: `\_SB_.PCI0`.
  static func path(_ text: String) -> Bytes {
    var rest = Substring(text)
    var bytes: Bytes = []
    if rest.first == "\\" {
      bytes.append(Op.root)
      rest = rest.dropFirst()
    }
    let segments = rest.split(separator: ".")
    if segments.count == 2 { bytes.append(Op.dualName) }
    if segments.count > 2 { bytes += [Op.multiName, UInt8(truncatingIfNeeded: segments.count)] }
    for segment in segments {
      bytes += Array((segment.utf8 + Array("____".utf8)).prefix(4))
    }
    return bytes
  }

  static func name(_ name: String, _ value: Bytes) -> Bytes { [Op.name] + path(name) + value }

  static func scope(_ name: String, _ terms: Bytes) -> Bytes {
    [Op.scope] + sized(path(name) + terms)
  }

  static func device(_ name: String, _ terms: Bytes) -> Bytes {
    [Op.extended, ExtendedOp.device] + sized(path(name) + terms)
  }

  /// A processor without a register block.
  static func processor(_ name: String, identifier: UInt8) -> Bytes {
    [Op.extended, ExtendedOp.processor] + sized(path(name) + [identifier, 0, 0, 0, 0, 0])
  }

  /// - Parameter arguments: how many, 0 to 7.
  static func method(_ name: String, arguments: UInt8 = 0, _ terms: Bytes) -> Bytes {
    [Op.method] + sized(path(name) + [arguments & 7] + terms)
  }

  /// A region of a PCI device's configuration space, and its bytes by name.
  static func configurationBytes(
    _ region: String, offset: UInt32, names: [String]
  ) -> Bytes {
    let configurationSpace: UInt8 = 2
    let byteAccess: UInt8 = 1
    let bits: UInt8 = 8
    return [Op.extended, ExtendedOp.region] + path(region) + [configurationSpace]
      + integer(offset) + integer(UInt32(truncatingIfNeeded: names.count))
      + [Op.extended, ExtendedOp.field]
      + sized(path(region) + [byteAccess] + names.flatMap { path($0) + [bits] })
  }

  // MARK: Statements and expressions

  static func local(_ number: UInt8) -> Bytes { [Op.local0 + (number & 7)] }
  static func argument(_ number: UInt8) -> Bytes { [Op.argument0 + min(number, 6)] }
  static func store(_ value: Bytes, to target: Bytes) -> Bytes { [Op.store] + value + target }
  /// `a & b`, its result going nowhere else.
  static func and(_ a: Bytes, _ b: Bytes) -> Bytes { [Op.and] + a + b + [Op.zero] }
  /// `a | b`, its result going nowhere else.
  static func or(_ a: Bytes, _ b: Bytes) -> Bytes { [Op.or] + a + b + [Op.zero] }
  static func returns(_ value: Bytes) -> Bytes { [Op.returns] + value }
  static func whenTrue(_ condition: Bytes, _ terms: Bytes) -> Bytes {
    [Op.ifTrue] + sized(condition + terms)
  }
  /// Names the doubleword at byte `offset` of a buffer.
  static func dwordField(_ buffer: Bytes, _ offset: UInt32, _ name: String) -> Bytes {
    [Op.dwordField] + buffer + integer(offset) + path(name)
  }

  // MARK: Encoding

  /// `contents` behind its length, which counts itself (20.2.4).
  private static func sized(_ contents: Bytes) -> Bytes {
    if contents.count + 1 < 0x40 { return [UInt8(contents.count + 1)] + contents }
    for extra in 1...3 {
      let length = contents.count + 1 + extra
      guard length < 1 << (4 + 8 * extra) else { continue }
      var bytes: Bytes = [UInt8(extra << 6 | length & 0xF)]
      for index in 0..<extra { bytes.append(UInt8(truncatingIfNeeded: length >> (4 + 8 * index))) }
      return bytes + contents
    }
    return []
  }

  static func littleEndian(_ value: UInt32, _ count: Int) -> Bytes {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt32($0 * 8)) }
  }
}

/// Resource descriptors (ACPI specification 6.5, 6.4).
enum ACPIResource {
  /// Ports `first` to `last`, decoded in 16 bits.
  static func ports(_ range: ClosedRange<UInt16>) -> [UInt8] {
    let first = AML.littleEndian(UInt32(range.lowerBound), 2)
    return [0x47, 1] + first + first + [1, UInt8(truncatingIfNeeded: range.count)]
  }

  /// An ISA interrupt: an edge.
  static func interrupt(_ irq: Int) -> [UInt8] {
    [0x22] + AML.littleEndian(1 << UInt32(irq & 15), 2)
  }

  /// A DMA channel of 8 bits.
  static func dma(_ channel: Int) -> [UInt8] { [0x2A, 1 << UInt8(channel & 7), 0] }

  /// Memory that can be written.
  static func memory(_ address: UInt32, size: UInt32) -> [UInt8] {
    [0x86, 9, 0, 1] + AML.littleEndian(address, 4) + AML.littleEndian(size, 4)
  }

  /// A shared, level-triggered interrupt out of `choices`.
  static func sharedInterrupt(_ choices: [UInt8]) -> [UInt8] {
    let levelHighShared: UInt8 = 0x09
    let length = AML.littleEndian(UInt32(truncatingIfNeeded: 2 + 4 * choices.count), 2)
    return [0x89] + length + [levelHighShared, UInt8(truncatingIfNeeded: choices.count)]
      + choices.flatMap { AML.littleEndian(UInt32($0), 4) }
  }

  /// What a bridge hands down: bus numbers.
  static func buses(_ range: ClosedRange<UInt16>) -> [UInt8] { wordRange(2, 0, range) }

  /// What a bridge hands down: ports.
  static func portWindow(_ range: ClosedRange<UInt16>) -> [UInt8] { wordRange(1, 3, range) }

  /// What a bridge hands down: memory that can be written and cached.
  static func memoryWindow(_ range: ClosedRange<UInt32>) -> [UInt8] {
    [0x87, 23, 0, 0, fixed, 3] + AML.littleEndian(0, 4) + AML.littleEndian(range.lowerBound, 4)
      + AML.littleEndian(range.upperBound, 4) + AML.littleEndian(0, 4)
      + AML.littleEndian(range.upperBound &- range.lowerBound &+ 1, 4)
  }

  /// Descriptors as a template: a buffer with an end tag.
  static func template(_ descriptors: [UInt8]...) -> [UInt8] {
    AML.buffer(descriptors.flatMap { $0 } + [0x79, 0])
  }

  /// Neither end of a window moves.
  private static let fixed: UInt8 = 0x0C

  private static func wordRange(
    _ type: UInt8, _ flags: UInt8, _ range: ClosedRange<UInt16>
  ) -> [UInt8] {
    let length = UInt32(range.upperBound) - UInt32(range.lowerBound) + 1
    return [0x88, 13, 0, type, fixed, flags] + AML.littleEndian(0, 2)
      + AML.littleEndian(UInt32(range.lowerBound), 2)
      + AML.littleEndian(UInt32(range.upperBound), 2) + AML.littleEndian(0, 2)
      + AML.littleEndian(length, 2)
  }
}
