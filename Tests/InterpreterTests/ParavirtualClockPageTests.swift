import Glibc
import KVMEngine
import Testing

@testable import Interpreter

/// KVM's clock in software, read as a guest reads it.
@Suite struct ParavirtualClockPageTests {
  private static let page: UInt64 = 0x5000

  private func makeRig() throws -> Rig {
    let rig = try Rig()
    #expect(rig.processor.cpu.setModelRegister(ParavirtualClock.systemTimeRegister, Self.page | 1))
    return rig
  }

  /// Nanoseconds by the page and the guest's counter.
  private func time(_ rig: Rig) -> UInt64 {
    let space = rig.space
    let shift = Int8(bitPattern: space.load(Self.page + 28, as: UInt8.self))
    let count =
      rig.processor.timestampCounter.read() &- space.load(Self.page + 8, as: UInt64.self)
    let shifted = shift < 0 ? count >> UInt64(-shift) : count << UInt64(shift)
    let multiplier = UInt64(space.load(Self.page + 24, as: UInt32.self))
    let (high, low) = shifted.multipliedFullWidth(by: multiplier)
    return space.load(Self.page + 16, as: UInt64.self) &+ (high << 32 | low >> 32)
  }

  /// Whether `guest` nanoseconds are `host` ones but for what a busy host takes to look.
  private func agree(_ guest: UInt64, _ host: UInt64) -> Bool {
    max(guest, host) - min(guest, host) < 500_000_000
  }

  @Test func theClockRunsWithTheHosts() throws {
    let rig = try makeRig()
    let (guest, host) = (time(rig), Monitor.monotonic())
    usleep(2_000_000)
    #expect(agree(time(rig) &- guest, Monitor.monotonic() - host))
    #expect(rig.space.load(Self.page, as: UInt32.self) & 1 == 0)
    #expect(rig.space.load(Self.page + 29, as: UInt8.self) == 1)
  }

  @Test func aGuestThatSetsItsCounterDoesNotMoveTheClock() throws {
    let rig = try makeRig()
    let before = time(rig)
    for value: UInt64 in [0, 1 << 40, 12345] {
      #expect(rig.processor.cpu.setModelRegister(0x10, value))
      #expect(agree(time(rig) &- before, 0))
    }
    #expect(rig.processor.cpu.setModelRegister(0x3B, 1 << 50))
    #expect(agree(time(rig) &- before, 0))
  }

  @Test func theClockGoesOnInAnotherProcessor() throws {
    let rig = try makeRig()
    #expect(rig.processor.cpu.setModelRegister(0x10, 777))
    let before = time(rig)
    let state = rig.processor.state(now: 0)
    let other = try Rig()
    try other.processor.setState(state, now: 0)
    #expect(agree(time(other) &- before, 0))
    #expect(
      other.processor.cpu.modelRegister(ParavirtualClock.systemTimeRegister) == Self.page | 1)
  }

  @Test func theClockGoesOnWhereTheCounterIsAlwaysTheHosts() throws {
    let rig = try makeRig()
    #expect(rig.processor.cpu.setModelRegister(0x3B, 1 << 50))
    let before = time(rig)
    let other = try Rig()
    try other.processor.setState(rig.processor.state(now: 0).counted(from: 0), now: 0)
    #expect(agree(time(other) &- before, 0))
  }

  @Test func theTimeOfDayIsTheHosts() throws {
    let rig = try makeRig()
    #expect(rig.processor.cpu.setModelRegister(ParavirtualClock.wallClockRegister, 0x6000))
    let zero =
      UInt64(rig.space.load(0x6004, as: UInt32.self)) * 1_000_000_000
      + UInt64(rig.space.load(0x6008, as: UInt32.self))
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    #expect(
      agree(
        zero &+ time(rig), UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)))
  }

  @Test func aPageThatIsNotThereHarmsNobody() throws {
    let rig = try Rig()
    for address: UInt64 in [.max, 0xFFFF_FFFF_FFFF_FFF1, 0xFEE0_0001, 0x7FFF_FFFF_FFFF] {
      #expect(rig.processor.cpu.setModelRegister(ParavirtualClock.systemTimeRegister, address))
      #expect(rig.processor.cpu.setModelRegister(ParavirtualClock.wallClockRegister, address))
    }
    #expect(rig.processor.cpu.setModelRegister(ParavirtualClock.systemTimeRegister, 0))
  }

  @Test func cpuidTellsOfTheClock() {
    let name = HostCPUID.result(0x4000_0100, 0)
    #expect(name.ebx == 0x4B4D_564B && name.ecx == 0x564B_4D56 && name.edx == 0x4D)
    #expect(HostCPUID.result(0x4000_0101, 0).eax == 1 << 1 | 1 << 3 | 1 << 24)
    #expect(HostCPUID.result(0x4000_0000, 0).eax == 0x4000_0101)
  }
}
