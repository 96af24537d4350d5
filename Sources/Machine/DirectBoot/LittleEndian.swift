/// Little-endian fields of files and tables, each checked against the end.
extension [UInt8] {
  /// The field at `offset`; nil where the bytes end before it does.
  func field<Value: FixedWidthInteger & UnsignedInteger>(
    _ type: Value.Type, at offset: Int
  ) -> Value? {
    let size = MemoryLayout<Value>.size
    guard offset >= 0, offset <= count - size else { return nil }
    var value: Value = 0
    for index in (0..<size).reversed() {
      value = value &<< 8 | Value(truncatingIfNeeded: self[offset + index])
    }
    return value
  }

  /// Sets the field at `offset`; nothing where the bytes end before it does.
  mutating func setField<Value: FixedWidthInteger & UnsignedInteger>(
    _ value: Value, at offset: Int
  ) {
    let size = MemoryLayout<Value>.size
    guard offset >= 0, offset <= count - size else { return }
    for index in 0..<size {
      self[offset + index] = UInt8(truncatingIfNeeded: value >> Value(index * 8))
    }
  }

  /// Appends a field.
  mutating func append<Value: FixedWidthInteger & UnsignedInteger>(field value: Value) {
    for index in 0..<MemoryLayout<Value>.size {
      append(UInt8(truncatingIfNeeded: value >> Value(index * 8)))
    }
  }

  /// The bytes from `offset` on, `length` of them; nil where there are not as many.
  func part(at offset: UInt64, length: UInt64) -> ArraySlice<UInt8>? {
    guard offset <= UInt64(count), length <= UInt64(count) - offset else { return nil }
    return self[Int(offset)..<Int(offset + length)]
  }
}
