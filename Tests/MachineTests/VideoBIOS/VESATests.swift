import Display
import Testing

@testable import Machine

@Suite struct VESATests {
  private func word(_ bytes: [UInt8], _ offset: Int) -> Int {
    Int(bytes[offset]) | Int(bytes[offset + 1]) << 8
  }
  private func dword(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    UInt32(word(bytes, offset)) | UInt32(word(bytes, offset + 2)) << 16
  }

  @Test func reportsTheControllerOfVersion2And3() throws {
    let rig = try VideoRig()
    rig.setBuffer(Array("VBE2".utf8) + [UInt8](repeating: 0xEE, count: 600))
    #expect(rig.call(0x4F00).ax == 0x004F)
    let block = rig.buffer(600)
    #expect(Array(block[0..<4]) == Array("VESA".utf8))
    #expect(word(block, 4) == 0x0300)
    #expect(word(block, 0x12) == 256)
    #expect(dword(block, 0x0A) & 1 == 1)
    #expect(Array(block[512...]) == [UInt8](repeating: 0xEE, count: 88))
    for field in [0x06, 0x16, 0x1A, 0x1E] {
      let pointer = dword(block, field)
      #expect(pointer >> 16 == 0x2000)
      #expect(block[Int(pointer & 0xFFFF)] >= 0x21)
    }
    let modes = modeList(block)
    #expect(modes == VESAMode.all.map { Int($0.number) })
    #expect(modes.contains(0x118))
    #expect(Set(modes).count == modes.count)
  }

  private func modeList(_ block: [UInt8]) -> [Int] {
    var at = Int(dword(block, 0x0E) & 0xFFFF)
    var modes: [Int] = []
    while at + 1 < 256, word(block, at) != 0xFFFF {
      modes.append(word(block, at))
      at += 2
    }
    #expect(at < 254)
    return modes
  }

  @Test func version1CallersGetOnly256Bytes() throws {
    let rig = try VideoRig()
    rig.setBuffer([UInt8](repeating: 0xEE, count: 300))
    #expect(rig.call(0x4F00).ax == 0x004F)
    let block = rig.buffer(300)
    #expect(Array(block[256...]) == [UInt8](repeating: 0xEE, count: 44))
    #expect(modeList(block).count == VESAMode.all.count)
    let name = Int(dword(block, 0x06) & 0xFFFF)
    #expect(String(decoding: block[name..<255], as: UTF8.self) == "Porthole VGA")
    #expect(block[255] == 0)
  }

  @Test func describesATrueColourMode() throws {
    let rig = try VideoRig()
    #expect(rig.call(0x4F01, cx: 0x4118).ax == 0x004F)
    let block = rig.buffer(256)
    #expect(word(block, 0) == 0x9B)
    #expect(block[2] == 7 && block[3] == 0)
    #expect(word(block, 4) == 64 && word(block, 6) == 64)
    #expect(word(block, 8) == 0xA000)
    #expect(word(block, 0x10) == 3072)
    #expect(word(block, 0x12) == 1024 && word(block, 0x14) == 768)
    #expect(block[0x18] == 1 && block[0x19] == 24 && block[0x1A] == 1 && block[0x1B] == 6)
    #expect(block[0x1D] == 6)
    #expect(Array(block[0x1F..<0x27]) == [8, 16, 8, 8, 8, 0, 0, 0])
    #expect(dword(block, 0x28) == 0xE000_0000)
    #expect(word(block, 0x32) == 3072)
    #expect(Array(block[0x36..<0x3E]) == [8, 16, 8, 8, 8, 0, 0, 0])
  }

  @Test func describes256ColourAnd16ColourModes() throws {
    let rig = try VideoRig()
    rig.call(0x4F01, cx: 0x101)
    #expect(rig.buffer(256)[0x1B] == 4)
    #expect(word(rig.buffer(256), 0x10) == 640)
    rig.call(0x4F01, cx: 0x102)
    let planar = rig.buffer(256)
    #expect(word(planar, 0) == 0x1B)
    #expect(planar[0x18] == 4 && planar[0x1B] == 3)
    #expect(word(planar, 0x10) == 100)
    #expect(dword(planar, 0x28) == 0)
    #expect(rig.call(0x4F01, cx: 0x1FF).ax == 0x014F)
  }

  @Test(arguments: VESAMode.all)
  func setsEachMode(mode: VESAMode) throws {
    #expect(mode.pitch * mode.height <= VideoAdapter.visibleBytes)
    let rig = try VideoRig()
    let linear: UInt16 = mode.isPlanar ? 0 : 0x4000
    #expect(rig.call(0x4F02, bx: mode.number | linear).ax == 0x004F)
    let state = rig.adapter.dispiState
    #expect(state.enabled)
    #expect(state.width == mode.width && state.height == mode.height)
    #expect(state.bpp == mode.depth)
    #expect(state.pitch == mode.pitch)
    let answer = rig.call(0x4F03)
    #expect(answer.ax == 0x004F)
    #expect(answer.bx == mode.number | linear)
    // Large pictures take their time; one depth of each of the own sizes is enough.
    guard mode.number < 0x140 || mode.depth == 32 else { return }
    #expect(rig.adapter.capture().size == FrameSize(width: mode.width, height: mode.height))
    #expect(rig.pixels().last == 0)
  }

  @Test func theSizesThatWereAskedForExist() {
    for size in [(640, 480), (800, 600), (1024, 768), (1280, 1024), (1920, 1080), (2560, 1600)] {
      #expect(VESAMode.find(width: size.0, height: size.1, depth: 32) != nil)
    }
  }

  @Test func returnsToText() throws {
    let rig = try VideoRig()
    rig.call(0x4F02, bx: 0x4144)
    rig.type("unseen")
    #expect(rig.call(0x4F02, bx: 3).ax == 0x004F)
    #expect(!rig.adapter.dispiState.enabled)
    #expect(rig.byte(0x449) == 3)
    #expect(rig.row(0) == "")
    rig.type("seen")
    #expect(rig.row(0) == "seen")
    #expect(rig.adapter.capture().size == FrameSize(width: 720, height: 400))
    #expect(rig.call(0x4F03).bx == 3)
    rig.call(0x4F02, bx: 0x4144)
    rig.call(0x0003)
    #expect(!rig.adapter.dispiState.enabled)
    #expect(rig.litPixels() < 100)
  }

  @Test func bit15KeepsTheMemory() throws {
    let rig = try VideoRig()
    rig.call(0x4F02, bx: 0x4101)
    rig.adapter.writeLinear(offset: 1000, bytes: [0x55])
    rig.call(0x4F02, bx: 0xC101)
    #expect(rig.adapter.readLinear(offset: 1000, count: 1) == [0x55])
    #expect(rig.call(0x4F03).bx == 0xC101)
    rig.call(0x4F02, bx: 0x4101)
    #expect(rig.adapter.readLinear(offset: 1000, count: 1) == [0x00])
  }

  @Test func refusesModesThatDoNotExist() throws {
    let rig = try VideoRig()
    rig.type("kept")
    for number: UInt16 in [0x1FF, 0x4102, 0x7F, 0x81FF] {
      #expect(rig.call(0x4F02, bx: number).ax == 0x014F)
    }
    #expect(rig.row(0) == "kept")
  }

  @Test func switchesBanks() throws {
    let rig = try VideoRig()
    rig.call(0x4F02, bx: 0x0103)
    #expect(rig.call(0x4F05, bx: 0x0000, dx: 3).ax == 0x004F)
    rig.space.store(UInt8(0x77), at: 0xA0010)
    #expect(rig.adapter.readLinear(offset: 3 * 65536 + 0x10, count: 1) == [0x77])
    #expect(rig.call(0x4F05, bx: 0x0100).dx == 3)
    #expect(rig.call(0x4F05, bx: 0x0001, dx: 0).ax == 0x014F)
    #expect(rig.call(0x4F05, bx: 0x0000, dx: 256).ax == 0x014F)
    rig.call(0x4F02, bx: 0x4103)
    #expect(rig.call(0x4F05, bx: 0x0000, dx: 3).ax == 0x034F)
  }

  @Test func changesTheLineLengthAndScrolls() throws {
    let rig = try VideoRig()
    rig.call(0x4F02, bx: 0x4114)
    let now = rig.call(0x4F06, bx: 1)
    #expect(now.bx == 1600 && now.cx == 800)
    let wider = rig.call(0x4F06, bx: 0, cx: 1000)
    #expect(wider.ax == 0x004F && wider.bx == 2000 && wider.cx == 1000)
    #expect(Int(wider.dx) == (16 << 20) / 2000)
    #expect(rig.call(0x4F06, bx: 2, cx: 2048).cx == 1024)
    #expect(rig.call(0x4F06, bx: 0, cx: 100).ax == 0x014F)
    let longest = rig.call(0x4F06, bx: 3)
    #expect(longest.ax == 0x004F && longest.cx >= 1024)
    #expect(rig.call(0x4F07, bx: 0, cx: 224, dx: 500).ax == 0x004F)
    let start = rig.call(0x4F07, bx: 1)
    #expect(start.cx == 224 && start.dx == 500 && start.bh == 0)
    #expect(rig.call(0x4F07, bx: 0, cx: 225, dx: 0).ax == 0x014F)
    #expect(rig.call(0x4F07, bx: 0, cx: 0, dx: 0xFFFF).ax == 0x014F)
    rig.call(0x0003)
    #expect(rig.call(0x4F06, bx: 1).ax == 0x034F)
    #expect(rig.call(0x4F07, bx: 1).ax == 0x034F)
  }

  @Test func setsColours() throws {
    let rig = try VideoRig()
    rig.call(0x4F02, bx: 0x4101)
    #expect(rig.call(0x4F08, bx: 0x0001).bh == 6)
    rig.setBuffer([1, 2, 3, 0, 4, 5, 6, 0])
    #expect(rig.call(0x4F09, bx: 0, cx: 2, dx: 10).ax == 0x004F)
    #expect(rig.adapter.readPalette(first: 10, count: 1)[0] == (3, 2, 1))
    rig.setBuffer([UInt8](repeating: 9, count: 8))
    rig.call(0x4F09, bx: 1, cx: 2, dx: 10)
    #expect(rig.buffer(8) == [1, 2, 3, 0, 4, 5, 6, 0])
    #expect(rig.call(0x4F08, bx: 0x0800).bh == 8)
    rig.setBuffer([0xFF, 0x80, 0x40, 0])
    rig.call(0x4F09, bx: 0, cx: 1, dx: 0)
    #expect(rig.pixels().first == 0x4080FF)
    #expect(rig.call(0x4F09, bx: 2, cx: 1, dx: 0).ax == 0x024F)
  }

  @Test func savesAndRestoresALinearMode() throws {
    let rig = try VideoRig()
    rig.call(0x4F02, bx: 0x4115)
    rig.call(0x4F06, bx: 0, cx: 1000)
    rig.call(0x4F07, bx: 0, cx: 7, dx: 9)
    let before = rig.adapter.dispiState
    #expect(rig.call(0x4F04, cx: 0x0F, dx: 0).bx == 15)
    #expect(rig.call(0x4F04, cx: 0x0F, dx: 1).ax == 0x004F)
    rig.call(0x0003)
    #expect(rig.call(0x4F04, cx: 0x0F, dx: 2).ax == 0x004F)
    #expect(rig.adapter.dispiState == before)
    #expect(rig.call(0x4F04, cx: 0x0F, dx: 7).ax == 0x014F)
  }

  @Test func theMonitorPrefers1024x768() throws {
    let rig = try VideoRig()
    #expect(rig.call(0x4F15, bx: 0).ax == 0x004F)
    #expect(rig.call(0x4F15, bx: 0).bl & 3 == 2)
    #expect(rig.call(0x4F15, bx: 1, dx: 0).ax == 0x004F)
    let edid = rig.buffer(128)
    #expect(Array(edid[0..<8]) == [0, 255, 255, 255, 255, 255, 255, 0])
    #expect(edid.reduce(0, &+) == 0)
    #expect(edid[18] == 1 && edid[19] == 3)
    #expect(word(edid, 54) == 6500)
    #expect(Int(edid[56]) | Int(edid[58] & 0xF0) << 4 == 1024)
    #expect(Int(edid[57]) | Int(edid[58] & 0x0F) << 8 == 320)
    #expect(Int(edid[59]) | Int(edid[61] & 0xF0) << 4 == 768)
    #expect(edid[72..<76].elementsEqual([0, 0, 0, 0xFC]))
    #expect(edid[126] == 0)
    #expect(rig.call(0x4F15, bx: 1, dx: 1).ax == 0x014F)
    #expect(rig.adapter.monitor.prefer(FrameSize(width: 1600, height: 900)))
    #expect(rig.call(0x4F15, bx: 1, dx: 0).ax == 0x004F)
    let other = rig.buffer(128)
    #expect(Int(other[56]) | Int(other[58] & 0xF0) << 4 == 1600)
  }

  @Test func whatIsNotThereSaysSo() throws {
    let rig = try VideoRig()
    #expect(rig.call(0x4F0A).ax == 0x014F)
    #expect(rig.call(0x4F7E).al != 0x4F)
  }
}
