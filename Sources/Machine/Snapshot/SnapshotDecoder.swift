/// Makes anything `Decodable` of a ``SnapshotValue``; what does not fit is an error.
struct SnapshotDecoder: Decoder {
  let value: SnapshotValue
  let codingPath: [any CodingKey] = []
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  /// The value is not what was asked for.
  struct Mismatch: Error {}

  static func decode<Value: Decodable>(
    _ type: Value.Type, from value: SnapshotValue
  ) throws -> Value {
    switch (type, value) {
    case (is Bool.Type, .bool(let value)): return try cast(value)
    case (is String.Type, .text(let value)): return try cast(value)
    case (is Double.Type, .real(let value)): return try cast(value)
    case (is Float.Type, .real(let value)): return try cast(Float(value))
    case (is [UInt8].Type, .bytes(let value)): return try cast(value)
    default: break
    }
    if let integer = type as? any FixedWidthInteger.Type {
      return try cast(try whole(integer, value))
    }
    if type is Bool.Type || type is String.Type || type is Double.Type || type is [UInt8].Type {
      throw Mismatch()
    }
    return try Value(from: SnapshotDecoder(value: value))
  }

  private static func whole<Number: FixedWidthInteger>(
    _ type: Number.Type, _ value: SnapshotValue
  ) throws -> Number {
    switch value {
    case .signed(let value): if let number = Number(exactly: value) { return number }
    case .unsigned(let value): if let number = Number(exactly: value) { return number }
    default: break
    }
    throw Mismatch()
  }

  private static func cast<Value>(_ value: Any) throws -> Value {
    guard let value = value as? Value else { throw Mismatch() }
    return value
  }

  func container<Key>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .map(let entries) = value else { throw Mismatch() }
    return KeyedDecodingContainer(Keyed<Key>(entries: entries))
  }
  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .list(let values) = value else { throw Mismatch() }
    return Unkeyed(values: values)
  }
  func singleValueContainer() -> any SingleValueDecodingContainer { Single(value: value) }

  private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let entries: [(key: String, value: SnapshotValue)]
    let codingPath: [any CodingKey] = []
    var allKeys: [Key] { entries.compactMap { Key(stringValue: $0.key) } }

    private func find(_ key: some CodingKey) throws -> SnapshotValue {
      let name = key.stringValue
      guard let entry = entries.first(where: { $0.key == name }) else { throw Mismatch() }
      return entry.value
    }

    func contains(_ key: Key) -> Bool { entries.contains { $0.key == key.stringValue } }
    func decodeNil(forKey key: Key) throws -> Bool { try find(key).isNull }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
      try SnapshotDecoder.decode(type, from: find(key))
    }
    func nestedContainer<Nested>(
      keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
      try SnapshotDecoder(value: find(key)).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
      try SnapshotDecoder(value: find(key)).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder {
      SnapshotDecoder(value: try find(SnapshotEncoder.SuperKey()))
    }
    func superDecoder(forKey key: Key) throws -> any Decoder {
      SnapshotDecoder(value: try find(key))
    }
  }

  private struct Unkeyed: UnkeyedDecodingContainer {
    let values: [SnapshotValue]
    let codingPath: [any CodingKey] = []
    var currentIndex = 0
    var count: Int? { values.count }
    var isAtEnd: Bool { currentIndex >= values.count }

    init(values: [SnapshotValue]) { self.values = values }

    private mutating func next() throws -> SnapshotValue {
      guard currentIndex < values.count else { throw Mismatch() }
      defer { currentIndex += 1 }
      return values[currentIndex]
    }

    mutating func decodeNil() throws -> Bool {
      guard currentIndex < values.count, values[currentIndex].isNull else { return false }
      currentIndex += 1
      return true
    }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
      try SnapshotDecoder.decode(type, from: next())
    }
    mutating func nestedContainer<Nested>(
      keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
      try SnapshotDecoder(value: next()).container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
      try SnapshotDecoder(value: next()).unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder { SnapshotDecoder(value: try next()) }
  }

  private struct Single: SingleValueDecodingContainer {
    let value: SnapshotValue
    let codingPath: [any CodingKey] = []

    func decodeNil() -> Bool { value.isNull }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
      try SnapshotDecoder.decode(type, from: value)
    }
  }
}
