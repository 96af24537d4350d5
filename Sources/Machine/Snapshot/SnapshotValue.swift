/// A value as a snapshot holds it: what ``SnapshotEncoder`` makes of a `Codable` one.
indirect enum SnapshotValue {
  case null
  case bool(Bool)
  case signed(Int64)
  case unsigned(UInt64)
  case real(Double)
  case text(String)
  case bytes([UInt8])
  case list([SnapshotValue])
  case map([(key: String, value: SnapshotValue)])

  /// How deep values may lie in each other.
  static let deepest = 32

  var isNull: Bool { if case .null = self { true } else { false } }

  private enum Tag: UInt8 {
    case null, no, yes, signed, unsigned, real, text, bytes, list, map
  }

  // MARK: To bytes

  func encoded() -> [UInt8] {
    var out: [UInt8] = []
    append(to: &out)
    return out
  }

  private func append(to out: inout [UInt8]) {
    func tag(_ tag: Tag) { out.append(tag.rawValue) }
    func number(_ value: UInt64) {
      var rest = value
      while rest > 0x7F {
        out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      out.append(UInt8(truncatingIfNeeded: rest))
    }
    func string(_ text: String) {
      number(UInt64(text.utf8.count))
      out += text.utf8
    }
    switch self {
    case .null: tag(.null)
    case .bool(let value): tag(value ? .yes : .no)
    case .signed(let value):
      tag(.signed)
      number(UInt64(bitPattern: value << 1 ^ value >> 63))
    case .unsigned(let value):
      tag(.unsigned)
      number(value)
    case .real(let value):
      tag(.real)
      number(value.bitPattern)
    case .text(let text):
      tag(.text)
      string(text)
    case .bytes(let bytes):
      tag(.bytes)
      number(UInt64(bytes.count))
      out += bytes
    case .list(let values):
      tag(.list)
      number(UInt64(values.count))
      for value in values { value.append(to: &out) }
    case .map(let entries):
      tag(.map)
      number(UInt64(entries.count))
      for entry in entries {
        string(entry.key)
        entry.value.append(to: &out)
      }
    }
  }

  // MARK: From bytes

  /// Reads a value that takes all of `bytes`; nil where they are none.
  init?(decoding bytes: [UInt8]) {
    var reader = Reader(bytes: bytes)
    guard let value = reader.value(depth: 0), reader.position == bytes.count else { return nil }
    self = value
  }

  private struct Reader {
    let bytes: [UInt8]
    var position = 0

    mutating func byte() -> UInt8? {
      guard position < bytes.count else { return nil }
      defer { position += 1 }
      return bytes[position]
    }

    mutating func number() -> UInt64? {
      var result: UInt64 = 0
      for shift in stride(from: UInt64(0), to: 70, by: 7) {
        guard let byte = byte() else { return nil }
        result |= UInt64(byte & 0x7F) << shift
        if byte & 0x80 == 0 { return result }
      }
      return nil
    }

    /// A count of things that take a byte or more each, so that it is bounded by what is there.
    mutating func count() -> Int? {
      guard let count = number(), count <= UInt64(bytes.count - position) else { return nil }
      return Int(count)
    }

    mutating func run() -> ArraySlice<UInt8>? {
      guard let count = count() else { return nil }
      defer { position += count }
      return bytes[position..<(position + count)]
    }

    mutating func text() -> String? { run().flatMap { String(validating: $0, as: UTF8.self) } }

    mutating func value(depth: Int) -> SnapshotValue? {
      guard depth < SnapshotValue.deepest, let tag = byte().flatMap(Tag.init) else { return nil }
      switch tag {
      case .null: return .null
      case .no: return .bool(false)
      case .yes: return .bool(true)
      case .signed:
        return number().map { .signed(Int64(bitPattern: $0 >> 1) ^ -Int64(bitPattern: $0 & 1)) }
      case .unsigned: return number().map { .unsigned($0) }
      case .real: return number().map { .real(Double(bitPattern: $0)) }
      case .text: return text().map { .text($0) }
      case .bytes: return run().map { .bytes(Array($0)) }
      case .list:
        guard let count = count() else { return nil }
        var values: [SnapshotValue] = []
        for _ in 0..<count {
          guard let value = value(depth: depth + 1) else { return nil }
          values.append(value)
        }
        return .list(values)
      case .map:
        guard let count = count() else { return nil }
        var entries: [(key: String, value: SnapshotValue)] = []
        for _ in 0..<count {
          guard let key = text(), let value = value(depth: depth + 1) else { return nil }
          entries.append((key, value))
        }
        return .map(entries)
      }
    }
  }
}
