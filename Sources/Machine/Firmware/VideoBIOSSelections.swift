import Display

/// Functions 12h and 1Ah: what the adapter is and what may be chosen about it.
extension VideoBIOS {
  private static let supported: UInt8 = 0x12
  /// A VGA with a colour display.
  static let vgaColor: UInt8 = 0x08

  /// 12h: BL is what to choose or to ask. AL = 12h says that it is supported.
  func serveSelections(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    switch call.bl {
    case 0x10: reportConfiguration(&call, data)
    case 0x30: selectTextLines(&call, data)
    case 0x31: choose(&call, data, VideoBIOSData.Option.keepPalette)
    case 0x32: enableAddressing(&call)
    case 0x33: choose(&call, data, VideoBIOSData.Option.greySumming, setBy: 0)
    case 0x34: chooseCursorEmulation(&call, data)
    case 0x36: enableScreen(&call)
    default: break
    }
  }

  /// 10h: BH 0 for colour, BL memory (3: 256 KiB), CH feature bits, CL switches.
  private func reportConfiguration(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    call.bh = data.controllerPort == 0x3B4 ? 1 : 0
    call.bl = 3
    call.ch = data.switches >> 4
    call.cl = data.switches & 0x0F
  }

  /// 30h: AL = 0, 1, 2 for text of 200, 350, 400 lines, from the next mode set on.
  private func selectTextLines(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    typealias Option = VideoBIOSData.Option
    let other = data.options & ~(Option.lines200 | Option.lines400)
    switch call.al {
    case 0: data.options = other | Option.lines200
    case 1: data.options = other
    case 2: data.options = other | Option.lines400
    default: return
    }
    call.al = Self.supported
  }

  /// 31h and 33h: AL = 0 or 1; `option` is set by the value `setBy`.
  private func choose(
    _ call: inout FirmwareCall, _ data: VideoBIOSData, _ option: UInt8, setBy value: UInt8 = 1
  ) {
    guard call.al <= 1 else { return }
    data.options = call.al == value ? data.options | option : data.options & ~option
    call.al = Self.supported
  }

  /// 32h: AL = 0 lets the host reach the adapter's memory, 1 does not.
  private func enableAddressing(_ call: inout FirmwareCall) {
    guard call.al <= 1 else { return }
    let misc = adapter.register(.misc)
    adapter.setRegister(.misc, to: call.al == 0 ? misc | 0x02 : misc & ~0x02)
    call.al = Self.supported
  }

  /// 34h: AL = 0 scales cursor shapes, 1 takes them as they are.
  private func chooseCursorEmulation(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    guard call.al <= 1 else { return }
    data.control = data.control & ~1 | call.al
    call.al = Self.supported
  }

  /// 36h: AL = 0 shows the picture, 1 a black screen.
  private func enableScreen(_ call: inout FirmwareCall) {
    guard call.al <= 1 else { return }
    let clocking = adapter.register(.sequencer(1))
    adapter.setRegister(.sequencer(1), to: call.al == 0 ? clocking & ~0x20 : clocking | 0x20)
    call.al = Self.supported
  }

  /// 1Ah: the displays that there are. BL is the one in use, BH the other.
  func serveCombination(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    switch call.al {
    case 0:
      call.bx = UInt16(Self.vgaColor)
      call.al = 0x1A
    case 1: call.al = 0x1A
    default: break
    }
  }
}
