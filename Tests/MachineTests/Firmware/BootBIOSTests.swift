import KVMEngine
import Testing

@testable import Machine

@Suite struct BootBIOSTests {
  private let boot: UInt8 = 0xF3
  private let next: UInt8 = 0xF4

  private func text(_ fixture: FirmwareFixture) -> String {
    let bytes = fixture.space.bytes(at: 0x7C00, count: 2048)
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  @Test func firstDeviceThatBootsIsEntered() throws {
    let disk = DiskDouble([
      .hardDisk: .loaded(drive: 0x80, segment: 0, offset: 0x7C00),
      .cdrom: .loaded(drive: 0xE0, segment: 0x07C0, offset: 0),
    ])
    let fixture = try FirmwareFixture(disk: disk)
    let first = fixture.call(boot).call
    #expect(first.ax == 0 && first.bx == 0 && first.cx == 0x7C00 && first.dx == 0x80)
    let second = fixture.call(next).call
    #expect(second.ax == 0 && second.bx == 0x07C0 && second.cx == 0 && second.dx == 0xE0)
    let third = fixture.call(next).call
    #expect(third.ax == 1 && third.si == 0x7C00)
    #expect(text(fixture).contains("Hard disk: its boot code found nothing to start.\r\n"))
    #expect(fixture.call(boot).call.dx == 0x80)
  }

  @Test func placeInTheBootOrderIsSaved() throws {
    let disk = DiskDouble([
      .hardDisk: .loaded(drive: 0x80, segment: 0, offset: 0x7C00),
      .cdrom: .loaded(drive: 0xE0, segment: 0x07C0, offset: 0),
    ])
    let fixture = try FirmwareFixture(disk: disk)
    #expect(fixture.call(boot).call.dx == 0x80)
    let bios = try #require(fixture.firmware.devices.first as? BootBIOS)
    var state = bios.save()
    bios.reset()
    #expect(bios.save() != state)
    try bios.restore(state)
    #expect(fixture.call(next).call.dx == 0xE0)
    state.next = 100
    #expect(throws: RestoreError.self) { try bios.restore(state) }
  }

  @Test func screenSaysWhatWasTriedAndWhy() throws {
    let disk = DiskDouble([.hardDisk: .failed("Hard disk (höhle.img): no boot signature.")])
    let fixture = try FirmwareFixture(disk: disk)
    #expect(fixture.call(boot).call.ax == 1)
    #expect(
      text(fixture) == """
        No bootable medium.\r
        \r
          floppy: no medium.\r
          Hard disk (h?hle.img): no boot signature.\r
          cdrom: no medium.\r
        \r
        Press a key to try again.\r

        """)
  }

  @Test func longAndManyLinesAreCut() {
    let bytes = BootBIOS.text([String](repeating: String(repeating: "x", count: 500), count: 200))
    #expect(bytes.count < 2200 && bytes.last == 0)
    #expect(String(decoding: bytes, as: UTF8.self).hasSuffix("try again.\r\n\0"))
  }

  // MARK: The menu

  private let menuKey: UInt8 = 0xF6

  private func bootable() -> DiskDouble {
    DiskDouble([
      .hardDisk: .loaded(drive: 0x80, segment: 0, offset: 0x7C00),
      .cdrom: .loaded(drive: 0xE0, segment: 0x07C0, offset: 0),
    ])
  }

  private func screen(_ fixture: FirmwareFixture, row: Int) -> (text: String, attribute: UInt8) {
    let cells = fixture.space.bytes(at: UInt64(0xB8000 + row * 160 + 24), count: 112)
    let text = stride(from: 0, to: cells.count, by: 2).map { cells[$0] }
    return (String(decoding: text, as: UTF8.self), cells[1])
  }

  private func key(_ fixture: FirmwareFixture, _ code: UInt16) -> FirmwareCall {
    fixture.call(menuKey) { $0.ax = code }.call
  }

  @Test func theMenuListsWhatThereIsAndBootsWhatIsChosen() throws {
    var configuration = FirmwareConfiguration(ramBelow4G: 18 << 20)
    configuration.hasBootMenu = true
    let fixture = try FirmwareFixture(disk: bootable(), configuration: configuration)
    let text = try MemoryBlock(name: "text", size: 0x8000)
    try fixture.space.map(text, size: 0x8000, at: 0xB8000)
    #expect(fixture.call(boot).call.ax == 2)
    #expect(screen(fixture, row: 10).text.contains("1  a hardDisk"))
    #expect(screen(fixture, row: 11).text.contains("2  a cdrom"))
    #expect(
      screen(fixture, row: 10).attribute == 0x70 && screen(fixture, row: 11).attribute == 0x1F)
    #expect(key(fixture, 0x50E0).ax == 2)
    #expect(screen(fixture, row: 11).attribute == 0x70)
    #expect(key(fixture, 0x50E0).ax == 2, "down from the last line is the first")
    #expect(key(fixture, 0x4800).ax == 2, "and up again")
    let entered = key(fixture, 0x1C0D)
    #expect(entered.ax == 0 && entered.dx == 0xE0)
    #expect(fixture.call(next).call.dx == 0x80, "then the boot order")
  }

  @Test func f12ShowsTheMenuOnceAndEscapeLeavesIt() throws {
    let fixture = try FirmwareFixture(disk: bootable())
    #expect(fixture.call(boot).call.dx == 0x80)
    #expect(fixture.data.storeKeystroke(0x8600))
    #expect(fixture.call(boot).call.ax == 2)
    let left = key(fixture, 0x011B)
    #expect(left.ax == 0 && left.dx == 0x80)
    fixture.firmware.requestBootMenu()
    #expect(fixture.call(boot).call.ax == 2)
    #expect(key(fixture, 0x0332).dx == 0xE0, "a digit boots its line")
    #expect(fixture.call(boot).call.dx == 0x80)
  }

  @Test func aMenuWithoutDrivesIsLeftByAnyChoice() throws {
    let fixture = try FirmwareFixture()
    fixture.firmware.requestBootMenu()
    #expect(fixture.call(boot).call.ax == 2)
    #expect(key(fixture, 0x50E0).ax == 2 && key(fixture, 0x0231).ax == 2)
    #expect(key(fixture, 0x1C0D).ax == 1)
  }
}
