import Display
import Testing

@testable import Machine

@Suite struct VideoModeTests {
  @Test(arguments: [true, false])
  func startsWithAnEmptyScreenInMode3(byPowerOn: Bool) throws {
    let rig = try VideoRig(powerOn: byPowerOn)
    // POST may also just set a mode with the data area all zeroes.
    if !byPowerOn { rig.call(0x0003) }
    #expect(rig.byte(0x449) == 3)
    #expect(rig.word(0x44A) == 80)
    #expect(rig.word(0x44C) == 0x1000)
    #expect(rig.word(0x44E) == 0)
    #expect(rig.word(0x460) == 0x0607)
    #expect(rig.byte(0x462) == 0)
    #expect(rig.word(0x463) == 0x3D4)
    #expect(rig.byte(0x465) == 0x29)
    #expect(rig.byte(0x466) == 0x30)
    #expect(rig.byte(0x484) == 24)
    #expect(rig.word(0x485) == 16)
    #expect(rig.byte(0x487) == 0x60)
    #expect(rig.byte(0x488) == 0xF9)
    #expect(rig.byte(0x489) == 0x11)
    #expect(rig.dword(0x4A8) >> 16 == 0xF000)
    #expect(rig.dword(0x7C) == 0xF000_0000 | UInt32(VideoROM.layout.font_8x8_high))
    #expect(rig.cell(0, 0) == [0x20, 0x07])
    #expect(rig.cell(24, 79) == [0x20, 0x07])
    #expect(rig.adapter.capture().size == FrameSize(width: 720, height: 400))
  }

  @Test(arguments: [
    (0x00, 40, 0x0800, 24, 16, 0x3D4), (0x01, 40, 0x0800, 24, 16, 0x3D4),
    (0x02, 80, 0x1000, 24, 16, 0x3D4), (0x04, 40, 0x4000, 24, 8, 0x3D4),
    (0x05, 40, 0x4000, 24, 8, 0x3D4), (0x06, 80, 0x4000, 24, 8, 0x3D4),
    (0x07, 80, 0x1000, 24, 16, 0x3B4), (0x0D, 40, 0x2000, 24, 8, 0x3D4),
    (0x0E, 80, 0x4000, 24, 8, 0x3D4), (0x0F, 80, 0x8000, 24, 14, 0x3B4),
    (0x10, 80, 0x8000, 24, 14, 0x3D4), (0x11, 80, 0xA000, 29, 16, 0x3D4),
    (0x12, 80, 0xA000, 29, 16, 0x3D4), (0x13, 40, 0x2000, 24, 8, 0x3D4),
  ])
  func setsTheDataArea(
    mode: UInt16, columns: UInt16, pageSize: UInt16, lastRow: UInt8, height: UInt16, port: UInt16
  ) throws {
    let rig = try VideoRig()
    rig.call(mode)
    #expect(rig.byte(0x449) == UInt8(mode))
    #expect(rig.word(0x44A) == columns)
    #expect(rig.word(0x44C) == pageSize)
    #expect(rig.byte(0x484) == lastRow)
    #expect(rig.word(0x485) == height)
    #expect(rig.word(0x463) == port)
    let answer = rig.call(0x0F00)
    #expect(answer.al == UInt8(mode))
    #expect(answer.ah == UInt8(columns))
    #expect(answer.bh == 0)
  }

  @Test(arguments: [
    (0x01, 360, 400), (0x03, 720, 400), (0x04, 320, 200), (0x06, 640, 200), (0x07, 720, 400),
    (0x0D, 320, 200), (0x0E, 640, 200), (0x0F, 640, 350), (0x10, 640, 350), (0x11, 640, 480),
    (0x12, 640, 480), (0x13, 320, 200),
  ])
  func picturesHaveTheModesProportions(mode: UInt16, width: Int, height: Int) throws {
    let rig = try VideoRig()
    rig.call(mode)
    let size = rig.adapter.capture().size
    // The adapter may show lines and columns of low modes doubled.
    #expect(size.width == width || size.width == width * 2)
    #expect(size.height == height || size.height == height * 2)
  }

  @Test func answersTheModeFlagInAL() throws {
    let rig = try VideoRig()
    #expect(rig.call(0x0003).al == 0x30)
    #expect(rig.call(0x0006).al == 0x3F)
    #expect(rig.call(0x0012).al == 0x20)
  }

  @Test func ignoresAModeThatDoesNotExist() throws {
    let rig = try VideoRig()
    rig.type("kept")
    let answer = rig.call(0x0055)
    #expect(answer.al == 0x55)
    #expect(rig.byte(0x449) == 3)
    #expect(rig.row(0) == "kept")
  }

  @Test func bit7KeepsTheMemory() throws {
    let rig = try VideoRig()
    rig.type("kept")
    rig.call(0x0083)
    #expect(rig.row(0) == "kept")
    #expect(rig.byte(0x449) == 3)
    #expect(rig.byte(0x487) == 0xE0)
    #expect(rig.call(0x0F00).al == 0x83)
    rig.call(0x0003)
    #expect(rig.row(0) == "")
    #expect(rig.byte(0x487) == 0x60)
  }

  @Test(arguments: [(0, 200, 8, 0x63), (1, 350, 14, 0xA3), (2, 400, 16, 0x67)])
  func textHasTheLinesThatWereChosen(
    choice: UInt16, lines: Int, height: UInt16, misc: UInt8
  ) throws {
    let rig = try VideoRig()
    #expect(rig.call(0x1200 | choice, bx: 0x30).al == 0x12)
    rig.call(0x0003)
    #expect(rig.word(0x485) == height)
    #expect(rig.byte(0x484) == 24)
    #expect(rig.adapter.register(.misc) == misc)
    let size = rig.adapter.capture().size
    #expect(size.height == lines || size.height == lines * 2)
  }

  @Test func pagesHaveTheirOwnCursorAndText() throws {
    let rig = try VideoRig()
    rig.call(0x0200, bx: 0x0200, dx: 0x0304)
    #expect(rig.cursor(2) == [3, 4])
    #expect(rig.cursor(0) == [0, 0])
    rig.call(0x0502)
    #expect(rig.byte(0x462) == 2)
    #expect(rig.word(0x44E) == 0x2000)
    #expect(rig.adapter.register(.crtc(0x0C)) == 0x10)
    #expect(rig.adapter.register(.crtc(0x0D)) == 0)
    // The hardware's cursor counts cells: page 2 starts at 1000h.
    let cell =
      UInt16(rig.adapter.register(.crtc(0x0E))) << 8
      | UInt16(rig.adapter.register(.crtc(0x0F)))
    #expect(cell == 0x1000 + 3 * 80 + 4)
    rig.type("x")
    #expect(rig.adapter.readText(offset: 0x2000 + (3 * 80 + 4) * 2, count: 1) == [0x78])
    #expect(rig.row(0) == "")
    rig.call(0x0509)
    #expect(rig.byte(0x462) == 2)
  }

  @Test func reportsAndScalesTheCursorsShape() throws {
    let rig = try VideoRig()
    #expect(rig.adapter.register(.crtc(0x0A)) == 13)
    #expect(rig.adapter.register(.crtc(0x0B)) == 14)
    rig.call(0x0100, cx: 0x0007)
    #expect(rig.adapter.register(.crtc(0x0A)) == 0)
    #expect(rig.adapter.register(.crtc(0x0B)) == 15)
    rig.call(0x0100, cx: 0x2000)
    #expect(rig.adapter.register(.crtc(0x0A)) & 0x20 != 0)
    rig.call(0x0100, cx: 0x0607)
    rig.call(0x0200, dx: 0x0A0B)
    let answer = rig.call(0x0300)
    #expect(answer.cx == 0x0607)
    #expect(answer.dx == 0x0A0B)
    rig.call(0x1201, bx: 0x34)
    rig.call(0x0100, cx: 0x0507)
    #expect(rig.adapter.register(.crtc(0x0A)) == 5)
    #expect(rig.adapter.register(.crtc(0x0B)) == 7)
  }

  @Test func mode13HasItsPalette() throws {
    let rig = try VideoRig()
    rig.call(0x0013)
    let colors = rig.adapter.readPalette(first: 0, count: 256)
    #expect(colors[4] == (0x2A, 0, 0))
    #expect(colors[6] == (0x2A, 0x15, 0))
    #expect(colors[15] == (0x3F, 0x3F, 0x3F))
    #expect(colors[16] == (0, 0, 0))
    #expect(colors[31] == (0x3F, 0x3F, 0x3F))
    #expect(colors[32] == (0, 0, 0x3F))
    #expect(colors[40] == (0x3F, 0, 0))
    #expect(colors[48] == (0, 0x3F, 0))
    #expect(colors[55] == (0, 0x10, 0x3F))
    #expect(colors[255] == (0, 0, 0))
  }

  @Test func showsTheFirmwaresMessage() throws {
    let rig = try VideoRig()
    rig.call(0x0013)
    rig.bios.showMessage(["No medium to boot from.", "é", String(repeating: "a", count: 81)])
    #expect(rig.byte(0x449) == 3)
    #expect(rig.row(0) == "No medium to boot from.")
    #expect(rig.row(1) == "?")
    #expect(rig.row(3) == "a")
    #expect(rig.cursor() == [4, 0])
  }
}
