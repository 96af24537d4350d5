import Display

/// Functions 00h, 05h and 0Fh: modes and pages.
extension VideoBIOS {
  /// 00h: AL is the mode, its bit 7 keeps the memory. AL answers as compatible BIOSes do.
  func setMode(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    let number = call.al & 0x7F
    guard setMode(number, clear: call.al & 0x80 == 0, data) else { return }
    call.al = number > 7 ? 0x20 : number == 6 ? 0x3F : 0x30
  }

  /// Sets mode `number`. Returns false, with nothing changed, where there is no such mode.
  @discardableResult
  func setMode(_ number: UInt8, clear: Bool, _ data: VideoBIOSData) -> Bool {
    if data.options & VideoBIOSData.Option.vgaActive == 0 { initialize(data) }
    guard let mode = VideoMode.find(number, textLines: data.textLines),
      let parameters = mode.parameters
    else { return false }
    let keepPalette = data.options & VideoBIOSData.Option.keepPalette != 0
    adapter.disableDispi()
    loadRegisters(parameters, keepPalette: keepPalette)
    if !keepPalette { loadDefaultColors(mode.palette, data) }
    if clear { adapter.clearMemory() }
    if mode.layout == .text {
      adapter.loadFont(
        map: 0, first: 0, height: Int(parameters.height),
        glyphs: FontData.font(height: Int(parameters.height)).glyphs)
      if clear { clearText() }
    }
    describe(mode, parameters, clear: clear, data)
    return true
  }

  private func loadRegisters(_ parameters: VideoParameters, keepPalette: Bool) {
    var attribute = parameters.attribute + [0]
    if keepPalette {
      let old = adapter.registers.attribute
      for index in 0..<16 where old.indices.contains(index) { attribute[index] = old[index] }
      if old.indices.contains(0x11) { attribute[0x11] = old[0x11] }
    }
    adapter.loadRegisters(
      VGARegisterSet(
        misc: parameters.miscellaneous, sequencer: [0x03] + parameters.sequencer,
        crtc: parameters.crtController, graphics: parameters.graphics, attribute: attribute))
  }

  private func loadDefaultColors(_ kind: VideoPaletteKind, _ data: VideoBIOSData) {
    var colors = VideoPalette.colors(kind)
    if data.options & VideoBIOSData.Option.greySumming != 0 { colors = colors.map(\.grey) }
    adapter.loadPalette(first: 0, colors.map { ($0.red, $0.green, $0.blue) })
  }

  private func clearText() {
    var blanks = [UInt8](repeating: 0x20, count: VideoAdapter.textBytes)
    for index in stride(from: 1, to: blanks.count, by: 2) { blanks[index] = 0x07 }
    adapter.writeText(offset: 0, bytes: blanks)
  }

  /// Enters the mode into the data area and the font vectors.
  private func describe(
    _ mode: VideoMode, _ parameters: VideoParameters, clear: Bool, _ data: VideoBIOSData
  ) {
    data.mode = mode.number
    data.columns = UInt16(parameters.columns)
    data.pageSize = parameters.pageSize
    data.pageStart = 0
    for page in UInt8(0)..<8 { data.setCursor(page, row: 0, column: 0) }
    data.page = 0
    data.controllerPort = mode.isMonochrome ? 0x3B4 : 0x3D4
    data.modeRegister = mode.modeRegister
    data.colorRegister = mode.number == 6 ? 0x3F : 0x30
    data.lastRow = parameters.rows &- 1
    data.characterHeight = UInt16(parameters.height)
    data.control = data.control & 0x7F | (clear ? 0 : 0x80)
    data.options |= VideoBIOSData.Option.vgaActive
    data.setPointer(
      VideoBIOSData.Vector.graphicsFont, segment: VideoROM.segment,
      offset: FontData.offset(height: Int(parameters.height)))
    if mode.layout == .text {
      setCursorShape(mode.number == 7 ? 0x0B0C : 0x0607, data)
    } else {
      data.cursorShape = 0
    }
    placeCursor(data)
  }

  /// 05h: shows page `page` of those that there are.
  func showPage(_ page: UInt8, _ data: VideoBIOSData) {
    guard page < 8, let layout = currentLayout(data) else { return }
    let start = Int(page) * Int(data.pageSize)
    let address: Int
    switch layout {
    case .text: address = start / 2
    case .planar: address = start
    default: return
    }
    guard start < (layout == .text ? VideoAdapter.textBytes : 0x1_0000) else { return }
    data.page = page
    data.pageStart = UInt16(truncatingIfNeeded: start)
    adapter.setRegister(.crtc(0x0C), to: UInt8(truncatingIfNeeded: address >> 8))
    adapter.setRegister(.crtc(0x0D), to: UInt8(truncatingIfNeeded: address))
    placeCursor(data)
  }

  /// 0Fh: AL mode, AH columns, BH page.
  func reportMode(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    call.al = data.mode | data.control & 0x80
    call.ah = UInt8(truncatingIfNeeded: data.columns)
    call.bh = data.page
  }
}
