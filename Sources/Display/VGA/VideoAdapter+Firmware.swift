import KVMEngine

/// The VGA's registers that make a mode, as the VGA BIOS keeps them in its parameter tables. Arrays
/// are as long as the chip has registers; what is missing is zero, what is too much is ignored.
public struct VGARegisterSet: Codable, Equatable, Sendable {
  /// Miscellaneous output register.
  public var misc: UInt8
  /// Sequencer registers 0 to 4.
  public var sequencer: [UInt8]
  /// CRT controller registers 0 to 18h.
  public var crtc: [UInt8]
  /// Graphics controller registers 0 to 8.
  public var graphics: [UInt8]
  /// Attribute controller registers 0 to 14h.
  public var attribute: [UInt8]
  public var pelMask: UInt8

  public init(
    misc: UInt8, sequencer: [UInt8], crtc: [UInt8], graphics: [UInt8], attribute: [UInt8],
    pelMask: UInt8 = 0xFF
  ) {
    self.misc = misc
    self.sequencer = sequencer
    self.crtc = crtc
    self.graphics = graphics
    self.attribute = attribute
    self.pelMask = pelMask
  }
}

/// One register of the VGA.
public enum VGARegister: Sendable, Equatable {
  case misc
  case sequencer(Int)
  case crtc(Int)
  case graphics(Int)
  case attribute(Int)
  case pelMask
}

/// The Bochs display interface's state.
public struct DispiState: Sendable, Equatable {
  public var enabled: Bool
  public var width: Int
  public var height: Int
  /// Bits per pixel: 4, 8, 15, 16, 24 or 32.
  public var bpp: Int
  /// The guest asked for the linear frame buffer (which is always there).
  public var linear: Bool
  /// Pixels from one row to the next.
  public var virtualWidth: Int
  /// Rows that fit into the memory.
  public var virtualHeight: Int
  /// The pixel at the screen's top left corner.
  public var x: Int
  public var y: Int
  /// Which 64 KiB are at A0000h.
  public var bank: Int
  /// The DAC has 8-bit components.
  public var wideDAC: Bool
  /// Bytes from one row to the next (4 bits per pixel: of one plane).
  public var pitch: Int
}

/// The adapter as the video BIOS drives it, without the cost of an exit each.
extension VideoAdapter {
  // MARK: Registers

  /// Programs all registers at once, turns the screen on, and shows the legacy memory as the mode
  /// allows. Does not touch the DAC's colours, the memory, or the Bochs display interface.
  public func loadRegisters(_ set: VGARegisterSet) {
    func value(_ list: [UInt8], _ index: Int) -> UInt8 {
      list.indices.contains(index) ? list[index] : 0
    }
    state.withLock { live in
      live.chips.misc = set.misc
      for n in 0..<Sequencer.count { live.chips.sequencer.set(n, value(set.sequencer, n)) }
      for n in 0..<CRTController.count { live.chips.crtc.set(n, value(set.crtc, n)) }
      for n in 0..<GraphicsController.count { live.chips.graphics.set(n, value(set.graphics, n)) }
      for n in 0..<AttributeController.count {
        live.chips.attribute.set(n, value(set.attribute, n))
      }
      live.chips.attribute.index = 0x20
      live.chips.attribute.expectsData = false
      live.chips.dac.pelMask = set.pelMask
      live.paletteIsStale = true
      reconsider(&live)
      present(&live)
      changed(&live)
    }
  }

  /// All registers as they are.
  public var registers: VGARegisterSet {
    state.withLock { live in
      VGARegisterSet(
        misc: live.chips.misc, sequencer: live.chips.sequencer.registers,
        crtc: live.chips.crtc.registers, graphics: live.chips.graphics.registers,
        attribute: live.chips.attribute.registers, pelMask: live.chips.dac.pelMask)
    }
  }

  /// One register as it is; one that does not exist is zero.
  public func register(_ register: VGARegister) -> UInt8 {
    state.withLock { live in
      switch register {
      case .misc: live.chips.misc
      case .sequencer(let number): live.chips.sequencer[number]
      case .crtc(let number): live.chips.crtc[number]
      case .graphics(let number): live.chips.graphics[number]
      case .attribute(let number): live.chips.attribute[number]
      case .pelMask: live.chips.dac.pelMask
      }
    }
  }

  /// Sets one register, whether or not it is protected.
  public func setRegister(_ register: VGARegister, to value: UInt8) {
    state.withLock { live in
      switch register {
      case .misc: setMisc(&live, value)
      case .sequencer(let number): setSequencer(&live, number, value)
      case .crtc(let number):
        crtcChanged(&live, number, live.chips.crtc.set(number, value))
      case .graphics(let number): setGraphics(&live, number, value)
      case .attribute(let number): setAttribute(&live, number, value)
      case .pelMask: setPelMask(&live, value)
      }
    }
  }

  /// Puts the text cursor on the cell `offset` cells from the start of the text memory (the CRT
  /// controller's registers 0Eh and 0Fh).
  public func setCursor(offset: UInt16) {
    state.withLock { live in
      let high = live.chips.crtc.set(0x0E, UInt8(offset >> 8))
      let low = live.chips.crtc.set(0x0F, UInt8(offset & 0xFF))
      crtcChanged(&live, 0x0E, high | low)
    }
  }

  // MARK: Colours

  /// Sets colours from `first` on, components of 6 bits; what would pass colour 255 is ignored.
  public func loadPalette(first: UInt8, _ rgb6: [(UInt8, UInt8, UInt8)]) {
    state.withLock { live in
      for (index, color) in rgb6.enumerated() {
        guard let entry = UInt8(exactly: Int(first) + index) else { break }
        let mask: UInt8 = live.chips.dac.isWide ? 0xFF : 0x3F
        _ = live.chips.dac.setColor(entry, (color.0 & mask, color.1 & mask, color.2 & mask))
      }
      live.paletteIsStale = true
      changed(&live)
    }
  }

  /// `count` colours from `first` on as they were set; fewer where they would pass colour 255.
  public func readPalette(first: UInt8, count: Int) -> [(UInt8, UInt8, UInt8)] {
    state.withLock { live in
      (0..<max(0, min(count, 256 - Int(first)))).map { live.chips.dac.color(first + UInt8($0)) }
    }
  }

  // MARK: Fonts

  /// Stores glyphs in font map `map`, 0 to 7, of plane 2.
  /// - Parameters:
  ///   - first: the first character; what would pass character 255 is ignored.
  ///   - height: bytes of a glyph, 1 to 32.
  ///   - glyphs: `height` bytes each, top line first, leftmost dot in bit 7.
  public func loadFont(map: Int, first: Int, height: Int, glyphs: [UInt8]) {
    guard (1...32).contains(height), first >= 0 else { return }
    let base = Sequencer.fontOffset(map & 7)
    state.withLock { live in
      for (index, byte) in glyphs.enumerated() {
        let character = first + index / height
        guard character < 256 else { break }
        memory.setByte((base + character * 32 + index % height) * 4 + 2, byte)
      }
      live.dirty.mark((base * 4)..<(base * 4 + 0x8000))
      changed(&live)
    }
  }

  // MARK: Planes

  /// Zeroes the four planes (256 KiB, fonts too) and the text window.
  public func clearMemory() {
    state.withLock { live in
      memory.clear(VideoMemory.planeBytes)
      memory.clearText()
      live.dirty.mark(0..<VideoMemory.planeBytes)
      live.dirty.text = ~0
      changed(&live)
    }
  }

  /// The byte of plane `plane`, 0 to 3, at `offset`.
  public func readPlane(_ plane: Int, offset: Int) -> UInt8 {
    state.withLock { live in
      isInText(live, plane, offset)
        ? memory.textByte(offset + plane) : memory.byte(Self.planeByte(plane, offset))
    }
  }

  /// Sets the byte of plane `plane`, 0 to 3, at `offset`.
  public func writePlane(_ plane: Int, offset: Int, _ value: UInt8) {
    state.withLock { live in
      if isInText(live, plane, offset) {
        memory.setTextByte(offset + plane, value)
        live.dirty.markText(byte: offset + plane)
      } else {
        let place = Self.planeByte(plane, offset)
        memory.setByte(place, value)
        live.dirty.mark(byte: place)
      }
      notify(&live)
    }
  }

  /// Fills `count` bytes from `offset` on in all planes: FFh in those whose bit of `color` is set, 00h
  /// in the others, so that 8 pixels a byte get that colour.
  public func fillPlanes(offset: Int, count: Int, color: UInt8) {
    let word = PlanarMemory.planes(color)
    let bounded = max(0, min(count, VideoMemory.wordMask + 1))
    state.withLock { live in
      for index in 0..<bounded {
        memory.setWord(offset &+ index, word)
        live.dirty.mark(byte: (offset &+ index) &<< 2)
      }
      notify(&live)
    }
  }

  /// Copies `count` bytes of all planes from offset `source` on to `target`, as if by way of a
  /// buffer.
  public func copyPlanes(from source: Int, to target: Int, count: Int) {
    let bounded = max(0, min(count, VideoMemory.wordMask + 1))
    state.withLock { live in
      for step in 0..<bounded {
        let index = source < target ? bounded - 1 - step : step
        memory.setWord(target &+ index, memory.word(source &+ index))
        live.dirty.mark(byte: (target &+ index) &<< 2)
      }
      notify(&live)
    }
  }

  private static func planeByte(_ plane: Int, _ offset: Int) -> Int {
    (offset & VideoMemory.wordMask) << 2 | plane & 3
  }

  private func isInText(_ live: borrowing Live, _ plane: Int, _ offset: Int) -> Bool {
    live.chips.textInWindow && plane & 3 < 2 && offset & 1 == 0
      && (0..<VideoMemory.textBytes).contains(offset)
  }
}
