import DeviceTestKit
import Display
import KVMEngine

/// An adapter in a machine without a hypervisor, and the guest's way to it.
struct AdapterKit {
  let clock = ManualClock()
  let bus = MemoryBus()
  let space: AddressSpace
  let adapter: VideoAdapter
  let frame = Frame(size: FrameSize(width: 1, height: 1))

  init(slots: any MemorySlots = NoSlots(), log: @escaping @Sendable (String) -> Void = { _ in })
    throws
  {
    space = AddressSpace(bus: bus, slots: slots)
    let block = try MemoryBlock(name: "video", size: VideoAdapter.memoryBytes)
    adapter = VideoAdapter(
      memory: block, clock: clock, legacyWindow: space.makeWindow(block),
      linearWindow: space.makeWindow(block), log: log)
    try bus.register(adapter, at: VideoAdapter.legacyRange)
    let linear = adapter.linearAddress ?? 0
    try bus.register(
      adapter.linearMemory, at: linear...(linear + UInt64(VideoAdapter.visibleBytes) - 1))
  }

  func out(_ port: UInt16, _ value: UInt8) {
    adapter.writePort(port - 0x3B4, width: .byte, value: UInt32(value))
  }

  func input(_ port: UInt16) -> UInt8 {
    UInt8(truncatingIfNeeded: adapter.readPort(port - 0x3B4, width: .byte))
  }

  func sequencer(_ index: UInt8, _ value: UInt8) {
    out(0x3C4, index)
    out(0x3C5, value)
  }

  func graphics(_ index: UInt8, _ value: UInt8) {
    out(0x3CE, index)
    out(0x3CF, value)
  }

  func crtc(_ index: UInt8, _ value: UInt8) {
    out(0x3D4, index)
    out(0x3D5, value)
  }

  func attribute(_ index: UInt8, _ value: UInt8) {
    _ = input(0x3DA)
    out(0x3C0, index | 0x20)
    out(0x3C0, value)
  }

  func dispi(_ index: UInt16, _ value: UInt16) {
    adapter.dispiPorts.writePort(0, width: .word, value: UInt32(index))
    adapter.dispiPorts.writePort(1, width: .word, value: UInt32(value))
  }

  func dispi(_ index: UInt16) -> UInt16 {
    adapter.dispiPorts.writePort(0, width: .word, value: UInt32(index))
    return UInt16(truncatingIfNeeded: adapter.dispiPorts.readPort(1, width: .word))
  }

  /// A store as guest code makes it: to mapped memory, or through the bus.
  func poke(_ address: UInt64, _ value: UInt8) { space.store(value, at: address) }
  func peek(_ address: UInt64) -> UInt8 { space.load(address, as: UInt8.self) }

  @discardableResult
  func update(everything: Bool = false) -> FrameUpdate {
    adapter.update(frame, everything: everything)
  }

  func pixel(_ x: Int, _ y: Int) -> UInt32 { frame.pixels[y * frame.size.width + x] }

  /// Mode 3 with the 16 colours of a CGA as DAC colours 0 to 63 would have them, a blank screen, and
  /// a font in which character n's line m is n XOR m.
  func setTextMode() {
    adapter.loadRegisters(Modes.text)
    adapter.clearMemory()
    loadColors()
    let glyphs = (0..<256).flatMap { n in (0..<16).map { UInt8(n ^ $0) } }
    adapter.loadFont(map: 0, first: 0, height: 16, glyphs: glyphs)
    adapter.writeText(
      offset: 0, bytes: (0..<4000).map { $0 & 1 == 0 ? 0 : 0x07 })
    // Character 0 would show its lines' numbers; blank it.
    adapter.loadFont(map: 0, first: 0, height: 16, glyphs: [UInt8](repeating: 0, count: 16))
  }

  /// DAC colour n is (n, n, n) for n up to 63.
  func loadColors() {
    adapter.loadPalette(first: 0, (0..<64).map { (UInt8($0), UInt8($0), UInt8($0)) })
  }

  /// The pixel of DAC colour `index` as ``loadColors()`` sets it.
  static func gray(_ index: UInt32) -> UInt32 { (index << 2 | index >> 4) * 0x10101 }
}

/// Register values of the VGA BIOS's modes (IBM VGA Technical Reference, "BIOS Mode Tables").
enum Modes {
  static let palette: [UInt8] = (0..<16).map { UInt8($0) }

  static let text = VGARegisterSet(
    misc: 0x67, sequencer: [3, 0, 3, 0, 2],
    crtc: [
      0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00, 0x4F, 0x0D, 0x0E, 0x00, 0x00, 0x00,
      0x00, 0x9C, 0x8E, 0x8F, 0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF,
    ],
    graphics: [0, 0, 0, 0, 0, 0x10, 0x0E, 0, 0xFF],
    attribute: palette + [0x0C, 0, 0x0F, 0x08, 0])

  static let mode13 = VGARegisterSet(
    misc: 0x63, sequencer: [3, 1, 0x0F, 0, 0x0E],
    crtc: [
      0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0xBF, 0x1F, 0x00, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x9C, 0x8E, 0x8F, 0x28, 0x40, 0x96, 0xB9, 0xA3, 0xFF,
    ],
    graphics: [0, 0, 0, 0, 0, 0x40, 0x05, 0x0F, 0xFF],
    attribute: palette + [0x41, 0, 0x0F, 0, 0])

  static let mode12 = VGARegisterSet(
    misc: 0xE3, sequencer: [3, 1, 0x0F, 0, 0x06],
    crtc: [
      0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0x0B, 0x3E, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0xEA, 0x8C, 0xDF, 0x28, 0x00, 0xE7, 0x04, 0xE3, 0xFF,
    ],
    graphics: [0, 0, 0, 0, 0, 0, 0x05, 0x0F, 0xFF],
    attribute: palette + [0x01, 0, 0x0F, 0, 0])

  static let mode4 = VGARegisterSet(
    misc: 0x63, sequencer: [3, 9, 3, 0, 2],
    crtc: [
      0x2D, 0x27, 0x28, 0x90, 0x2B, 0x80, 0xBF, 0x1F, 0x00, 0xC1, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x9C, 0x8E, 0x8F, 0x14, 0x00, 0x96, 0xB9, 0xA2, 0xFF,
    ],
    graphics: [0, 0, 0, 0, 0, 0x30, 0x0F, 0, 0xFF],
    attribute: palette + [0x01, 0, 0x03, 0, 0])

  static let mode6 = VGARegisterSet(
    misc: 0x63, sequencer: [3, 1, 1, 0, 6],
    crtc: [
      0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0xBF, 0x1F, 0x00, 0xC1, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x9C, 0x8E, 0x8F, 0x28, 0x00, 0x96, 0xB9, 0xC2, 0xFF,
    ],
    graphics: [0, 0, 0, 0, 0, 0, 0x0D, 0, 0xFF],
    attribute: palette + [0x01, 0, 0x01, 0, 0])
}
