/// Makes a ``SnapshotValue`` of anything `Encodable`.
struct SnapshotEncoder: Encoder {
  /// What grows while containers are filled.
  fileprivate final class Node {
    var value = SnapshotValue.null
    var list: [Node]?
    var map: [(key: String, node: Node)]?

    var result: SnapshotValue {
      if let map { return .map(map.map { ($0.key, $0.node.result) }) }
      if let list { return .list(list.map(\.result)) }
      return value
    }
  }

  fileprivate let node: Node
  let codingPath: [any CodingKey] = []
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  static func encode(_ value: some Encodable) throws -> SnapshotValue {
    let node = Node()
    try put(value, in: node)
    return node.result
  }

  fileprivate static func put<Value: Encodable>(_ value: Value, in node: Node) throws {
    switch value {
    case let value as Bool: node.value = .bool(value)
    case let value as String: node.value = .text(value)
    case let value as Double: node.value = .real(value)
    case let value as Float: node.value = .real(Double(value))
    // An empty array of anything casts to one of bytes.
    case let value as [UInt8] where Value.self == [UInt8].self: node.value = .bytes(value)
    case let value as any UnsignedInteger: node.value = .unsigned(UInt64(clamping: value))
    case let value as any SignedInteger: node.value = .signed(Int64(clamping: value))
    default: try value.encode(to: SnapshotEncoder(node: node))
    }
  }

  func container<Key>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    node.map = node.map ?? []
    return KeyedEncodingContainer(Keyed<Key>(node: node))
  }
  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    node.list = node.list ?? []
    return Unkeyed(node: node)
  }
  func singleValueContainer() -> any SingleValueEncodingContainer { Single(node: node) }

  private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: Node
    let codingPath: [any CodingKey] = []

    private func child(_ key: some CodingKey) -> Node {
      let child = Node()
      node.map?.append((key.stringValue, child))
      return child
    }

    func encodeNil(forKey key: Key) { _ = child(key) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
      try put(value, in: child(key))
    }
    func nestedContainer<Nested>(
      keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
      SnapshotEncoder(node: child(key)).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
      SnapshotEncoder(node: child(key)).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { SnapshotEncoder(node: child(SuperKey())) }
    func superEncoder(forKey key: Key) -> any Encoder { SnapshotEncoder(node: child(key)) }
  }

  private struct Unkeyed: UnkeyedEncodingContainer {
    let node: Node
    let codingPath: [any CodingKey] = []
    var count: Int { node.list?.count ?? 0 }

    private func child() -> Node {
      let child = Node()
      node.list?.append(child)
      return child
    }

    func encodeNil() { _ = child() }
    func encode<Value: Encodable>(_ value: Value) throws { try put(value, in: child()) }
    func nestedContainer<Nested>(
      keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> {
      SnapshotEncoder(node: child()).container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
      SnapshotEncoder(node: child()).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { SnapshotEncoder(node: child()) }
  }

  private struct Single: SingleValueEncodingContainer {
    let node: Node
    let codingPath: [any CodingKey] = []

    func encodeNil() { node.value = .null }
    func encode<Value: Encodable>(_ value: Value) throws { try put(value, in: node) }
  }

  /// The key of a class's inherited part.
  struct SuperKey: CodingKey {
    var stringValue: String { "super" }
    var intValue: Int? { nil }
    init() {}
    init?(stringValue: String) { return nil }
    init?(intValue: Int) { return nil }
  }
}
