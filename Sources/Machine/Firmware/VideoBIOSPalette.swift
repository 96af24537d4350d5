import Display
import KVMEngine

/// Functions 0Bh and 10h: colours.
extension VideoBIOS {
  private static let palettePageBit: UInt8 = 0x80
  private static let blinkBit: UInt8 = 0x08
  private static let overscan = 0x11

  // MARK: 0Bh, the CGA's colours

  /// 0Bh: BH = 0 sets border and background, otherwise chooses one of the two palettes of mode 4.
  func setColors(_ call: FirmwareCall, _ data: VideoBIOSData) {
    if call.bh == 0 {
      data.colorRegister = data.colorRegister & 0xE0 | call.bl & 0x1F
    } else {
      data.colorRegister = data.colorRegister & 0xDF | (call.bl & 1) << 5
    }
    let register = data.colorRegister
    let bright = register & 0x10
    if call.bh == 0 {
      let color = register & 0x07 | (register & 0x08) << 1
      adapter.setRegister(.attribute(Self.overscan), to: color)
      guard currentLayout(data) != .text else { return }
      adapter.setRegister(.attribute(0), to: color)
    }
    guard currentLayout(data) == .cgaFourColors else { return }
    for index in UInt8(1)...3 {
      let color = index << 1 | register >> 5 & 1 | bright
      adapter.setRegister(.attribute(Int(index)), to: color)
    }
  }

  // MARK: 10h, palette and DAC

  func servePalette(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    switch call.al {
    case 0x00:
      if call.bl <= 0x14 { adapter.setRegister(.attribute(Int(call.bl)), to: call.bh) }
    case 0x01: adapter.setRegister(.attribute(Self.overscan), to: call.bh)
    case 0x02: loadRegisters(call)
    case 0x03: setBlinking(call.bl & 1 != 0, data)
    case 0x07:
      if call.bl <= 0x14 { call.bh = adapter.register(.attribute(Int(call.bl))) }
    case 0x08: call.bh = adapter.register(.attribute(Self.overscan))
    case 0x09: storeRegisters(call)
    case 0x10: setColors(first: call.bl, [(call.dh, call.ch, call.cl)], data)
    case 0x12: loadColors(call, data)
    case 0x13: selectColorPage(call)
    case 0x15: readColor(&call)
    case 0x17: storeColors(call)
    case 0x18: adapter.setRegister(.pelMask, to: call.bl)
    case 0x19: call.bl = adapter.register(.pelMask)
    case 0x1A: readColorPage(&call)
    case 0x1B: sumToGrey(first: call.bl, count: Int(call.cx))
    default: break
    }
  }

  /// 02h: the 16 palette registers and the border from ES:DX on.
  private func loadRegisters(_ call: FirmwareCall) {
    let values = call.memory.bytes(at: call.esAddress(call.dx), count: 17)
    for index in 0..<16 { adapter.setRegister(.attribute(index), to: values[index]) }
    adapter.setRegister(.attribute(Self.overscan), to: values[16])
  }

  /// 09h: the same to ES:DX.
  private func storeRegisters(_ call: FirmwareCall) {
    var values = (0..<16).map { adapter.register(.attribute($0)) }
    values.append(adapter.register(.attribute(Self.overscan)))
    call.memory.write(call.esAddress(call.dx), bytes: values)
  }

  /// 03h: attribute bit 7 blinks, or is the background's intensity.
  private func setBlinking(_ blinks: Bool, _ data: VideoBIOSData) {
    let control = adapter.register(.attribute(0x10))
    adapter.setRegister(
      .attribute(0x10), to: blinks ? control | Self.blinkBit : control & ~Self.blinkBit)
    data.modeRegister = blinks ? data.modeRegister | 0x20 : data.modeRegister & ~0x20
  }

  /// Sets colours, as shades of grey where the option is on.
  private func setColors(
    first: UInt8, _ colors: [(UInt8, UInt8, UInt8)], _ data: VideoBIOSData
  ) {
    guard data.options & VideoBIOSData.Option.greySumming != 0 else {
      return adapter.loadPalette(first: first, colors)
    }
    adapter.loadPalette(first: first, colors.map(Self.grey))
  }

  private static func grey(_ color: (UInt8, UInt8, UInt8)) -> (UInt8, UInt8, UInt8) {
    let grey = VideoPalette.Color(color.0, color.1, color.2).grey
    return (grey.red, grey.green, grey.blue)
  }

  /// 12h: CX colours from ES:DX on to BX.
  private func loadColors(_ call: FirmwareCall, _ data: VideoBIOSData) {
    let count = min(Int(call.cx), 256 - Int(call.bl))
    let bytes = call.memory.bytes(at: call.esAddress(call.dx), count: count * 3)
    let colors = stride(from: 0, to: bytes.count, by: 3).map {
      (bytes[$0], bytes[$0 + 1], bytes[$0 + 2])
    }
    setColors(first: call.bl, colors, data)
  }

  /// 15h: DH, CH, CL are red, green and blue of colour BX.
  private func readColor(_ call: inout FirmwareCall) {
    guard let color = adapter.readPalette(first: call.bl, count: 1).first else { return }
    call.dh = color.0
    call.ch = color.1
    call.cl = color.2
  }

  /// 17h: CX colours from BX on to ES:DX.
  private func storeColors(_ call: FirmwareCall) {
    let colors = adapter.readPalette(first: call.bl, count: Int(call.cx))
    call.memory.write(call.esAddress(call.dx), bytes: colors.flatMap { [$0.0, $0.1, $0.2] })
  }

  /// 13h: BL = 0: BH chooses 4 pages of 64 or 16 of 16 colours; BL = 1: BH is the page.
  private func selectColorPage(_ call: FirmwareCall) {
    let control = adapter.register(.attribute(0x10))
    if call.bl == 0 {
      adapter.setRegister(
        .attribute(0x10),
        to: call.bh & 1 != 0 ? control | Self.palettePageBit : control & ~Self.palettePageBit)
    } else if call.bl == 1 {
      let page = control & Self.palettePageBit == 0 ? (call.bh & 3) << 2 : call.bh & 0x0F
      adapter.setRegister(.attribute(0x14), to: page)
    }
  }

  /// 1Ah: what 13h set.
  private func readColorPage(_ call: inout FirmwareCall) {
    let small = adapter.register(.attribute(0x10)) & Self.palettePageBit != 0
    let select = adapter.register(.attribute(0x14)) & 0x0F
    call.bl = small ? 1 : 0
    call.bh = small ? select : select >> 2
  }

  /// 1Bh: `count` colours from `first` on become as grey as they are bright.
  private func sumToGrey(first: UInt8, count: Int) {
    let colors = adapter.readPalette(first: first, count: count)
    adapter.loadPalette(first: first, colors.map(Self.grey))
  }
}
