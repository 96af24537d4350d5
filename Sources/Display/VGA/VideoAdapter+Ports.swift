import KVMEngine

/// The VGA's ports (IBM VGA Technical Reference, section 2, "VGA Programming").
extension VideoAdapter {
  /// - Parameter offset: from port 3B4h.
  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    state.withLock { live in
      var value: UInt32 = 0
      for index in 0..<width.bytes where index < 4 {
        let port = Self.ports.lowerBound &+ offset &+ UInt16(index)
        value |= UInt32(readRegisterPort(&live, port)) << UInt32(index * 8)
      }
      return value
    }
  }

  /// - Parameter offset: from port 3B4h.
  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    state.withLock { live in
      for index in 0..<width.bytes where index < 4 {
        let port = Self.ports.lowerBound &+ offset &+ UInt16(index)
        let byte = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
        writeRegisterPort(&live, port, byte)
      }
    }
  }

  /// The color and monochrome twins of a port, as the color one; nil for the twin that does not
  /// answer now.
  private func twin(_ live: borrowing Live, _ port: UInt16) -> UInt16? {
    let color = live.chips.misc & 1 != 0
    switch port {
    case 0x3B4...0x3BB: return color ? nil : port + 0x20
    case 0x3D4...0x3DB: return color ? port : nil
    default: return port
    }
  }

  private func readRegisterPort(_ live: inout Live, _ port: UInt16) -> UInt8 {
    switch twin(live, port) {
    case 0x3C0: return live.chips.attribute.index
    case 0x3C1: return live.chips.attribute[Int(live.chips.attribute.index & 0x1F)]
    case 0x3C2: return Self.switchSense
    case 0x3C3: return live.chips.subsystemEnable
    case 0x3C4: return live.chips.sequencer.index
    case 0x3C5: return live.chips.sequencer[Int(live.chips.sequencer.index)]
    case 0x3C6: return live.chips.dac.pelMask
    case 0x3C7: return live.chips.dac.state
    case 0x3C8: return live.chips.dac.writeIndex
    case 0x3C9: return live.chips.dac.readData()
    case 0x3CA: return live.chips.featureControl
    case 0x3CC: return live.chips.misc
    case 0x3CE: return live.chips.graphics.index
    case 0x3CF: return live.chips.graphics[Int(live.chips.graphics.index)]
    case 0x3D4: return live.chips.crtc.index
    case 0x3D5: return live.chips.crtc[Int(live.chips.crtc.index)]
    case 0x3DA:
      live.chips.attribute.expectsData = false
      return DisplayTiming(live.chips.crtc).status(at: clock.now())
    default: return 0xFF
    }
  }

  /// Input status 0, bit 4: a color monitor is sensed.
  private static let switchSense: UInt8 = 0x10

  private func writeRegisterPort(_ live: inout Live, _ port: UInt16, _ value: UInt8) {
    switch twin(live, port) {
    case 0x3C0: writeAttribute(&live, value)
    case 0x3C2: setMisc(&live, value)
    case 0x3C3: live.chips.subsystemEnable = value & 1
    case 0x3C4: live.chips.sequencer.index = value & 0x07
    case 0x3C5: setSequencer(&live, Int(live.chips.sequencer.index), value)
    case 0x3C6: setPelMask(&live, value)
    case 0x3C7: live.chips.dac.setReadIndex(value)
    case 0x3C8: live.chips.dac.setWriteIndex(value)
    case 0x3C9: if live.chips.dac.writeData(value) { paletteChanged(&live) }
    case 0x3CE: live.chips.graphics.index = value & 0x0F
    case 0x3CF: setGraphics(&live, Int(live.chips.graphics.index), value)
    case 0x3D4: live.chips.crtc.index = value & 0x3F
    case 0x3D5:
      let number = Int(live.chips.crtc.index)
      crtcChanged(&live, number, live.chips.crtc.write(number, value))
    case 0x3DA: live.chips.featureControl = value & 0x0B
    default: break
    }
  }

  // MARK: One register each

  private func writeAttribute(_ live: inout Live, _ value: UInt8) {
    defer { live.chips.attribute.expectsData.toggle() }
    guard !live.chips.attribute.expectsData else {
      return setAttribute(&live, Int(live.chips.attribute.index & 0x1F), value)
    }
    let changedBits = live.chips.attribute.index ^ value & 0x3F
    live.chips.attribute.index = value & 0x3F
    if changedBits & 0x20 != 0 { changed(&live) }
  }

  func setAttribute(_ live: inout Live, _ number: Int, _ value: UInt8) {
    if live.chips.attribute.set(number, value) != 0 { paletteChanged(&live) }
  }

  func setMisc(_ live: inout Live, _ value: UInt8) {
    let changedBits = live.chips.misc ^ value
    live.chips.misc = value
    if changedBits & 0x02 != 0 { reconsider(&live) }
  }

  func setSequencer(_ live: inout Live, _ number: Int, _ value: UInt8) {
    let changedBits = live.chips.sequencer.set(number, value)
    guard changedBits != 0 else { return }
    if number == 1 || number == 3 { changed(&live) } else { reconsider(&live) }
  }

  func setGraphics(_ live: inout Live, _ number: Int, _ value: UInt8) {
    let changedBits = live.chips.graphics.set(number, value)
    guard changedBits != 0 else { return }
    reconsider(&live)
    let picture = number == 5 ? changedBits & 0x60 : number == 6 ? changedBits & 0x01 : 0
    if picture != 0 { changed(&live) }
  }

  /// To be called with the bits of CRT controller register `number` that changed.
  func crtcChanged(_ live: inout Live, _ number: Int, _ changedBits: UInt8) {
    guard changedBits != 0 else { return }
    guard CRTController.cursorRegisters.contains(number) else { return changed(&live) }
    live.rescan = true
    notify(&live)
  }

  func setPelMask(_ live: inout Live, _ value: UInt8) {
    guard live.chips.dac.pelMask != value else { return }
    live.chips.dac.pelMask = value
    paletteChanged(&live)
  }

  private func paletteChanged(_ live: inout Live) {
    live.paletteIsStale = true
    changed(&live)
  }

  // MARK: The Bochs display interface

  /// The index and data ports of the Bochs display interface.
  public var dispiPorts: any PortDevice { DispiPorts(adapter: self) }

  /// Register `index` of the Bochs display interface, leaving the index port as it is.
  func readDispi(register index: UInt16) -> UInt16 {
    state.withLock { live in
      var chip = live.chips.dispi
      chip.index = index
      return chip.read()
    }
  }

  /// Writes register `index` of the Bochs display interface, leaving the index port as it is.
  func writeDispi(register index: UInt16, _ value: UInt16) {
    state.withLock { live in
      let kept = live.chips.dispi.index
      live.chips.dispi.index = index
      let effect = live.chips.dispi.write(value)
      live.chips.dispi.index = kept
      apply(effect, &live)
    }
  }

  fileprivate func readDispi(_ offset: UInt16) -> UInt16 {
    state.withLock { offset == 0 ? $0.chips.dispi.index : $0.chips.dispi.read() }
  }

  fileprivate func writeDispi(_ offset: UInt16, _ value: UInt16) {
    state.withLock { live in
      if offset == 0 {
        live.chips.dispi.index = value
      } else {
        apply(live.chips.dispi.write(value), &live)
      }
    }
  }
}

/// Index port 1CEh and data ports 1CFh and 1D0h. A doubleword at 1CEh is an index and its data.
private final class DispiPorts: PortDevice {
  private let adapter: VideoAdapter
  init(adapter: VideoAdapter) { self.adapter = adapter }

  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    let low = UInt32(adapter.readDispi(offset))
    guard width == .dword else { return low }
    return low | (offset == 0 ? UInt32(adapter.readDispi(2)) << 16 : 0xFFFF_0000)
  }

  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    adapter.writeDispi(offset, UInt16(truncatingIfNeeded: value))
    if width == .dword && offset == 0 {
      adapter.writeDispi(2, UInt16(truncatingIfNeeded: value >> 16))
    }
  }
}
