import BIOS
import KVMEngine
import Testing

@testable import Machine

@Suite struct FirmwareTests {
  @Test func slotIsFoundAtTheTrapAndBehindIt() throws {
    let firmware = try FirmwareFixture().firmware
    let base = UInt16(BIOS_TRAP_SLOTS)
    let size = UInt16(BIOS_TRAP_SLOT_SIZE)
    #expect(firmware.slot(forIP: base + 0x13 * size) == 0x13)
    #expect(firmware.slot(forIP: base + 0x13 * size + 2) == 0x13)
    #expect(firmware.slot(forIP: base + 0x13 * size + 1) == nil)
    #expect(firmware.slot(forIP: base + 0xFF * size) == 0xFF)
    #expect(firmware.slot(forIP: base - 1) == nil)
    #expect(firmware.slot(forIP: 0xFFFF) == nil)
  }

  @Test func videoAndDiskGetTheirInterrupts() throws {
    let fixture = try FirmwareFixture()
    #expect(fixture.call(0x10).call.ax == 0x1010)
    #expect(fixture.call(0x13).call.ax == 0x1313)
    #expect(fixture.call(0x40).call.ax == 0x1313)
  }

  @Test func slotWithoutAServiceChangesNothing() throws {
    let result = try FirmwareFixture().call(0x99) { $0.ax = 0x9999 }
    #expect(result.outcome == .done && result.call.ax == 0x9999)
  }
}

@Suite struct POSTTests {
  private func vector(_ fixture: FirmwareFixture, _ number: UInt64) -> UInt32 {
    fixture.space.load(number * 4, as: UInt32.self)
  }

  @Test func vectorsPointWherePCsHaveThem() throws {
    let fixture = try FirmwareFixture()
    let expected: [(UInt64, UInt32)] = [
      (0x00, 0xF000_FF53), (0x02, 0xF000_E2C3), (0x05, 0xF000_FF54), (0x08, 0xF000_FEA5),
      (0x09, 0xF000_E987), (0x0E, 0xF000_EF57), (0x10, 0xF000_F065), (0x11, 0xF000_F84D),
      (0x12, 0xF000_F841), (0x13, 0xF000_E3FE), (0x14, 0xF000_E739), (0x15, 0xF000_F859),
      (0x16, 0xF000_E82E), (0x17, 0xF000_EFD2), (0x19, 0xF000_E6F2), (0x1A, 0xF000_FE6E),
      (0x1B, 0xF000_FF53), (0x1C, 0xF000_FF53), (0x1D, 0xF000_F0A4), (0x1E, 0xF000_EFC7),
      (0x40, 0xF000_EC59), (0x42, 0xF000_F065), (0x4A, 0xF000_FF53), (0x60, 0), (0x67, 0),
      (0x78, 0), (0xFF, 0),
    ]
    for (number, address) in expected { #expect(vector(fixture, number) == address) }
    for number in UInt64(0x70)...0x77 { #expect(vector(fixture, number) >> 16 == 0xF000) }
  }

  @Test func dataAreaDescribesTheMachine() throws {
    let drives = DriveInventory(
      floppyTypes: [4],
      hardDisks: [DriveGeometry(cylinders: 1023, heads: 16, sectorsPerTrack: 63)])
    let fixture = try FirmwareFixture(disk: DiskDouble(drives: drives))
    let data = fixture.data
    #expect(data.word(0x00) == 0x3F8)
    #expect(data.word(0x02) == 0)
    #expect(data.word(0x0E) == 0x9FC0)
    #expect(data.word(0x13) == 639)
    // One floppy drive, coprocessor, pointing device, 80x25 colour, one serial port.
    #expect(data.word(0x10) == 0x0227)
    #expect(data.word(0x1A) == 0x1E && data.word(0x1C) == 0x1E)
    #expect(data.word(0x80) == 0x1E && data.word(0x82) == 0x3E)
    #expect(data.byte(0x75) == 1)
    #expect(data.byte(0x96) == 0x10)
    #expect(fixture.space.load(0x9FC00, as: UInt8.self) == 1)
    #expect(vector(fixture, 0x41) == 0x9FC0_003D)
    #expect(vector(fixture, 0x46) == 0)
    #expect(fixture.space.load(0x9FC3D, as: UInt16.self) == 1023)
    #expect(fixture.space.load(0x9FC3F, as: UInt8.self) == 16)
    #expect(fixture.space.load(0x9FC3D + 14, as: UInt8.self) == 63)
    #expect(fixture.call(0x11).call.ax == 0x0227)
    #expect(fixture.call(0x12).call.ax == 639)
  }

  @Test func tickCountStartsFromTheClock() throws {
    let fixture = try FirmwareFixture(post: false)
    fixture.ports.state.withLock {
      $0.cmos[4] = 0x12
      $0.cmos[2] = 0x30
    }
    fixture.call(0xF0)
    #expect(fixture.data.dword(0x6C) == UInt32(UInt64(12 * 3600 + 30 * 60) * 1_193_182 / 65_536))
  }

  @Test func interruptControllersStartAt08And70() throws {
    let fixture = try FirmwareFixture()
    #expect(fixture.ports.writes(to: 0x20).first == 0x11)
    #expect(fixture.ports.writes(to: 0x21) == [0x08, 0x04, 0x01, 0xB8])
    #expect(fixture.ports.writes(to: 0xA1) == [0x70, 0x02, 0x01, 0x8F])
    #expect(fixture.ports.writes(to: 0x40) == [0, 0])
    #expect(fixture.ports.state.withLock { $0.commandByte } == 0x65)
  }

  @Test func settingsMemoryHasItsChecksum() throws {
    let fixture = try FirmwareFixture(
      disk: DiskDouble(drives: DriveInventory(floppyTypes: [4, 3])))
    let cmos = fixture.ports.state.withLock { $0.cmos }
    #expect(cmos[0x10] == 0x43)
    #expect(UInt16(cmos[0x15]) | UInt16(cmos[0x16]) << 8 == 639)
    #expect(UInt16(cmos[0x30]) | UInt16(cmos[0x31]) << 8 == 17 * 1024)
    #expect(UInt16(cmos[0x34]) | UInt16(cmos[0x35]) << 8 == 2 * 16)
    let sum = cmos[0x10...0x2D].reduce(UInt16(0)) { $0 + UInt16($1) }
    #expect(UInt16(cmos[0x2E]) << 8 | UInt16(cmos[0x2F]) == sum)
  }

  @Test(arguments: [UInt8(0x05), 0x0A])
  func resetFromProtectedModeKeepsMemory(code: UInt8) throws {
    let fixture = try FirmwareFixture()
    fixture.data.set(0x10, word: 0xABCD)
    fixture.ports.state.withLock { $0.cmos[0x0F] = code }
    let result = fixture.call(0xF0)
    #expect(result.call.ax == UInt16(BIOS_POST_RESUME))
    #expect(fixture.data.word(0x10) == 0xABCD)
    #expect(fixture.ports.state.withLock { $0.cmos[0x0F] } == 0)
  }

  @Test func machineWithoutAKeyboardControllerStarts() throws {
    let fixture = try FirmwareFixture(post: false)
    fixture.ports.state.withLock { $0.hasController = false }
    #expect(fixture.call(0xF0).call.ax == UInt16(BIOS_POST_BOOT))
    #expect(fixture.data.word(0x10) & 0x0004 == 0)
  }
}
