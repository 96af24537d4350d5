import Glibc
import KVMEngine

/// Text and linear memory, and the Bochs display interface, as the video BIOS drives them.
extension VideoAdapter {
  // MARK: Text

  /// `count` bytes of the text window from byte `offset` on: character, attribute, character...
  /// Fewer where they would leave its 32 KiB.
  public func readText(offset: Int, count: Int) -> [UInt8] {
    let range = Self.clamp(offset, count, Self.textBytes)
    return state.withLock { live in
      range.map { place in
        live.chips.textInWindow
          ? memory.textByte(place) : memory.byte((place & ~1) << 2 | place & 1)
      }
    }
  }

  /// Stores `bytes` in the text window from byte `offset` on; what would leave its 32 KiB is
  /// ignored.
  public func writeText(offset: Int, bytes: [UInt8]) {
    let range = Self.clamp(offset, bytes.count, Self.textBytes)
    state.withLock { live in
      for (place, byte) in zip(range, bytes) {
        if live.chips.textInWindow {
          memory.setTextByte(place, byte)
          live.dirty.markText(byte: place)
        } else {
          memory.setByte((place & ~1) << 2 | place & 1, byte)
          live.dirty.mark(byte: place << 2)
        }
      }
      notify(&live)
    }
  }

  // MARK: Linear memory

  /// `count` bytes of the visible memory from `offset` on; fewer where they would leave its 16 MiB.
  /// In mode 13h and in the linear modes these are the pixels.
  public func readLinear(offset: Int, count: Int) -> [UInt8] {
    // SAFETY: `clamp` keeps the range in the visible memory.
    let range = Self.clamp(offset, count, Self.visibleBytes)
    return Array(
      UnsafeRawBufferPointer(start: memory.visible + range.lowerBound, count: range.count))
  }

  /// Stores `bytes` in the visible memory from `offset` on; what would leave its 16 MiB is ignored.
  public func writeLinear(offset: Int, bytes: [UInt8]) {
    let range = Self.clamp(offset, bytes.count, Self.visibleBytes)
    state.withLock { live in
      // SAFETY: `clamp` keeps the range in the visible memory and within `bytes`.
      bytes.withUnsafeBytes { source in
        guard let start = source.baseAddress else { return }
        memcpy(memory.visible + range.lowerBound, start, range.count)
      }
      live.dirty.mark(range)
      notify(&live)
    }
  }

  /// Fills `count` bytes of the visible memory from `offset` on.
  public func fillLinear(offset: Int, count: Int, _ value: UInt8) {
    let range = Self.clamp(offset, count, Self.visibleBytes)
    state.withLock { live in
      // SAFETY: `clamp` keeps the range in the visible memory.
      memset(memory.visible + range.lowerBound, Int32(value), range.count)
      live.dirty.mark(range)
      notify(&live)
    }
  }

  private static func clamp(_ offset: Int, _ count: Int, _ size: Int) -> Range<Int> {
    let first = min(max(offset, 0), size)
    return first..<(first + min(max(count, 0), size - first))
  }

  // MARK: The Bochs display interface

  /// Sets a linear mode, `bpp` 4, 8, 15, 16, 24 or 32, up to 2560x1600, and turns the screen on.
  /// `clear` zeroes the memory that it shows. Returns false, with nothing changed, where there is
  /// no such mode.
  @discardableResult
  public func dispiMode(
    width: Int, height: Int, bpp: Int, linear: Bool, clear: Bool, wideDAC: Bool = false
  ) -> Bool {
    state.withLock { live in
      let set = live.chips.dispi.setMode(
        width: width, height: height, depth: bpp, linear: linear, clear: clear, wideDAC: wideDAC)
      guard let set else { return false }
      live.chips.attribute.index |= 0x20
      _ = live.chips.sequencer.set(1, live.chips.sequencer[1] & ~0x20)
      apply(set, &live)
      return live.chips.dispi.isEnabled
    }
  }

  /// Back to the VGA's own modes, as its registers have them.
  public func disableDispi() {
    state.withLock { live in apply(live.chips.dispi.disable(), &live) }
  }

  public var dispiState: DispiState {
    state.withLock { live in
      let dispi = live.chips.dispi
      return DispiState(
        enabled: dispi.isEnabled, width: Int(dispi.width), height: Int(dispi.height),
        bpp: Int(dispi.depth), linear: dispi.enable & BochsDispi.linearBit != 0,
        virtualWidth: Int(dispi.virtualWidth), virtualHeight: dispi.virtualHeight,
        x: Int(dispi.x), y: Int(dispi.y), bank: Int(dispi.bank), wideDAC: dispi.wideDAC,
        pitch: dispi.pitch)
    }
  }

  /// Puts pixel (x, y) of the virtual screen at the top left corner, kept inside.
  public func setDisplayStart(x: Int, y: Int) {
    state.withLock { live in
      apply(
        live.chips.dispi.setOffset(x: UInt16(clamping: x), y: UInt16(clamping: y)), &live)
    }
  }

  /// Pixels from one row to the next in a linear mode. A value that does not fit is ignored.
  public var virtualWidth: Int {
    get { state.withLock { Int($0.chips.dispi.virtualWidth) } }
    set {
      state.withLock { live in
        apply(live.chips.dispi.setVirtualWidth(UInt16(clamping: newValue)), &live)
      }
    }
  }

  /// Which 64 KiB of the visible memory are at A0000h, 0 to 255, in a linear mode.
  public var bank: Int {
    get { state.withLock { Int($0.chips.dispi.bank) } }
    set {
      state.withLock { live in
        apply(live.chips.dispi.setBank(UInt16(clamping: newValue)), &live)
      }
    }
  }

  /// Gives components of 8 bits to the DAC, or 6 again, in a linear mode.
  public var hasWideDAC: Bool {
    get { state.withLock { $0.chips.dispi.wideDAC } }
    set {
      state.withLock { live in
        apply(live.chips.dispi.setWideDAC(newValue), &live)
      }
    }
  }

  /// Does what a change of the interface asks for.
  func apply(_ effect: BochsDispi.Effect, _ live: inout Live) {
    let dispi = live.chips.dispi
    live.chips.dac.isWide = dispi.isEnabled && dispi.wideDAC
    if !effect.isEmpty { reconsider(&live) }
    if effect.contains(.clear) {
      let shown = dispi.pitch * Int(dispi.height) * (dispi.depth == 4 ? 4 : 1)
      memory.clear(max(shown, VideoMemory.planeBytes))
      live.dirty.mark(0..<shown)
    }
    if effect.contains(.picture) {
      live.paletteIsStale = true
      changed(&live)
    }
  }
}
