import Display
import KVMEngine

/// The video services, INT 10h (IBM PS/2 and PC BIOS Interface Technical Reference, INT 10h; VESA
/// BIOS Extension 3.0 for function 4Fh).
///
/// All state lies where programs look for it: in the BIOS data area, the interrupt vectors 1Fh and
/// 43h, and the adapter's registers. The services hold nothing of their own, so that a program that
/// changes one of these is understood, and a restored machine goes on as it was.
///
/// Not modelled: light pen (function 04h answers that there is none), a second display (12h, 35h),
/// fonts, palettes and mode tables through save pointers, and the bell, which makes no sound.
public final class VideoBIOS: FirmwareService {
  let adapter: VideoAdapter
  private let space: AddressSpace

  /// - Parameter space: guest memory, for what the firmware shows by itself.
  public init(adapter: VideoAdapter, space: AddressSpace) {
    self.adapter = adapter
    self.space = space
  }

  /// The data area as real-mode code addresses it.
  private var ownData: VideoBIOSData {
    VideoBIOSData(memory: LinearMemory(space: space, system: SystemRegisters()))
  }

  /// POST's part: fields of the data area and vectors, then an empty screen in mode 3.
  public func powerOn() {
    let data = ownData
    initialize(data)
    setMode(3, clear: true, data)
  }

  /// Gives the fields of the data area that no mode set touches their first values. A mode set does
  /// it by itself where the data area is empty, as POST leaves it.
  func initialize(_ data: VideoBIOSData) {
    data.control = 0x60
    data.switches = 0xF9
    data.options = VideoBIOSData.Option.vgaActive | VideoBIOSData.Option.lines400
    data.combination = 0x0B
    data.savePointers = UInt32(VideoROM.segment) << 16 | UInt32(VideoROM.savePointers)
    data.setPointer(
      VideoBIOSData.Vector.upperFont, segment: VideoROM.segment,
      offset: VideoROM.layout.font_8x8_high)
  }

  /// Clears the screen and shows `lines` from its top on, the cursor below them: what the firmware
  /// has to say to the person at the screen. A line that is too long goes on in the next row.
  public func showMessage(_ lines: [String]) {
    let data = ownData
    setMode(3, clear: true, data)
    for line in lines {
      for scalar in line.unicodeScalars {
        let code = scalar.value
        teletype((0x20..<0x7F).contains(code) ? UInt8(code) : 0x3F, color: 7, page: 0, data)
      }
      teletype(0x0D, color: 7, page: 0, data)
      teletype(0x0A, color: 7, page: 0, data)
    }
  }

  public func serve(_ call: inout FirmwareCall) -> FirmwareOutcome {
    let data = VideoBIOSData(memory: call.memory)
    switch call.ah {
    case 0x00: setMode(&call, data)
    case 0x01: setCursorShape(call.cx, data)
    case 0x02: moveCursor(page: call.bh, row: call.dh, column: call.dl, data)
    case 0x03: readCursor(&call, data)
    case 0x04: call.ah = 0
    case 0x05: showPage(call.al, data)
    case 0x06: scroll(call, up: true, data)
    case 0x07: scroll(call, up: false, data)
    case 0x08: readCharacter(&call, data)
    case 0x09, 0x0A: writeCharacters(call, data)
    case 0x0B: setColors(call, data)
    case 0x0C: writePixel(call, data)
    case 0x0D: readPixel(&call, data)
    case 0x0E: teletype(call.al, color: call.bl, page: data.page, data)
    case 0x0F: reportMode(&call, data)
    case 0x10: servePalette(&call, data)
    case 0x11: serveFonts(&call, data)
    case 0x12: serveSelections(&call, data)
    case 0x13: writeString(call, data)
    case 0x1A: serveCombination(&call, data)
    case 0x1B: reportState(&call, data)
    case 0x1C: serveSavedState(&call, data)
    case 0x4F: serveVESA(&call, data)
    default: break
    }
    return .done
  }

  /// The mode that the data area names; mode 3's facts where it names none that there is.
  func currentMode(_ data: VideoBIOSData) -> VideoMode? {
    VideoMode.find(data.mode & 0x7F, textLines: data.textLines)
  }

  /// How the screen's memory is to be written; nil while a mode of the VESA functions is set that
  /// has no text.
  func currentLayout(_ data: VideoBIOSData) -> VideoLayout? {
    if adapter.dispiState.enabled { return nil }
    return currentMode(data)?.layout ?? .text
  }
}
