/// Random numbers that a seed makes the same in every run (SplitMix64).
package struct Seeded: RandomNumberGenerator {
  private var state: UInt64

  package init(_ seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// A number from 0 up to `bound`, which is not in it.
  mutating func below(_ bound: UInt64) -> UInt64 { bound == 0 ? 0 : next() % bound }

  /// True once in `number` times.
  mutating func once(in number: UInt64) -> Bool { below(number) == 0 }

  mutating func pick<Element>(_ list: [Element], or other: Element) -> Element {
    list.isEmpty ? other : list[Int(truncatingIfNeeded: below(UInt64(list.count)))]
  }

  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }

  /// A value as programs have them: borders of widths, small ones, anything.
  mutating func value() -> UInt64 {
    let edges: [UInt64] = [
      0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, .max,
      1 << 63, 1 << 63 - 1,
    ]
    switch below(4) {
    case 0: return pick(edges, or: 0)
    case 1: return below(100)
    default: return next()
    }
  }
}
