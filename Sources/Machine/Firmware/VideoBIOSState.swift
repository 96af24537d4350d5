import Display
import KVMEngine

/// Functions 1Bh and 1Ch: the state of the display, to be known or to be kept.
extension VideoBIOS {
  // MARK: 1Bh

  /// 1Bh: 64 bytes about the display to ES:DI, for BX = 0.
  func reportState(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    guard call.bx == 0 else { return }
    let mode = currentMode(data)
    var block = [UInt8](repeating: 0, count: 64)
    func put(_ value: UInt16, _ offset: Int) {
      block[offset] = UInt8(value & 0xFF)
      block[offset + 1] = UInt8(value >> 8)
    }
    put(VideoROM.functionality, 0)
    put(VideoROM.segment, 2)
    block.replaceSubrange(4..<34, with: data.lowBytes)
    block[0x22] = UInt8(truncatingIfNeeded: data.rows)
    put(data.characterHeight, 0x23)
    block[0x25] = Self.vgaColor
    put(mode?.colors ?? 0, 0x27)
    block[0x29] = mode?.pages ?? 1
    block[0x2A] = scanLineCode(mode?.height ?? 0)
    let maps = adapter.register(.sequencer(3))
    block[0x2B] = maps & 3 | maps >> 2 & 4
    block[0x2C] = maps >> 2 & 3 | maps >> 3 & 4
    block[0x2D] = stateFlags(data)
    block[0x31] = 3
    call.memory.write(call.esAddress(call.di), bytes: block)
    call.al = 0x1B
  }

  private func scanLineCode(_ lines: Int) -> UInt8 {
    switch lines {
    case 200: 0
    case 350: 1
    case 400: 2
    default: 3
    }
  }

  private func stateFlags(_ data: VideoBIOSData) -> UInt8 {
    typealias Option = VideoBIOSData.Option
    var flags: UInt8 = 0x01
    if data.options & Option.greySumming != 0 { flags |= 0x02 }
    if data.mode == 7 { flags |= 0x04 }
    if data.options & Option.keepPalette != 0 { flags |= 0x08 }
    if data.control & 1 == 0 { flags |= 0x10 }
    if adapter.register(.attribute(0x10)) & 0x08 != 0 { flags |= 0x20 }
    return flags
  }

  // MARK: 1Ch

  /// Which parts of the state are meant; each is stored in whole blocks of 64 bytes.
  struct StateParts: OptionSet {
    let rawValue: UInt16
    static let hardware = StateParts(rawValue: 1)
    static let data = StateParts(rawValue: 2)
    static let colors = StateParts(rawValue: 4)
    /// Of VESA function 04h alone.
    static let linearMode = StateParts(rawValue: 8)

    var blocks: Int {
      (contains(.hardware) ? 1 : 0) + (contains(.data) ? 1 : 0) + (contains(.colors) ? 12 : 0)
        + (contains(.linearMode) ? 1 : 0)
    }
  }

  /// 1Ch: CX says which parts; AL = 0 tells in BX how many blocks of 64 bytes they need, 1 stores
  /// them at ES:BX, 2 brings them back.
  func serveSavedState(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    let parts = StateParts(rawValue: call.cx & 7)
    guard !parts.isEmpty else { return }
    switch call.al {
    case 0: call.bx = UInt16(parts.blocks)
    case 1: call.memory.write(call.esAddress(call.bx), bytes: saveState(parts, data))
    case 2:
      restoreState(
        parts, call.memory.bytes(at: call.esAddress(call.bx), count: parts.blocks * 64), data)
    default: return
    }
    call.al = 0x1C
  }

  func saveState(_ parts: StateParts, _ data: VideoBIOSData) -> [UInt8] {
    var result: [UInt8] = []
    func add(_ bytes: [UInt8], blocks: Int = 1) {
      result += bytes + [UInt8](repeating: 0, count: max(0, blocks * 64 - bytes.count))
    }
    if parts.contains(.hardware) {
      let set = adapter.registers
      add([set.misc, set.pelMask] + set.sequencer + set.crtc + set.graphics + set.attribute)
    }
    if parts.contains(.data) {
      add(
        data.lowBytes + data.highBytes
          + [0xA8 + 0x400, VideoBIOSData.Vector.upperFont, VideoBIOSData.Vector.graphicsFont]
          .flatMap { data.memory.bytes(at: $0, count: 4) })
    }
    if parts.contains(.colors) {
      let colors = adapter.readPalette(first: 0, count: 256)
      add(colors.flatMap { [$0.0, $0.1, $0.2] }, blocks: 12)
    }
    if parts.contains(.linearMode) { add(saveLinearMode()) }
    return result
  }

  func restoreState(_ parts: StateParts, _ bytes: [UInt8], _ data: VideoBIOSData) {
    var rest = bytes[...]
    func take(_ blocks: Int) -> [UInt8] {
      defer { rest = rest.dropFirst(blocks * 64) }
      return [UInt8](rest.prefix(blocks * 64))
    }
    let hardware = parts.contains(.hardware) ? take(1) : []
    let area = parts.contains(.data) ? take(1) : []
    let colors = parts.contains(.colors) ? take(12) : []
    let linear = parts.contains(.linearMode) ? take(1) : []
    if !linear.isEmpty { restoreLinearMode(linear) }
    if !hardware.isEmpty { restoreHardware(hardware) }
    if !area.isEmpty { restoreData(area, data) }
    if !colors.isEmpty {
      adapter.loadPalette(
        first: 0,
        stride(from: 0, to: colors.count - 2, by: 3).map {
          (colors[$0], colors[$0 + 1], colors[$0 + 2])
        })
    }
  }

  private func restoreHardware(_ bytes: [UInt8]) {
    guard bytes.count >= 62 else { return }
    adapter.loadRegisters(
      VGARegisterSet(
        misc: bytes[0], sequencer: [UInt8](bytes[2..<7]), crtc: [UInt8](bytes[7..<32]),
        graphics: [UInt8](bytes[32..<41]), attribute: [UInt8](bytes[41..<62]), pelMask: bytes[1]))
  }

  private func restoreData(_ bytes: [UInt8], _ data: VideoBIOSData) {
    guard bytes.count >= 49 else { return }
    data.lowBytes = [UInt8](bytes[0..<30])
    data.highBytes = [UInt8](bytes[30..<37])
    data.memory.write(0x4A8, bytes: [UInt8](bytes[37..<41]))
    data.memory.write(VideoBIOSData.Vector.upperFont, bytes: [UInt8](bytes[41..<45]))
    data.memory.write(VideoBIOSData.Vector.graphicsFont, bytes: [UInt8](bytes[45..<49]))
  }
}
