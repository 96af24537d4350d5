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
}
