import DeviceTestKit
import Display
import KVMEngine
import Testing

@Suite struct GraphicsModeTests {
  let kit: AdapterKit

  init() throws {
    kit = try AdapterKit()
    kit.loadColors()
    kit.adapter.clearMemory()
  }

  private func row(_ y: Int, _ range: Range<Int>) -> [UInt32] { range.map { kit.pixel($0, y) } }

  @Test func mode13IsAByteAPixel() {
    kit.adapter.loadRegisters(Modes.mode13)
    kit.update()
    #expect(kit.frame.size == FrameSize(width: 320, height: 200))
    for x in 0..<8 { kit.poke(0xA0000 + UInt64(320 * 7 + 64 + x), UInt8(x + 1)) }
    #expect(kit.update().damage == [FrameRect(x: 64, y: 7, width: 16, height: 1)])
    #expect(row(7, 64..<73) == (1...8).map { AdapterKit.gray($0) } + [0])
    kit.poke(0xA0000 + 320 * 199 + 319, 63)
    #expect(kit.update().damage == [FrameRect(x: 304, y: 199, width: 16, height: 1)])
  }

  @Test func unchainedModesPageThroughAllOfMemory() {
    kit.adapter.loadRegisters(Modes.mode13)
    kit.sequencer(4, 6)
    kit.crtc(0x11, 0x0E)
    kit.crtc(0x14, 0)
    kit.crtc(0x17, 0xE3)
    kit.sequencer(2, 0b0100)
    kit.poke(0xA0000 + 0x4000 + 1, 9)
    kit.crtc(0x0C, 0x40)
    kit.update()
    #expect(row(0, 4..<9) == [0, 0, AdapterKit.gray(9), 0, 0])
  }

  @Test func mode12CombinesFourPlanes() {
    kit.adapter.loadRegisters(Modes.mode12)
    kit.update()
    #expect(kit.frame.size == FrameSize(width: 640, height: 480))
    for plane in 0..<4 {
      kit.sequencer(2, 1 << UInt8(plane))
      kit.poke(0xA0000 + 80 * 479, [0b1010_1010, 0b0110_0110, 0b0001_1110, 1][plane])
    }
    #expect(kit.update().damage == [FrameRect(x: 0, y: 479, width: 16, height: 1)])
    #expect(row(479, 0..<8) == [1, 2, 3, 4, 5, 6, 7, 8].map { AdapterKit.gray($0) })
  }

  @Test func panningMovesThePicture() {
    kit.adapter.loadRegisters(Modes.mode12)
    kit.poke(0xA0001, 0x80)
    kit.attribute(0x13, 3)
    kit.update()
    #expect(row(0, 4..<7) == [0, AdapterKit.gray(15), 0])
  }

  @Test func theLowerPartOfASplitScreenStartsAtZero() {
    kit.adapter.loadRegisters(Modes.mode12)
    kit.poke(0xA0000, 0xFF)
    kit.crtc(0x11, 0x0C)
    kit.crtc(0x0C, 0x10)
    kit.crtc(0x18, 99)
    kit.crtc(7, 0x2E)
    kit.crtc(9, 0)
    kit.update()
    #expect(kit.pixel(0, 99) == 0)
    #expect(kit.pixel(0, 100) == AdapterKit.gray(15))
    #expect(kit.pixel(0, 101) == 0)
  }

  @Test func mode4InterleavesBitPairs() {
    kit.adapter.loadRegisters(Modes.mode4)
    kit.update()
    #expect(kit.frame.size == FrameSize(width: 320, height: 200))
    kit.poke(0xB8000, 0b00_01_10_11)
    kit.poke(0xB8001, 0b11_10_01_00)
    kit.poke(0xB8000 + 0x2000, 0b11_00_00_00)
    kit.update()
    #expect(row(0, 0..<8) == [0, 1, 2, 3, 3, 2, 1, 0].map { AdapterKit.gray($0) })
    #expect(row(1, 0..<2) == [AdapterKit.gray(3), 0])
    kit.poke(0xB8000 + 80, 0b11_00_00_00)
    #expect(kit.update().damage == [FrameRect(x: 0, y: 2, width: 16, height: 1)])
  }

  @Test func textWrittenBeforeMode4ShowsAsPixels() {
    kit.adapter.loadRegisters(Modes.text)
    kit.poke(0xB8000, 0xFF)
    kit.update()
    kit.adapter.loadRegisters(Modes.mode4)
    kit.update()
    #expect(kit.pixel(0, 0) == AdapterKit.gray(3))
  }

  @Test func mode6IsABitAPixel() {
    kit.adapter.loadRegisters(Modes.mode6)
    kit.update()
    #expect(kit.frame.size == FrameSize(width: 640, height: 200))
    kit.poke(0xB8000, 0b1000_0001)
    kit.poke(0xBA000 + 79, 1)
    kit.update()
    #expect(row(0, 0..<8) == [1, 0, 0, 0, 0, 0, 0, 1].map { AdapterKit.gray($0) })
    #expect(kit.pixel(639, 1) == AdapterKit.gray(1))
  }

  @Test func coloursFollowTheDAC() {
    kit.adapter.loadRegisters(Modes.mode13)
    kit.poke(0xA0000, 5)
    kit.update()
    kit.out(0x3C8, 5)
    for value in [63, 32, 1] as [UInt8] { kit.out(0x3C9, value) }
    #expect(kit.update().damage == [FrameRect(x: 0, y: 0, width: 16, height: 1)])
    #expect(kit.pixel(0, 0) == 0xFF8204)
    kit.out(0x3C7, 5)
    #expect((0..<3).map { _ in kit.input(0x3C9) } == [63, 32, 1])
    #expect(kit.input(0x3C9) == 6)
    kit.out(0x3C6, 0xF8)
    kit.update()
    #expect(kit.pixel(0, 0) == 0)
  }

  @Test func switchingModesKeepsText() {
    kit.setTextMode()
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x07, 0x42, 0x1F])
    kit.poke(0xB8000 + 3998, 0x5A)
    // Planar access and back, register by register, as a program that saves a font does it.
    kit.sequencer(4, 6)
    kit.graphics(6, 5)
    kit.graphics(5, 0)
    #expect(kit.peek(0xA0000) == 0x41)
    kit.graphics(4, 1)
    #expect(kit.peek(0xA0002) == 0x1F)
    #expect(kit.peek(0xA0000 + 3998) == 0x07)
    kit.sequencer(2, 1)
    kit.poke(0xA0002, 0x43)
    kit.graphics(4, 0)
    kit.graphics(6, 0x0E)
    kit.graphics(5, 0x10)
    kit.sequencer(2, 3)
    kit.sequencer(4, 2)
    #expect(kit.adapter.readText(offset: 0, count: 4) == [0x41, 0x07, 0x43, 0x1F])
    for _ in 0..<8 { #expect(kit.peek(0xB8000) == 0x41) }
    #expect(kit.peek(0xB8000 + 3998) == 0x5A)
    #expect(kit.adapter.save().isTextInWindow)
  }
}
