import Display
import KVMEngine

/// Function 11h: fonts.
extension VideoBIOS {
  func serveFonts(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    switch call.al {
    case 0x00, 0x10: loadUserFont(call, data)
    case 0x01, 0x11: loadFont(height: 14, call, data)
    case 0x02, 0x12: loadFont(height: 8, call, data)
    case 0x03: adapter.setRegister(.sequencer(3), to: call.bl)
    case 0x04, 0x14: loadFont(height: 16, call, data)
    case 0x20:
      data.setPointer(VideoBIOSData.Vector.upperFont, segment: call.es, offset: call.bp)
    case 0x21:
      setGraphicsFont(call.es, call.bp, height: call.cx, call, data)
    case 0x22: setGraphicsFont(height: 14, call, data)
    case 0x23: setGraphicsFont(height: 8, call, data)
    case 0x24: setGraphicsFont(height: 16, call, data)
    case 0x30: reportFont(&call, data)
    default: break
    }
  }

  /// 00h and 10h: CX glyphs of BH bytes at ES:BP, from character DX of map BL on.
  private func loadUserFont(_ call: FirmwareCall, _ data: VideoBIOSData) {
    let height = Int(call.bh)
    guard (1...32).contains(height), call.dx < 256 else { return }
    let count = min(Int(call.cx), 256 - Int(call.dx))
    adapter.loadFont(
      map: Int(call.bl & 7), first: Int(call.dx), height: height,
      glyphs: call.memory.bytes(at: call.esAddress(call.bp), count: count * height))
    if call.al >= 0x10 { setCharacterHeight(height, data) }
  }

  /// 01h, 02h, 04h, 11h, 12h and 14h: a font of the ROM into map BL.
  private func loadFont(height: Int, _ call: FirmwareCall, _ data: VideoBIOSData) {
    adapter.loadFont(
      map: Int(call.bl & 7), first: 0, height: height, glyphs: FontData.font(height: height).glyphs)
    if call.al >= 0x10 { setCharacterHeight(height, data) }
  }

  /// Divides the text screen into as many rows of `height` lines as it has room for.
  private func setCharacterHeight(_ height: Int, _ data: VideoBIOSData) {
    guard currentLayout(data) == .text, let mode = currentMode(data) else { return }
    let rows = max(1, mode.height / height)
    let last = UInt8(truncatingIfNeeded: height - 1)
    adapter.setRegister(.crtc(0x09), to: adapter.register(.crtc(0x09)) & 0xE0 | last)
    if mode.isMonochrome { adapter.setRegister(.crtc(0x14), to: last) }
    setLinesShown(rows * height * (mode.height == 200 ? 2 : 1))
    data.lastRow = UInt8(truncatingIfNeeded: rows - 1)
    data.characterHeight = UInt16(height)
    let bytes = rows * data.width * 2
    data.pageSize = UInt16(truncatingIfNeeded: (bytes + 0x7FF) & ~0x7FF)
    let bottom = UInt16(last)
    setCursorShape(mode.isMonochrome ? (bottom &- 1) << 8 | bottom : 0x0607, data)
    placeCursor(data)
  }

  private func setLinesShown(_ lines: Int) {
    let end = max(lines - 1, 0)
    adapter.setRegister(.crtc(0x12), to: UInt8(truncatingIfNeeded: end))
    let high = UInt8(end >> 8 & 1) << 1 | UInt8(end >> 9 & 1) << 6
    adapter.setRegister(.crtc(0x07), to: adapter.register(.crtc(0x07)) & ~0x42 | high)
  }

  // MARK: Graphics fonts

  /// 22h to 24h: a font of the ROM for graphics modes.
  private func setGraphicsFont(height: UInt16, _ call: FirmwareCall, _ data: VideoBIOSData) {
    setGraphicsFont(
      VideoROM.segment, FontData.offset(height: Int(height)), height: height, call, data)
  }

  /// 21h: INT 43h points at the font; BL says how many rows the screen has: 1, 2 and 3 stand for
  /// 14, 25 and 43, and 0 for as many as DL says.
  private func setGraphicsFont(
    _ segment: UInt16, _ offset: UInt16, height: UInt16, _ call: FirmwareCall,
    _ data: VideoBIOSData
  ) {
    let rows: UInt8
    switch call.bl {
    case 0: rows = call.dl
    case 1: rows = 14
    case 3: rows = 43
    default: rows = 25
    }
    data.setPointer(VideoBIOSData.Vector.graphicsFont, segment: segment, offset: offset)
    data.characterHeight = height
    data.lastRow = rows &- 1
  }

  /// 30h: ES:BP the font that BH names, CX bytes of a character on the screen, DL rows - 1.
  private func reportFont(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    var pointer = UInt32(VideoROM.segment) << 16
    switch call.bh {
    case 0: pointer = data.memory.load(VideoBIOSData.Vector.upperFont, as: UInt32.self)
    case 1: pointer = data.memory.load(VideoBIOSData.Vector.graphicsFont, as: UInt32.self)
    case 2: pointer |= UInt32(VideoROM.layout.font_8x14)
    case 3: pointer |= UInt32(FontData.offset(height: 8))
    case 4: pointer |= UInt32(VideoROM.layout.font_8x8_high)
    // Lists of glyphs for cells 9 dots wide. They are empty, and an empty list is a zero byte, as
    // the first glyph starts with.
    case 5, 7: pointer |= UInt32(VideoROM.layout.font_8x16)
    case 6: pointer |= UInt32(VideoROM.layout.font_8x16)
    default: return
    }
    call.setES(UInt16(pointer >> 16))
    call.bp = UInt16(pointer & 0xFFFF)
    call.cx = data.characterHeight
    call.dl = data.lastRow
  }
}
