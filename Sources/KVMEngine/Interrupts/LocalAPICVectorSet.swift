/// One of the local APIC's 256-bit registers: interrupt requests, in service, trigger modes (Intel
/// SDM vol. 3, 11.8.4). Vectors 0 to 15 are never in one.
struct LocalAPICVectorSet: Codable, Equatable, Sendable {
  private var words = SIMD4<UInt64>(repeating: 0)

  /// The lowest vector that an interrupt can have.
  static let firstVector: UInt8 = 16

  /// The vector of highest priority, which is the greatest.
  var highest: UInt8? {
    var index = 3
    while index >= 0 {
      let word = words[index]
      if word != 0 {
        return UInt8(truncatingIfNeeded: index * 64 + 63 - word.leadingZeroBitCount)
      }
      index -= 1
    }
    return nil
  }

  var isEmpty: Bool { words == SIMD4<UInt64>(repeating: 0) }

  /// Whether only vectors are set that an interrupt can have.
  var isPossible: Bool { words[0] & 0xFFFF == 0 }

  /// Whether `vector` is in the set.
  subscript(vector: UInt8) -> Bool {
    get { words[Int(vector >> 6)] & (1 << UInt64(vector & 63)) != 0 }
    set {
      let bit: UInt64 = 1 << UInt64(vector & 63)
      if newValue { words[Int(vector >> 6)] |= bit } else { words[Int(vector >> 6)] &= ~bit }
    }
  }

  /// 32 bits as a register shows them; `index` 0 to 7 counts from vector 0.
  func register(_ index: UInt32) -> UInt32 {
    UInt32(truncatingIfNeeded: words[Int(index >> 1 & 3)] >> (UInt64(index & 1) * 32))
  }
}
