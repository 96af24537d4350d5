import KVMEngine
import Testing

@Suite struct ParavirtualClockTests {
  /// Counts a second of processors slow and fast.
  @Test(arguments: [
    3_579_545, 14_318_180, 1_000_000_000, 1_193_182_000, 2_445_404_221, 5_700_000_000,
  ])
  func aSecondOfCountsIsASecond(frequency: UInt64) {
    let scale = ParavirtualClock.Scale(frequency: frequency)
    let second = scale.nanoseconds(frequency)
    #expect(second <= 1_000_000_000 && second >= 999_999_997)
    // A year of counts, too.
    let year = scale.nanoseconds(frequency &* 31_536_000)
    #expect(year / 1_000_000 <= 31_536_000_100 && year / 1_000_000 >= 31_535_999_900)
  }

  @Test func aCounterOfAnySpeedHasAScale() {
    for frequency: UInt64 in [0, 1, .max] {
      #expect(ParavirtualClock.Scale(frequency: frequency).multiplier != 0)
    }
  }

  @Test func theClockGoesOnThroughItsAnchors() {
    let scale = ParavirtualClock.Scale(frequency: 2_500_000_000)
    let first = ParavirtualClock.Anchor(count: 5_000_000_000, nanoseconds: 7)
    let later = first.moved(to: 7_500_000_000, scale)
    #expect(later.nanoseconds >= 1_000_000_005 && later.nanoseconds <= 1_000_000_007)
    let earlier = later.moved(to: 5_000_000_000, scale)
    #expect(earlier.nanoseconds >= 7 && earlier.nanoseconds <= 9)
  }

  @Test func thePageIsLaidOutAsGuestsReadIt() {
    let scale = ParavirtualClock.Scale(frequency: 2_500_000_000)
    let page = ParavirtualClock.timeInformation(
      ParavirtualClock.Anchor(count: 0x0102_0304_0506_0708, nanoseconds: 9), scale)
    #expect(page.count == 28)
    #expect(Array(page[4..<20]) == [8, 7, 6, 5, 4, 3, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0])
    // 2.5 GHz halved: 0.8 of 2^32.
    #expect(Array(page[20..<24]) == [0xCC, 0xCC, 0xCC, 0xCC])
    #expect(Array(page[24..<28]) == [0xFF, 1, 0, 0])
    #expect(ParavirtualClock.wallClock(5_000_000_003) == [5, 0, 0, 0, 3, 0, 0, 0])
  }

  @Test func theVersionIsEvenAndNewAfterEachChange() throws {
    let ram = try MemoryBlock(name: "ram", size: 4096)
    let space = AddressSpace(bus: MemoryBus(), slots: UnmappedSlots())
    try space.map(ram, size: 4096, at: 0)
    for change in UInt32(1)...3 {
      ParavirtualClock.write([1, 2, 3, 4], at: 0x100, of: space)
      #expect(space.load(0x100, as: UInt32.self) == change * 2)
      #expect(space.load(0x104, as: UInt32.self) == 0x0403_0201)
    }
  }
}
