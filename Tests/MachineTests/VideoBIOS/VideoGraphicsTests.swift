import Testing

@testable import Machine

@Suite struct VideoGraphicsTests {
  static let modes: [UInt16] = [0x04, 0x05, 0x06, 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x12, 0x13]

  @Test(arguments: modes)
  func drawsCharactersThatCanBeReadBack(mode: UInt16) throws {
    let rig = try VideoRig()
    rig.call(mode)
    #expect(rig.litPixels() == 0)
    rig.call(0x0200, dx: 0x0203)
    rig.call(0x0941, bx: 0x0001, cx: 2)
    #expect(rig.litPixels() > 10)
    #expect(rig.call(0x0800).al == 0x41)
    rig.call(0x0200, dx: 0x0204)
    #expect(rig.call(0x0800).al == 0x41)
    rig.call(0x0200, dx: 0x0205)
    #expect(rig.call(0x0800).al == 0x00)
    rig.call(0x09C4, bx: 0x0001, cx: 1)
    #expect(rig.call(0x0800).al == 0xC4)
  }

  @Test(arguments: modes)
  func teletypeScrollsThePicture(mode: UInt16) throws {
    let rig = try VideoRig()
    rig.call(mode)
    let last = UInt16(rig.byte(0x484))
    rig.call(0x0200, dx: last << 8)
    for byte in "Q\r\n".utf8 { rig.call(0x0E00 | UInt16(byte), bx: 0x0001) }
    #expect(rig.call(0x0800).al == 0x00)
    rig.call(0x0200, dx: (last - 1) << 8)
    #expect(rig.call(0x0800).al == 0x51)
  }

  @Test(arguments: modes)
  func scrollsAWindow(mode: UInt16) throws {
    let rig = try VideoRig()
    rig.call(mode)
    for column in UInt16(0)..<4 {
      rig.call(0x0200, dx: 0x0500 | column)
      rig.call(0x0941 + column, bx: 0x0001, cx: 1)
    }
    rig.call(0x0701, bx: 0x0000, cx: 0x0501, dx: 0x0802)
    func read(_ place: UInt16) -> UInt8 {
      rig.call(0x0200, dx: place)
      return rig.call(0x0800).al
    }
    #expect(read(0x0500) == 0x41)
    #expect(read(0x0501) == 0x00)
    #expect(read(0x0601) == 0x42)
    #expect(read(0x0602) == 0x43)
    #expect(read(0x0503) == 0x44)
  }

  @Test(arguments: modes)
  func setsAndReadsPixels(mode: UInt16) throws {
    let rig = try VideoRig()
    rig.call(mode)
    rig.call(0x0C01, cx: 13, dx: 7)
    #expect(rig.call(0x0D00, cx: 13, dx: 7).al == 1)
    #expect(rig.call(0x0D00, cx: 12, dx: 7).al == 0)
    #expect(rig.call(0x0D00, cx: 13, dx: 8).al == 0)
    #expect(rig.litPixels() >= 1)
    rig.call(0x0C00, cx: 13, dx: 7)
    #expect(rig.litPixels() == 0)
  }

  @Test(arguments: [0x04, 0x06, 0x0D, 0x12])
  func bit7CombinesByExclusiveOr(mode: UInt16) throws {
    let rig = try VideoRig()
    rig.call(mode)
    rig.call(0x0C01, cx: 20, dx: 20)
    rig.call(0x0C81, cx: 20, dx: 20)
    #expect(rig.call(0x0D00, cx: 20, dx: 20).al == 0)
    rig.call(0x0941, bx: 0x0001, cx: 1)
    rig.call(0x0941, bx: 0x0081, cx: 1)
    #expect(rig.litPixels() == 0)
  }

  @Test func in256ColoursEveryBitIsColour() throws {
    let rig = try VideoRig()
    rig.call(0x0013)
    rig.call(0x0CFE, cx: 319, dx: 199)
    #expect(rig.call(0x0D00, cx: 319, dx: 199).al == 0xFE)
    #expect(rig.byte(0xA0000 + 199 * 320 + 319) == 0xFE)
    rig.call(0x0941, bx: 0x2F81, cx: 1)
    #expect(rig.byte(0xA0000) == 0x2F)
    #expect(
      (0..<8).contains { rig.byte(0xA0000 + UInt64($0)) == 0x81 }
        || (0..<8).contains { rig.byte(0xA0000 + 320 + UInt64($0)) == 0x81 })
  }

  @Test func pixelsOutsideTheScreenAreIgnored() throws {
    let rig = try VideoRig()
    for mode in Self.modes {
      rig.call(mode)
      rig.call(0x0C0F, bx: 0x0700, cx: 0xFFFF, dx: 0xFFFF)
      rig.call(0x0C0F, cx: 0, dx: 0xFFFF)
      rig.call(0x0C0F, cx: 0xFFFF, dx: 0)
      #expect(rig.litPixels() == 0)
    }
  }

  @Test func pagesOfPlanarModesAreApart() throws {
    let rig = try VideoRig()
    rig.call(0x000D)
    rig.call(0x0C05, bx: 0x0100, cx: 0, dx: 0)
    #expect(rig.litPixels() == 0)
    #expect(rig.call(0x0D00, bx: 0x0100, cx: 0, dx: 0).al == 5)
    rig.call(0x0501)
    #expect(rig.litPixels() > 0)
    #expect(rig.word(0x44E) == 0x2000)
  }

  @Test func drawsWithAProgramsFont() throws {
    let rig = try VideoRig()
    rig.call(0x0013)
    rig.setBuffer([UInt8](repeating: 0xFF, count: 2048))
    rig.call(0x1121, bx: 0x0002, cx: 8)
    #expect(rig.dword(0x10C) == 0x2000_0000)
    #expect(rig.byte(0x484) == 24)
    rig.call(0x0941, bx: 0x0007, cx: 1)
    #expect(rig.byte(0xA0000) == 7)
    #expect(rig.byte(0xA0000 + 7 * 320 + 7) == 7)
    #expect(rig.byte(0xA0008) == 0)
  }

  @Test func choosesTheCGAsPalettes() throws {
    let rig = try VideoRig()
    rig.call(0x0004)
    rig.call(0x0B00, bx: 0x0100)
    #expect(rig.adapter.register(.attribute(1)) == 0x12)
    #expect(rig.adapter.register(.attribute(3)) == 0x16)
    rig.call(0x0B00, bx: 0x0101)
    #expect(rig.adapter.register(.attribute(1)) == 0x13)
    rig.call(0x0B00, bx: 0x0009)
    #expect(rig.adapter.register(.attribute(0)) == 0x11)
    #expect(rig.adapter.register(.attribute(1)) == 0x03)
    #expect(rig.byte(0x466) & 0x3F == 0x29)
  }
}
