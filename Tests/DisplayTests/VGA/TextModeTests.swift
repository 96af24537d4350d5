import DeviceTestKit
import Display
import KVMEngine
import Testing

@Suite struct TextModeTests {
  let kit: AdapterKit
  /// Attribute 07h: colour 7 on colour 0.
  let light = AdapterKit.gray(7)

  init() throws {
    kit = try AdapterKit()
    kit.setTextMode()
    // No cursor unless a test wants one.
    kit.crtc(0x0A, 0x20)
  }

  /// Line `line` of the cell at (column, row) as bits, leftmost highest, of `width` pixels.
  private func line(_ column: Int, _ row: Int, _ line: Int, width: Int = 9) -> [UInt32] {
    (0..<width).map { kit.pixel(column * width + $0, row * 16 + line) }
  }

  private func bits(_ pattern: Int, _ on: UInt32, _ off: UInt32, width: Int = 9) -> [UInt32] {
    (0..<width).map { pattern >> (width - 1 - $0) & 1 != 0 ? on : off }
  }

  @Test func aTextScreenIs720By400() {
    #expect(kit.update().resized)
    #expect(kit.frame.size == FrameSize(width: 720, height: 400))
  }

  @Test func charactersWrittenByTheGuestAppearAsGlyphs() {
    kit.poke(0xB8000 + 2 * 81, 0x41)
    kit.poke(0xB8000 + 2 * 81 + 1, 0x1E)
    kit.update()
    for n in 0..<16 {
      #expect(line(1, 1, n) == bits((0x41 ^ n) << 1, AdapterKit.gray(14), AdapterKit.gray(1)))
    }
    #expect(line(0, 1, 1) == bits(0, 0, 0))
  }

  @Test func lineGraphicsRepeatTheEighthColumn() {
    kit.adapter.writeText(offset: 0, bytes: [0xC1, 0x07, 0xE1, 0x07])
    kit.update()
    #expect(line(0, 0, 0) == bits(0xC1 << 1 | 1, light, 0))
    #expect(line(1, 0, 0) == bits(0xE1 << 1, light, 0))
    kit.attribute(0x10, 0x08)
    kit.update()
    #expect(line(0, 0, 0) == bits(0xC1 << 1, light, 0))
  }

  @Test func eightDotCellsMakeA640PixelScreen() {
    kit.adapter.writeText(offset: 2, bytes: [0x41, 0x07])
    kit.sequencer(1, 1)
    kit.attribute(0x13, 0)
    kit.update()
    #expect(kit.frame.size == FrameSize(width: 640, height: 400))
    #expect(line(1, 0, 2, width: 8) == bits(0x43, light, 0, width: 8))
  }

  @Test func onlyTheChangedCellIsDamaged() {
    kit.update()
    #expect(kit.update().damage == [])
    kit.poke(0xB8000 + 2 * (80 * 3 + 10), 0x42)
    #expect(kit.update().damage == [FrameRect(x: 90, y: 48, width: 9, height: 16)])
    #expect(kit.update().damage == [])
    // The same character again changes nothing.
    kit.poke(0xB8000 + 2 * (80 * 3 + 10), 0x42)
    #expect(kit.update().damage == [])
  }

  @Test func aColumnOfCellsIsOneRectangle() {
    kit.update()
    for row in 5..<9 { kit.poke(0xB8000 + UInt64(2 * (80 * row + 79)), 0x42) }
    #expect(kit.update().damage == [FrameRect(x: 711, y: 80, width: 9, height: 64)])
  }

  @Test func damageIsAtMost50Rectangles() {
    kit.update()
    for cell in stride(from: 0, to: 2000, by: 3) { kit.poke(0xB8000 + UInt64(2 * cell), 0x42) }
    let damage = kit.update().damage
    #expect(!damage.isEmpty && damage.count <= 200)
  }

  @Test func theCursorBlinks() {
    kit.crtc(0x0A, 0x0D)
    kit.crtc(0x0F, 5)
    let first = kit.update()
    #expect(line(5, 0, 13) == bits(0x1FF, light, 0))
    #expect(line(5, 0, 12) == bits(0, 0, 0))
    #expect(first.nextChange == 228_571_428)
    kit.clock.advance(228_571_428)
    let second = kit.update()
    #expect(second.damage == [FrameRect(x: 45, y: 0, width: 9, height: 16)])
    #expect(line(5, 0, 13) == bits(0, 0, 0))
    kit.clock.advance(100_000_000)
    #expect(kit.update().damage == [])
    kit.clock.advance(128_571_428)
    #expect(kit.update().damage.count == 1)
    #expect(line(5, 0, 13) == bits(0x1FF, light, 0))
  }

  @Test func aHiddenCursorDoesNotBlink() {
    #expect(kit.update().nextChange == nil)
    kit.crtc(0x0A, 0x0F)
    kit.crtc(0x0B, 0x0E)
    #expect(kit.update().nextChange == nil)
    #expect(line(0, 0, 15) == bits(0, 0, 0))
  }

  @Test func movingTheCursorDamagesTwoCells() {
    kit.crtc(0x0A, 0x0D)
    kit.update()
    kit.adapter.setCursor(offset: 80)
    #expect(
      Set(kit.update().damage.map { [$0.x, $0.y, $0.width, $0.height] })
        == [[0, 0, 9, 32]])
    kit.adapter.setCursor(offset: 84)
    #expect(kit.update().damage.count == 2)
  }

  @Test func blinkingCharactersComeAndGo() {
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x87])
    #expect(kit.update().nextChange == 457_142_857)
    #expect(line(0, 0, 0) == bits(0x82, light, 0))
    kit.clock.advance(457_142_857)
    #expect(kit.update().damage == [FrameRect(x: 0, y: 0, width: 9, height: 16)])
    #expect(line(0, 0, 0) == bits(0, light, 0))
  }

  @Test func withoutBlinkingTheBackgroundIsBright() {
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x87])
    kit.attribute(0x10, 0x04)
    #expect(kit.update().nextChange == nil)
    #expect(line(0, 0, 0) == bits(0x82, light, AdapterKit.gray(8)))
  }

  @Test func attributeBit3ChoosesTheOtherFont() {
    kit.adapter.loadFont(map: 4, first: 0x41, height: 16, glyphs: [0x81])
    kit.sequencer(3, 0x20)
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x0F, 0x41, 0x07])
    kit.update()
    #expect(line(0, 0, 0) == bits(0x102, AdapterKit.gray(15), 0))
    #expect(line(1, 0, 0) == bits(0x82, light, 0))
  }

  @Test func fontsLoadedByTheGuestRedrawTheScreen() {
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x07, 0x42, 0x07])
    kit.update()
    kit.sequencer(2, 4)
    kit.sequencer(4, 7)
    kit.graphics(5, 0)
    kit.graphics(6, 4)
    kit.poke(0xA0000 + 0x41 * 32, 0x18)
    kit.sequencer(2, 3)
    kit.sequencer(4, 2)
    kit.graphics(5, 0x10)
    kit.graphics(6, 0x0E)
    #expect(kit.update().damage == [FrameRect(x: 0, y: 0, width: 9, height: 16)])
    #expect(line(0, 0, 0) == bits(0x30, light, 0))
    #expect(kit.peek(0xB8000) == 0x41)
  }

  @Test func underlinesAreDrawnForTheMonochromeAttribute() {
    kit.crtc(0x14, 0x0C)
    kit.adapter.writeText(offset: 0, bytes: [0, 0x01, 0, 0x07])
    kit.update()
    #expect(line(0, 0, 12) == bits(0x1FF, AdapterKit.gray(1), 0))
    #expect(line(1, 0, 12) == bits(0, light, 0))
  }

  @Test func lineCompareSplitsTheScreen() {
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x07])
    kit.adapter.writeText(offset: 2 * 160, bytes: [0x42, 0x07])
    kit.crtc(0x0D, 160)
    kit.crtc(0x11, 0x0E)
    kit.crtc(0x18, 0x1F)
    kit.crtc(7, 0x0F)
    kit.crtc(9, 0x0F)
    kit.update()
    #expect(line(0, 0, 0) == bits(0x42 << 1, light, 0))
    #expect(line(0, 2, 0) == bits(0x41 << 1, light, 0))
  }

  @Test func scrollsByLinesAndPixels() {
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x07])
    kit.adapter.writeText(offset: 160, bytes: [0x42, 0x07])
    kit.crtc(8, 3)
    kit.attribute(0x13, 1)
    kit.update()
    #expect((0..<7).map { kit.pixel($0, 0) } == Array(bits((0x41 ^ 3) << 1, light, 0)[2...]))
    #expect((0..<7).map { kit.pixel($0, 13) } == Array(bits(0x42 << 1, light, 0)[2...]))
  }

  @Test func theStartAddressScrolls() {
    kit.adapter.writeText(offset: 160, bytes: [0x42, 0x07])
    kit.crtc(0x0D, 80)
    kit.update()
    #expect(line(0, 0, 0) == bits(0x42 << 1, light, 0))
  }

  @Test func aScreenThatIsOffIsBlackAndKeepsItsSize() {
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x1F])
    kit.update()
    kit.sequencer(1, 0x20)
    #expect(!kit.update().resized)
    #expect((0..<720).allSatisfy { kit.pixel($0, 3) == 0 })
    #expect(kit.adapter.textScreen() == nil)
    kit.sequencer(1, 0)
    kit.update()
    #expect(kit.pixel(0, 3) != 0)
    _ = kit.input(0x3DA)
    kit.out(0x3C0, 0)
    kit.update()
    #expect(kit.pixel(0, 3) == 0)
  }

  @Test func capturingTakesNoDamage() {
    kit.update()
    kit.poke(0xB8000, 0x42)
    let picture = kit.adapter.capture()
    #expect(picture.size == FrameSize(width: 720, height: 400))
    #expect(picture.pixels[1] == light)
    #expect(kit.update().damage == [FrameRect(x: 0, y: 0, width: 9, height: 16)])
  }

  @Test func theScreenReadsAsText() throws {
    kit.crtc(0x0A, 0x0D)
    kit.adapter.setCursor(offset: 82)
    for (index, byte) in [0x48, 0x69, 0x20, 0xC4, 0x20, 0xE1, 0x00].enumerated() {
      kit.poke(0xB8000 + UInt64(160 + 2 * index), UInt8(byte))
    }
    let screen = try #require(kit.adapter.textScreen())
    #expect(screen.columns == 80)
    #expect(screen.rows == 25)
    #expect(screen.text == "\nHi ─ ß")
    #expect(screen.cursor?.column == 2)
    #expect(screen.cursor?.row == 1)
    #expect(screen.cells[80] == TextScreen.Cell(character: 0x48, attribute: 7))
    kit.adapter.loadRegisters(Modes.mode13)
    #expect(kit.adapter.textScreen() == nil)
  }

  @Test func allCharactersHaveAUnicodeScalar() {
    let cells = (0..<256).map { TextScreen.Cell(character: UInt8($0), attribute: 7) }
    let text = Array(TextScreen(columns: 256, rows: 1, cells: cells).text.unicodeScalars)
    #expect(text.count == 255)
    #expect(text[1] == "☺" && text[0x41] == "A" && text[0x7F] == "⌂" && text[0xDB] == "█")
    #expect(text[0xB3] == "│" && text[0xFE] == "■" && text[0x80] == "Ç" && text[0xE0] == "α")
  }
}
