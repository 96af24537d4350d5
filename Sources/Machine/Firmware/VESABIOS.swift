import Display
import KVMEngine

/// Function 4Fh: the VESA BIOS extension 3.0, on the adapter's Bochs display interface.
///
/// Not modelled: the protected mode interface (0Ah answers that there is none; entry points in ROM
/// can't trap from protected mode), refresh rates, stereo, triple buffering, and a bank switch
/// function to call directly (programs then use INT 10h).
extension VideoBIOS {
  /// What AX answers.
  private enum Status {
    static let done: UInt16 = 0x004F
    static let failed: UInt16 = 0x014F
    static let unsupported: UInt16 = 0x024F
    static let invalidNow: UInt16 = 0x034F
    /// AL that is not 4Fh: there is no such function.
    static let noFunction: UInt16 = 0x0100
  }

  func serveVESA(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    switch call.al {
    case 0x00: call.ax = reportController(call)
    case 0x01: call.ax = reportMode(call)
    case 0x02: call.ax = setVESAMode(call, data)
    case 0x03: call.ax = reportCurrentMode(&call, data)
    case 0x04: call.ax = serveVESAState(&call, data)
    case 0x05: call.ax = serveWindow(&call)
    case 0x06: call.ax = serveLineLength(&call)
    case 0x07: call.ax = serveDisplayStart(&call)
    case 0x08: call.ax = serveDACWidth(&call)
    case 0x09: call.ax = serveVESAPalette(call)
    case 0x0A: call.ax = Status.failed
    case 0x15: call.ax = serveDisplayData(&call)
    default: call.ax = Status.noFunction
    }
  }

  // MARK: 00h and 01h, information

  /// 00h: 256 bytes to ES:DI, 512 where they start with `VBE2`.
  private func reportController(_ call: FirmwareCall) -> UInt16 {
    let wantsMore = call.memory.bytes(at: call.esAddress(call.di), count: 4) == Array("VBE2".utf8)
    let modesAt = 0x22
    let textAt = 0x100
    var block = VESABlock(count: wantsMore ? 512 : 256)
    let modes = VESAMode.all.map(\.number) + [0xFFFF]
    for (index, mode) in modes.enumerated() { block.put(mode, at: modesAt + index * 2) }
    func pointer(_ offset: Int) -> UInt32 {
      UInt32(call.es) << 16 | UInt32(call.di &+ UInt16(offset))
    }
    block.put(Array("VESA".utf8), at: 0)
    block.put(UInt16(0x0300), at: 0x04)
    // The DAC can be 8 bits wide.
    block.put(UInt32(1), at: 0x0A)
    block.put(pointer(modesAt), at: 0x0E)
    block.put(UInt16(VideoAdapter.visibleBytes >> 16), at: 0x12)
    if wantsMore {
      var at = textAt
      block.put(UInt16(0x0100), at: 0x14)
      for field in [0x06, 0x16, 0x1A, 0x1E] {
        block.put(pointer(at), at: field)
        let text =
          field == 0x06 || field == 0x1A ? "Porthole VGA" : field == 0x16 ? "Porthole" : "1.0"
        block.put(Array(text.utf8), at: at)
        at += text.utf8.count + 1
      }
    } else {
      let name = Array("Porthole VGA".utf8)
      block.put(pointer(255 - name.count), at: 0x06)
      block.put(name, at: 255 - name.count)
    }
    call.memory.write(call.esAddress(call.di), bytes: block.bytes)
    return Status.done
  }

  /// 01h: 256 bytes about mode CX to ES:DI.
  private func reportMode(_ call: FirmwareCall) -> UInt16 {
    guard let mode = VESAMode.find(call.cx & 0x3FFF) else { return Status.failed }
    let block = mode.information(
      linearAddress: UInt32(truncatingIfNeeded: adapter.linearAddress ?? 0),
      memory: VideoAdapter.visibleBytes)
    call.memory.write(call.esAddress(call.di), bytes: block)
    return Status.done
  }

  // MARK: 02h and 03h, the mode

  /// 02h: BX is the mode; bit 14 asks for the linear frame buffer, bit 15 keeps the memory.
  private func setVESAMode(_ call: FirmwareCall, _ data: VideoBIOSData) -> UInt16 {
    let number = call.bx & 0x1FF
    let clear = call.bx & 0x8000 == 0
    if number < 0x100 {
      return setMode(UInt8(number & 0x7F), clear: clear, data) ? Status.done : Status.failed
    }
    let linear = call.bx & 0x4000 != 0
    guard let mode = VESAMode.find(number), !(linear && mode.isPlanar) else {
      return Status.failed
    }
    // The registers and colours of a mode with like pixels, for who uses the VGA's ports.
    if let base = VideoMode.find(mode.isPlanar ? 0x12 : 0x13), let parameters = base.parameters {
      let set = VGARegisterSet(
        misc: parameters.miscellaneous, sequencer: [0x03] + parameters.sequencer,
        crtc: parameters.crtController, graphics: parameters.graphics,
        attribute: parameters.attribute + [0])
      adapter.disableDispi()
      adapter.loadRegisters(set)
      adapter.loadPalette(
        first: 0, VideoPalette.colors(base.palette).map { ($0.red, $0.green, $0.blue) })
    }
    guard
      adapter.dispiMode(
        width: mode.width, height: mode.height, bpp: mode.depth, linear: linear, clear: clear)
    else { return Status.failed }
    describe(mode, clear: clear, data)
    return Status.done
  }

  /// Enters the mode into the data area. 40:49 gets a number that no VGA mode has.
  private func describe(_ mode: VESAMode, clear: Bool, _ data: VideoBIOSData) {
    data.mode = 0x7F
    data.columns = UInt16(clamping: mode.width / 8)
    data.lastRow = UInt8(clamping: mode.height / 16 - 1)
    data.characterHeight = 16
    data.pageStart = 0
    data.page = 0
    data.pageSize = 0
    data.cursorShape = 0
    for page in UInt8(0)..<8 { data.setCursor(page, row: 0, column: 0) }
    data.controllerPort = 0x3D4
    data.control = data.control & 0x7F | (clear ? 0 : 0x80)
  }

  /// 03h: BX the mode as it was set.
  private func reportCurrentMode(_ call: inout FirmwareCall, _ data: VideoBIOSData) -> UInt16 {
    let state = adapter.dispiState
    let kept: UInt16 = data.control & 0x80 == 0 ? 0 : 0x8000
    guard state.enabled else {
      call.bx = UInt16(data.mode & 0x7F) | kept
      return Status.done
    }
    let mode = VESAMode.find(width: state.width, height: state.height, depth: state.bpp)
    // A mode that was set through the adapter's ports and has no number.
    let number = mode?.number ?? 0x1FF
    call.bx = number | (state.linear ? 0x4000 : 0) | kept
    return Status.done
  }

  // MARK: 04h, state

  /// 04h: DL = 0 tells in BX how many blocks of 64 bytes the parts in CX need, 1 stores them at
  /// ES:BX, 2 brings them back.
  private func serveVESAState(_ call: inout FirmwareCall, _ data: VideoBIOSData) -> UInt16 {
    let parts = StateParts(rawValue: call.cx & 0x0F)
    switch call.dl {
    case 0: call.bx = UInt16(parts.blocks)
    case 1: call.memory.write(call.esAddress(call.bx), bytes: saveState(parts, data))
    case 2:
      restoreState(
        parts, call.memory.bytes(at: call.esAddress(call.bx), count: parts.blocks * 64), data)
    default: return Status.failed
    }
    return Status.done
  }

  /// The Bochs display interface as words: on, width, height, depth, linear, bank, virtual width,
  /// x, y, wide DAC.
  func saveLinearMode() -> [UInt8] {
    let state = adapter.dispiState
    var block = VESABlock(count: 64)
    let words = [
      state.enabled ? 1 : 0, state.width, state.height, state.bpp, state.linear ? 1 : 0, state.bank,
      state.virtualWidth, state.x, state.y, state.wideDAC ? 1 : 0,
    ]
    for (index, word) in words.enumerated() { block.put(UInt16(clamping: word), at: index * 2) }
    return block.bytes
  }

  func restoreLinearMode(_ bytes: [UInt8]) {
    func word(_ index: Int) -> Int {
      index * 2 + 1 < bytes.count ? Int(bytes[index * 2]) | Int(bytes[index * 2 + 1]) << 8 : 0
    }
    guard word(0) != 0 else { return adapter.disableDispi() }
    adapter.dispiMode(
      width: word(1), height: word(2), bpp: word(3), linear: word(4) != 0, clear: false,
      wideDAC: word(9) != 0)
    adapter.virtualWidth = word(6)
    adapter.setDisplayStart(x: word(7), y: word(8))
    adapter.bank = word(5)
  }

  // MARK: 05h to 07h, windows and scrolling

  /// 05h: BH = 0 sets and 1 tells the bank DX of window A (BL = 0), in units of 64 KiB.
  private func serveWindow(_ call: inout FirmwareCall) -> UInt16 {
    let state = adapter.dispiState
    guard call.bl == 0, call.bh <= 1 else { return Status.failed }
    guard state.enabled, !state.linear else { return Status.invalidNow }
    if call.bh == 1 {
      call.dx = UInt16(clamping: state.bank)
      return Status.done
    }
    guard Int(call.dx) < VideoAdapter.visibleBytes >> 16 else { return Status.failed }
    adapter.bank = Int(call.dx)
    return Status.done
  }

  /// 06h: BL = 0 sets the row length to CX pixels, 2 to CX bytes; 1 tells it, 3 the longest. BX
  /// bytes, CX pixels, DX rows that there is memory for.
  private func serveLineLength(_ call: inout FirmwareCall) -> UInt16 {
    let state = adapter.dispiState
    guard state.enabled else { return Status.invalidNow }
    // What a pixel takes of a row; in the planar mode, of a row of one plane.
    let bits = state.bpp == 4 ? 1 : (state.bpp + 7) / 8 * 8
    switch call.bl {
    case 0, 2:
      let wanted = call.bl == 0 ? Int(call.cx) : Int(call.cx) * 8 / bits
      guard wanted >= state.width else { return Status.failed }
      adapter.virtualWidth = wanted
      guard adapter.virtualWidth >= wanted else { return Status.unsupported }
    case 1: break
    case 3:
      let planes = state.bpp == 4 ? 4 : 1
      let longest = min(
        VideoAdapter.visibleBytes / planes / max(1, state.height), 0xFFFF, 0xFFFF * bits / 8)
      call.bx = UInt16(clamping: longest)
      call.cx = UInt16(clamping: longest * 8 / bits)
      call.dx = UInt16(clamping: state.height)
      return Status.done
    default: return Status.failed
    }
    let now = adapter.dispiState
    call.bx = UInt16(clamping: now.pitch)
    call.cx = UInt16(clamping: now.virtualWidth)
    call.dx = UInt16(clamping: now.virtualHeight)
    return Status.done
  }

  /// 07h: BL = 0 or 80h (during retrace) shows (CX, DX) at the top left corner, 1 tells what is.
  private func serveDisplayStart(_ call: inout FirmwareCall) -> UInt16 {
    let state = adapter.dispiState
    guard state.enabled else { return Status.invalidNow }
    switch call.bl {
    case 0x00, 0x80:
      guard Int(call.cx) + state.width <= state.virtualWidth,
        Int(call.dx) + state.height <= state.virtualHeight
      else { return Status.failed }
      adapter.setDisplayStart(x: Int(call.cx), y: Int(call.dx))
    case 0x01:
      call.bh = 0
      call.cx = UInt16(clamping: state.x)
      call.dx = UInt16(clamping: state.y)
    default: return Status.failed
    }
    return Status.done
  }

  // MARK: 08h and 09h, colours

  /// 08h: BL = 0 asks for components of BH bits, 1 asks how many they have; BH answers.
  private func serveDACWidth(_ call: inout FirmwareCall) -> UInt16 {
    let state = adapter.dispiState
    guard state.enabled, state.bpp <= 8 else { return Status.invalidNow }
    switch call.bl {
    case 0: adapter.hasWideDAC = call.bh >= 8
    case 1: break
    default: return Status.failed
    }
    call.bh = adapter.hasWideDAC ? 8 : 6
    return Status.done
  }

  /// 09h: BL = 0 or 80h sets CX colours from DX on, given as blue, green, red and a spare byte at
  /// ES:DI; 1 stores them there.
  private func serveVESAPalette(_ call: FirmwareCall) -> UInt16 {
    let address = call.esAddress(call.di)
    guard call.dx < 256 else { return Status.failed }
    let first = UInt8(call.dx & 0xFF)
    let count = min(Int(call.cx), 256 - Int(first))
    switch call.bl {
    case 0x00, 0x80:
      let bytes = call.memory.bytes(at: address, count: count * 4)
      adapter.loadPalette(
        first: first,
        stride(from: 0, to: bytes.count, by: 4).map { (bytes[$0 + 2], bytes[$0 + 1], bytes[$0]) })
    case 0x01:
      let colors = adapter.readPalette(first: first, count: count)
      call.memory.write(address, bytes: colors.flatMap { [$0.2, $0.1, $0.0, 0] })
    case 0x02, 0x03: return Status.unsupported
    default: return Status.failed
    }
    return Status.done
  }

  // MARK: 15h, the monitor

  /// 15h: BL = 0 asks for the service, 1 stores the EDID's block DX at ES:DI.
  private func serveDisplayData(_ call: inout FirmwareCall) -> UInt16 {
    switch call.bl {
    case 0:
      // One second a block at most; DDC2; the screen stays on.
      call.bx = 0x0102
      return Status.done
    case 1:
      guard call.dx == 0 else { return Status.failed }
      call.memory.write(call.esAddress(call.di), bytes: adapter.monitor.data)
      return Status.done
    default: return Status.failed
    }
  }
}
