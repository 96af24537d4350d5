import Testing

@testable import Machine

/// A small generator of numbers that are the same in every run (SplitMix64).
private struct FixedNumbers: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}

@Suite struct VideoRobustnessTests {
  private static let functions: [UInt16] =
    (0x00...0x13).map { UInt16($0) << 8 } + [0x1A00, 0x1B00, 0x1C00, 0x4F00]

  private func randomWord(_ numbers: inout FixedNumbers) -> UInt16 {
    switch numbers.next() % 4 {
    case 0: UInt16(truncatingIfNeeded: numbers.next())
    case 1: UInt16(truncatingIfNeeded: numbers.next() % 64)
    case 2: UInt16(truncatingIfNeeded: numbers.next() % 0x1A) << 8 | 0x28
    default: [0, 0xFFFF, 0x0100, 0x00FF][Int(numbers.next() % 4)]
    }
  }

  /// Long strings of control characters take long to scroll; they are tested elsewhere.
  private func isSlow(_ ax: UInt16, _ cx: UInt16) -> Bool { ax >> 8 == 0x13 && cx > 600 }

  @Test(arguments: [UInt64(1), 2, 3, 4])
  func randomCallsNeverTrap(seed: UInt64) throws {
    let rig = try VideoRig()
    var numbers = FixedNumbers(state: seed)
    let modes: [UInt16] = [0, 3, 4, 6, 7, 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x12, 0x13]
    for step in 0..<400 {
      if step % 25 == 0 { rig.call(modes[Int(numbers.next() % UInt64(modes.count))]) }
      let function = Self.functions[Int(numbers.next() % UInt64(Self.functions.count))]
      let ax = function | UInt16(truncatingIfNeeded: numbers.next() % 0x35)
      let cx = randomWord(&numbers)
      if isSlow(ax, cx) { continue }
      rig.call(
        ax, bx: randomWord(&numbers), cx: cx, dx: randomWord(&numbers),
        bp: randomWord(&numbers), di: randomWord(&numbers))
    }
    rig.call(0x0003)
    rig.type("alive")
    #expect(rig.adapter.capture().size.height > 0)
    #expect(rig.call(0x0F00).al & 0x7F == 3)
  }

  @Test(arguments: [UInt64(11), 12])
  func aSpoiledDataAreaNeverTraps(seed: UInt64) throws {
    let rig = try VideoRig()
    var numbers = FixedNumbers(state: seed)
    for step in 0..<120 {
      if step % 10 == 0 {
        rig.call([3, 4, 6, 0x12, 0x13][Int(numbers.next() % 5)])
        rig.space.write(
          0x44A, bytes: (0..<0x1D).map { _ in UInt8(truncatingIfNeeded: numbers.next()) })
        rig.space.write(
          0x484, bytes: (0..<7).map { _ in UInt8(truncatingIfNeeded: numbers.next()) })
      }
      let function = Self.functions[1 + Int(numbers.next() % UInt64(Self.functions.count - 2))]
      let cx = randomWord(&numbers)
      let ax = function | UInt16(numbers.next() % 0x35)
      if isSlow(ax, cx) || ax >> 8 == 0x13 { continue }
      rig.call(ax, bx: randomWord(&numbers), cx: cx, dx: randomWord(&numbers))
    }
    rig.bios.powerOn()
    rig.type("alive")
    #expect(rig.row(0) == "alive")
  }

  @Test func callsStayInsideTheScreen() throws {
    let rig = try VideoRig()
    let memory = rig.space.bytes(at: 0x500, count: 0x6000)
    rig.call(0x0200, dx: 0xFFFF)
    rig.type("x")
    #expect(rig.cursor() == [24, 0])
    rig.call(0x0200, bx: 0xFF00, dx: 0x0101)
    rig.call(0x0941, bx: 0xFF07, cx: 0xFFFF)
    rig.call(0x0800, bx: 0xFF00)
    rig.setBuffer([UInt8](repeating: 0x41, count: 300))
    rig.call(0x1301, bx: 0x0007, cx: 300, dx: 0xFFFF)
    #expect(rig.space.bytes(at: 0x500, count: 0x6000) == memory)
  }
}
