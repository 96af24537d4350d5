import Testing

@testable import Machine

@Suite struct VideoTextTests {
  @Test func teletypeWritesAndMovesTheCursor() throws {
    let rig = try VideoRig()
    rig.type("Hi")
    #expect(rig.row(0) == "Hi")
    #expect(rig.cursor() == [0, 2])
    rig.type("\r\n>")
    #expect(rig.row(1) == ">")
    rig.type("\u{8}!\u{7}")
    #expect(rig.row(1) == "!")
    #expect(rig.cursor() == [1, 1])
    rig.type("\r\u{8}\u{8}")
    #expect(rig.cursor() == [1, 0])
  }

  @Test func teletypeKeepsAttributes() throws {
    let rig = try VideoRig()
    rig.call(0x0920, bx: 0x001E, cx: 3)
    rig.type("abc")
    #expect(rig.cell(0, 2) == [0x63, 0x1E])
  }

  @Test func teletypeWrapsAndScrolls() throws {
    let rig = try VideoRig()
    rig.type(String(repeating: "a", count: 79))
    #expect(rig.cursor() == [0, 79])
    rig.type("b")
    #expect(rig.cursor() == [1, 0])
    rig.call(0x0200, dx: 0x184F)
    rig.type("c")
    #expect(rig.cursor() == [24, 0])
    #expect(rig.row(0) == "")
    #expect(rig.row(23).hasSuffix("c"))
    #expect(rig.row(23).count == 80)
    #expect(rig.row(24) == "")
  }

  @Test func aScrolledInRowHasTheCursorsAttribute() throws {
    let rig = try VideoRig()
    rig.call(0x0200, dx: 0x1800)
    rig.call(0x0920, bx: 0x004E, cx: 80)
    rig.type("\n")
    #expect(rig.cell(24, 5) == [0x20, 0x4E])
    #expect(rig.cell(23, 5) == [0x20, 0x4E])
    #expect(rig.cell(22, 5) == [0x20, 0x07])
  }

  private func numbered() throws -> VideoRig {
    let rig = try VideoRig()
    for row in 0..<25 {
      rig.call(0x0200, dx: UInt16(row) << 8)
      rig.call(0x0941 + UInt16(row), bx: 0x0007, cx: 80)
    }
    return rig
  }

  @Test func scrollsAWindowUp() throws {
    let rig = try numbered()
    rig.call(0x0602, bx: 0x1F00, cx: 0x050A, dx: 0x0814)
    #expect(rig.cell(5, 10) == [0x48, 0x07])
    #expect(rig.cell(6, 20) == [0x49, 0x07])
    #expect(rig.cell(7, 10) == [0x20, 0x1F])
    #expect(rig.cell(8, 20) == [0x20, 0x1F])
    #expect(rig.cell(5, 9) == [0x46, 0x07])
    #expect(rig.cell(5, 21) == [0x46, 0x07])
    #expect(rig.cell(9, 10) == [0x4A, 0x07])
  }

  @Test func scrollsAWindowDown() throws {
    let rig = try numbered()
    rig.call(0x0701, bx: 0x2E00, cx: 0x0500, dx: 0x084F)
    #expect(rig.cell(5, 0) == [0x20, 0x2E])
    #expect(rig.cell(6, 79) == [0x46, 0x07])
    #expect(rig.cell(8, 40) == [0x48, 0x07])
    #expect(rig.cell(9, 40) == [0x4A, 0x07])
  }

  @Test func scrollingByZeroOrTooMuchEmptiesTheWindow() throws {
    let rig = try numbered()
    rig.call(0x0600, bx: 0x1700, cx: 0x0000, dx: 0x0000)
    #expect(rig.cell(0, 0) == [0x20, 0x17])
    #expect(rig.cell(0, 1) == [0x41, 0x07])
    rig.call(0x06FF, bx: 0x3000, cx: 0x0000, dx: 0xFFFF)
    #expect(rig.cell(24, 79) == [0x20, 0x30])
    #expect(rig.cell(0, 0) == [0x20, 0x30])
  }

  @Test func aWindowInsideOutDoesNothing() throws {
    let rig = try numbered()
    rig.call(0x0600, bx: 0x1700, cx: 0x0A0A, dx: 0x0909)
    rig.call(0x0600, bx: 0x1700, cx: 0xFFFF, dx: 0xFFFF)
    #expect(rig.cell(9, 9) == [0x4A, 0x07])
    #expect(rig.cell(24, 79) == [0x59, 0x07])
  }

  @Test func writesCharactersWithAndWithoutAttribute() throws {
    let rig = try VideoRig()
    rig.call(0x0200, dx: 0x0105)
    rig.call(0x0958, bx: 0x0070, cx: 2)
    rig.call(0x0A59, bx: 0x0010, cx: 1)
    #expect(rig.cell(1, 5) == [0x59, 0x70])
    #expect(rig.cell(1, 6) == [0x58, 0x70])
    #expect(rig.cell(1, 7) == [0x20, 0x07])
    #expect(rig.cursor() == [1, 5])
    let answer = rig.call(0x0800)
    #expect(answer.al == 0x59)
    #expect(answer.ah == 0x70)
  }

  @Test func aHugeCountEndsWithThePage() throws {
    let rig = try VideoRig()
    rig.call(0x0200, dx: 0x184E)
    rig.call(0x0941, bx: 0x0007, cx: 0xFFFF)
    #expect(rig.cell(24, 79) == [0x41, 0x07])
    #expect(rig.adapter.readText(offset: 0x1000, count: 2) == [0x20, 0x07])
  }

  @Test func writesStrings() throws {
    let rig = try VideoRig()
    rig.setBuffer(Array("one\r\ntwo".utf8))
    rig.call(0x1300, bx: 0x001B, cx: 8, dx: 0x0202)
    #expect(rig.cell(2, 2) == [0x6F, 0x1B])
    #expect(rig.cell(3, 0) == [0x74, 0x1B])
    #expect(rig.cursor() == [0, 0])
    rig.call(0x1301, bx: 0x001B, cx: 3, dx: 0x0500)
    #expect(rig.cursor() == [5, 3])
    rig.setBuffer([0x41, 0x11, 0x42, 0x22])
    rig.call(0x1303, bx: 0x0000, cx: 2, dx: 0x0600)
    #expect(rig.cell(6, 0) == [0x41, 0x11])
    #expect(rig.cell(6, 1) == [0x42, 0x22])
    #expect(rig.cursor() == [6, 2])
    rig.call(0x1301, bx: 0x001B, cx: 0, dx: 0x0101)
    #expect(rig.cursor() == [6, 2])
  }

  @Test func mode7WritesWhereTheGuestSeesIt() throws {
    let rig = try VideoRig()
    rig.call(0x0007)
    rig.type("mono")
    #expect(rig.byte(0xB0000) == 0x6D)
    #expect(rig.byte(0xB0001) == 0x07)
    rig.call(0x0003)
    rig.type("color")
    #expect(rig.byte(0xB8000) == 0x63)
  }
}
