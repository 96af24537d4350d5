import Testing

@testable import Machine

@Suite struct VideoServiceTests {
  // MARK: 10h

  @Test func setsAndReadsThePaletteRegisters() throws {
    let rig = try VideoRig()
    rig.call(0x1000, bx: 0x2A03)
    #expect(rig.call(0x1007, bx: 0x0003).bh == 0x2A)
    rig.call(0x1001, bx: 0x0900)
    #expect(rig.call(0x1008).bh == 0x09)
    rig.setBuffer((1...17).map { UInt8($0) })
    rig.call(0x1002)
    rig.setBuffer([UInt8](repeating: 0, count: 17))
    rig.call(0x1009)
    #expect(rig.buffer(17) == (1...17).map { UInt8($0) })
  }

  @Test func blinkingIsAChoice() throws {
    let rig = try VideoRig()
    rig.call(0x1003, bx: 0)
    #expect(rig.adapter.register(.attribute(0x10)) & 0x08 == 0)
    #expect(rig.byte(0x465) & 0x20 == 0)
    rig.call(0x1003, bx: 1)
    #expect(rig.adapter.register(.attribute(0x10)) & 0x08 != 0)
    #expect(rig.byte(0x465) & 0x20 != 0)
  }

  @Test func setsAndReadsColours() throws {
    let rig = try VideoRig()
    rig.call(0x1010, bx: 200, cx: 0x1122, dx: 0x3300)
    let color = rig.call(0x1015, bx: 200)
    #expect(color.dh == 0x33)
    #expect(color.ch == 0x11)
    #expect(color.cl == 0x22)
    rig.setBuffer([1, 2, 3, 4, 5, 6])
    rig.call(0x1012, bx: 254, cx: 0xFFFF)
    rig.setBuffer([UInt8](repeating: 0, count: 9))
    rig.call(0x1017, bx: 254, cx: 2)
    #expect(rig.buffer(6) == [1, 2, 3, 4, 5, 6])
    rig.call(0x1018, bx: 0x000F)
    #expect(rig.call(0x1019).bl == 0x0F)
  }

  @Test func selectsColourPages() throws {
    let rig = try VideoRig()
    rig.call(0x1013, bx: 0x0100)
    rig.call(0x1013, bx: 0x0A01)
    let answer = rig.call(0x101A)
    #expect(answer.bl == 1)
    #expect(answer.bh == 0x0A)
    #expect(rig.adapter.register(.attribute(0x14)) == 0x0A)
    rig.call(0x1013, bx: 0x0000)
    rig.call(0x1013, bx: 0x0201)
    #expect(rig.adapter.register(.attribute(0x14)) == 0x08)
  }

  @Test func turnsColoursToGrey() throws {
    let rig = try VideoRig()
    rig.call(0x1010, bx: 5, cx: 0x0000, dx: 0x3F00)
    rig.call(0x101B, bx: 5, cx: 1)
    let color = rig.call(0x1015, bx: 5)
    #expect(color.dh == color.ch && color.ch == color.cl)
    #expect(color.dh == 19)
    #expect(rig.call(0x1200, bx: 0x33).al == 0x12)
    rig.call(0x1010, bx: 6, cx: 0x3F00, dx: 0)
    #expect(rig.call(0x1015, bx: 6).dh == 37)
  }

  // MARK: 11h

  @Test func loadsA8LineFontForFiftyRows() throws {
    let rig = try VideoRig()
    rig.call(0x1112)
    #expect(rig.byte(0x484) == 49)
    #expect(rig.word(0x485) == 8)
    #expect(rig.word(0x44C) == 0x2000)
    #expect(rig.adapter.register(.crtc(9)) & 0x1F == 7)
    #expect(rig.adapter.capture().size.height == 400)
    rig.call(0x0200, dx: 0x3100)
    rig.type("z\n")
    #expect(rig.cursor() == [49, 1])
    #expect(rig.row(48) == "z")
    rig.call(0x1114)
    #expect(rig.byte(0x484) == 24)
  }

  @Test func a14LineFontGives28Rows() throws {
    let rig = try VideoRig()
    rig.call(0x1111)
    #expect(rig.byte(0x484) == 27)
    #expect(rig.adapter.capture().size.height == 392)
  }

  @Test func loadsAProgramsGlyphs() throws {
    let rig = try VideoRig()
    let before = rig.litPixels()
    rig.setBuffer([UInt8](repeating: 0xFF, count: 16))
    rig.call(0x1100, bx: 0x1000, cx: 1, dx: 0x20)
    // Every cell is a space, which is a full block now.
    #expect(rig.litPixels() >= 80 * 25 * 8 * 16)
    #expect(before < 100)
  }

  @Test(arguments: [(0x0000, 0), (0x0200, 14), (0x0300, 8), (0x0600, 16)])
  func fontPointersNameTheROM(bx: UInt16, height: Int) throws {
    let rig = try VideoRig()
    let answer = rig.call(0x1130, bx: bx)
    #expect(answer.es == 0xF000)
    #expect(answer.cx == 16)
    #expect(answer.dl == 24)
    let address = UInt64(0xF0000) + UInt64(answer.bp)
    if height > 0 {
      let glyph = rig.space.bytes(at: address + 0x41 * UInt64(height), count: height)
      #expect(glyph == Array(FontData.font(height: height).rows(0x41)))
    } else {
      #expect(rig.space.bytes(at: address, count: 8) == Array(FontData.font8x8.rows(0x80)))
    }
  }

  @Test func theLowFontLiesAtItsHistoricAddress() throws {
    let rig = try VideoRig()
    #expect(VideoROM.layout.font_8x8_low == 0xFA6E)
    #expect(
      rig.space.bytes(at: 0xFFA6E + 0x41 * 8, count: 8)
        == Array(FontData.font8x8.rows(0x41)))
  }

  @Test func boxCharactersReachTheirEdges() {
    for font in [FontData.font8x16, FontData.font8x14, FontData.font8x8] {
      for vertical in [UInt8(0xB3), 0xBA, 0xC5] {
        #expect(font.rows(vertical).first != 0)
        #expect(font.rows(vertical).last != 0)
      }
      #expect(font.rows(0xC4).contains(0xFF))
      #expect(font.rows(0xDA).contains { $0 & 1 != 0 })
      #expect(font.rows(0xBF).contains { $0 & 0x80 != 0 })
      #expect(font.rows(0xDB).allSatisfy { $0 == 0xFF })
      #expect(font.rows(0x20).allSatisfy { $0 == 0 })
      #expect(font.rows(0x41).contains { $0 != 0 })
    }
  }

  // MARK: 12h, 1Ah, 1Bh, 1Ch

  @Test func reportsTheAdapter() throws {
    let rig = try VideoRig()
    let answer = rig.call(0x1234, bx: 0xFF10)
    #expect(answer.bh == 0)
    #expect(answer.bl == 3)
    #expect(answer.cl == 9)
    let combination = rig.call(0x1A00)
    #expect(combination.al == 0x1A)
    #expect(combination.bx == 0x0008)
  }

  @Test func hidesAndShowsThePicture() throws {
    let rig = try VideoRig()
    rig.type("text")
    #expect(rig.call(0x1201, bx: 0x36).al == 0x12)
    #expect(rig.litPixels() == 0)
    rig.call(0x1200, bx: 0x36)
    #expect(rig.litPixels() > 0)
  }

  @Test func keepsThePaletteWhenAsked() throws {
    let rig = try VideoRig()
    rig.call(0x1201, bx: 0x31)
    rig.call(0x1010, bx: 1, cx: 0x0102, dx: 0x0300)
    rig.call(0x0003)
    #expect(rig.call(0x1015, bx: 1).dh == 3)
    rig.call(0x1200, bx: 0x31)
    rig.call(0x0003)
    #expect(rig.call(0x1015, bx: 1).dh == 0)
  }

  @Test func reportsFunctionalityAndState() throws {
    let rig = try VideoRig()
    rig.call(0x0012)
    let answer = rig.call(0x1B00)
    #expect(answer.al == 0x1B)
    let block = rig.buffer(64)
    #expect(block[4] == 0x12)
    #expect(block[5] == 80 && block[6] == 0)
    #expect(block[0x22] == 30)
    #expect(block[0x23] == 16)
    #expect(block[0x25] == 8)
    #expect(block[0x27] == 16)
    #expect(block[0x29] == 1)
    #expect(block[0x2A] == 3)
    #expect(block[0x31] == 3)
    let table = UInt64(block[0]) | UInt64(block[1]) << 8
    #expect(rig.byte(0xF0000 + table) == 0xFF)
    #expect(rig.call(0x1B00, bx: 1).al == 0)
  }

  @Test func savesAndRestoresState() throws {
    let rig = try VideoRig()
    #expect(rig.call(0x1C00, cx: 7).bx == 14)
    rig.call(0x0200, dx: 0x0505)
    rig.call(0x1010, bx: 7, cx: 0x0102, dx: 0x0300)
    let registers = rig.adapter.registers
    #expect(rig.call(0x1C01, cx: 7).al == 0x1C)
    rig.call(0x0013)
    rig.call(0x1C02, cx: 7)
    #expect(rig.adapter.registers == registers)
    #expect(rig.byte(0x449) == 3)
    #expect(rig.cursor() == [5, 5])
    #expect(rig.call(0x1015, bx: 7).dh == 3)
    #expect(rig.call(0x1C00, cx: 0).al == 0)
  }

  @Test func theParameterTableIsInROM() throws {
    let rig = try VideoRig()
    let pointers = UInt64(0xF0000) + UInt64(rig.dword(0x4A8) & 0xFFFF)
    let table = UInt64(0xF0000) + UInt64(rig.dword(pointers) & 0xFFFF)
    // Mode 3 in 400 lines is entry 18h, mode 13h entry 1Ch.
    #expect(rig.space.bytes(at: table + 0x18 * 64, count: 5) == [80, 24, 16, 0x00, 0x10])
    #expect(rig.space.bytes(at: table + 0x1C * 64, count: 5) == [40, 24, 8, 0x00, 0x20])
    #expect(rig.byte(table + 0x1C * 64 + 9) == 0x63)
  }
}
