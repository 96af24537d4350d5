import DeviceTestKit
import Display
import KVMEngine
import Testing

/// Host accesses in a planar mode, against values worked out by hand from the VGA Technical
/// Reference.
@Suite struct PlanarMemoryTests {
  let kit: AdapterKit

  init() throws {
    kit = try AdapterKit()
    kit.adapter.loadRegisters(Modes.mode12)
    kit.adapter.clearMemory()
  }

  private func planes(_ offset: Int) -> [UInt8] {
    (0..<4).map { kit.adapter.readPlane($0, offset: offset) }
  }

  private func setPlanes(_ offset: Int, _ values: [UInt8]) {
    for (plane, value) in values.enumerated() {
      kit.adapter.writePlane(plane, offset: offset, value)
    }
  }

  @Test func mapMaskChoosesPlanes() {
    kit.sequencer(2, 0b0101)
    kit.poke(0xA0010, 0xA5)
    #expect(planes(0x10) == [0xA5, 0, 0xA5, 0])
  }

  @Test func rotatesBeforeWriting() {
    kit.graphics(3, 3)
    kit.poke(0xA0000, 0b1000_0101)
    #expect(planes(0) == [UInt8](repeating: 0b1011_0000, count: 4))
  }

  @Test func setResetReplacesEnabledPlanes() {
    kit.graphics(0, 0b0001)
    kit.graphics(1, 0b0011)
    kit.poke(0xA0000, 0x3C)
    #expect(planes(0) == [0xFF, 0x00, 0x3C, 0x3C])
  }

  @Test(arguments: [(UInt8(1), UInt8(0x30)), (2, 0xFC), (3, 0xCC)])
  func logicCombinesWithTheLatches(function: UInt8, result: UInt8) {
    setPlanes(0, [0x3C, 0x3C, 0x3C, 0x3C])
    kit.graphics(3, function << 3)
    _ = kit.peek(0xA0000)
    kit.poke(0xA0000, 0xF0)
    #expect(planes(0) == [UInt8](repeating: result, count: 4))
  }

  @Test func bitMaskKeepsLatchedBits() {
    setPlanes(0, [0x11, 0x22, 0x44, 0x88])
    kit.graphics(8, 0x0F)
    _ = kit.peek(0xA0000)
    kit.poke(0xA0000, 0xAA)
    #expect(planes(0) == [0x1A, 0x2A, 0x4A, 0x8A])
  }

  @Test func writeMode1CopiesTheLatches() {
    setPlanes(4, [1, 2, 3, 4])
    kit.graphics(5, 1)
    kit.graphics(8, 0)
    _ = kit.peek(0xA0004)
    kit.poke(0xA0009, 0xFF)
    #expect(planes(9) == [1, 2, 3, 4])
  }

  @Test func writeMode2WritesAColour() {
    setPlanes(0, [0xFF, 0xFF, 0, 0])
    kit.graphics(5, 2)
    kit.graphics(8, 0xF0)
    _ = kit.peek(0xA0000)
    kit.poke(0xA0000, 0b0110)
    #expect(planes(0) == [0x0F, 0xFF, 0xF0, 0])
  }

  @Test func writeMode3MasksTheSetResetColour() {
    setPlanes(0, [0, 0xFF, 0, 0xFF])
    kit.graphics(0, 0b0101)
    kit.graphics(5, 3)
    kit.graphics(8, 0x3C)
    kit.graphics(3, 4)
    _ = kit.peek(0xA0000)
    // Rotated by four: F0h; with the bit mask 30h.
    kit.poke(0xA0000, 0x0F)
    #expect(planes(0) == [0x30, 0xCF, 0x30, 0xCF])
  }

  @Test func readMode0ReadsTheReadMap() {
    setPlanes(7, [1, 2, 3, 4])
    for plane in 0..<4 {
      kit.graphics(4, UInt8(plane))
      #expect(kit.peek(0xA0007) == UInt8(plane + 1))
    }
  }

  @Test func readMode1ComparesColours() {
    setPlanes(0, [0b1100, 0b1010, 0, 0xFF])
    kit.graphics(5, 8)
    kit.graphics(2, 0b0011)
    kit.graphics(7, 0b0111)
    #expect(kit.peek(0xA0000) == 0b1000)
    kit.graphics(7, 0)
    #expect(kit.peek(0xA0000) == 0xFF)
  }

  @Test func chain4SpreadsBytesOverPlanes() {
    kit.adapter.loadRegisters(Modes.mode13)
    kit.sequencer(2, 0b0111)
    for index in 0..<8 { kit.poke(0xA0000 + UInt64(index), UInt8(index + 1)) }
    #expect(planes(0) == [1, 2, 3, 0])
    #expect(planes(1) == [5, 6, 7, 0])
    #expect((0..<4).map { kit.peek(0xA0004 + UInt64($0)) } == [5, 6, 7, 0])
  }

  @Test func oddEvenPairsPlanes() {
    kit.adapter.loadRegisters(Modes.text)
    kit.sequencer(2, 0x0F)
    kit.poke(0xB8006, 0x41)
    kit.poke(0xB8007, 0x1E)
    #expect(planes(6) == [0x41, 0x1E, 0x41, 0x1E])
    #expect(kit.peek(0xB8006) == 0x41)
    #expect(kit.peek(0xB8007) == 0x1E)
  }

  @Test func memoryOutsideTheWindowIsOpenBus() {
    kit.poke(0xB8000, 0x55)
    #expect(kit.peek(0xB8000) == 0xFF)
    kit.adapter.setRegister(.misc, to: 0xE1)
    kit.poke(0xA0000, 0x55)
    #expect(kit.peek(0xA0000) == 0xFF)
    #expect(planes(0) == [0, 0, 0, 0])
  }

  @Test func planeCopiesMayOverlap() {
    for offset in 0..<8 { setPlanes(offset, [UInt8(offset), 0, 0, UInt8(offset)]) }
    kit.adapter.copyPlanes(from: 0, to: 2, count: 6)
    #expect((0..<8).map { kit.adapter.readPlane(3, offset: $0) } == [0, 1, 0, 1, 2, 3, 4, 5])
    kit.adapter.copyPlanes(from: 2, to: 0, count: 6)
    #expect((0..<8).map { kit.adapter.readPlane(0, offset: $0) } == [0, 1, 2, 3, 4, 5, 4, 5])
    kit.adapter.fillPlanes(offset: 1, count: 2, color: 0b1010)
    #expect(planes(1) == [0, 0xFF, 0, 0xFF])
    #expect(planes(3)[0] == 3)
  }

  /// Blocks leave what single accesses leave, whatever the registers say.
  @Test func blocksDoWhatSingleAccessesDo() throws {
    let twin = try AdapterKit()
    twin.adapter.loadRegisters(Modes.mode12)
    twin.adapter.clearMemory()
    var dice = Dice(state: 99)
    for round in 0..<300 {
      let registers = (0..<9).map { _ in UInt8(truncatingIfNeeded: dice.next()) }
      let (mask, mode) = (UInt8(dice.next() & 15), [6, 6, 6, 2, 14][round % 5] as UInt8)
      for kit in [kit, twin] {
        for index in 0..<9 where index != 6 { kit.graphics(UInt8(index), registers[index]) }
        kit.graphics(6, registers[6] & 0xE | 1)
        kit.sequencer(2, mask)
        kit.sequencer(4, mode)
      }
      let width = AccessWidth.allCases[Int(dice.next() % 4)]
      let count = Int(dice.next() % 60) + 1
      let (from, to) = (dice.next() % 0x20000, dice.next() % 0x20000)
      let value = dice.next() & width.mask
      if dice.next() & 1 == 0 {
        kit.adapter.fillMemory(to, width: width, value: value, count: count)
        for index in 0..<UInt64(count) {
          let place = to + index * UInt64(width.bytes)
          twin.adapter.writeMemory(place, width: width, value: value)
        }
      } else {
        kit.adapter.copyMemory(from: from, to: to, width: width, count: count)
        for index in 0..<UInt64(count) {
          let distance = index * UInt64(width.bytes)
          let value = twin.adapter.readMemory(from + distance, width: width)
          twin.adapter.writeMemory(to + distance, width: width, value: value)
        }
      }
    }
    for plane in 0..<4 {
      let bytes = [kit, twin].map { kit in
        (0..<0x20000).map { kit.adapter.readPlane(plane, offset: $0) }
      }
      #expect(bytes[0] == bytes[1])
      #expect(bytes[0].contains { $0 != 0 })
    }
  }
}

private struct Dice {
  var state: UInt64
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
