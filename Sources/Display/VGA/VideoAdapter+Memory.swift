import KVMEngine

/// The host's accesses that are not to mapped memory.
extension VideoAdapter {
  /// - Parameter offset: from A0000h.
  public func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    state.withLock { live in
      countSavableAccess(&live)
      var value: UInt64 = 0
      for index in 0..<width.bytes {
        let place = Int(truncatingIfNeeded: offset & 0x3FFFF) + index
        value |= UInt64(readLegacy(&live, place)) << UInt64(index * 8)
      }
      return value
    }
  }

  /// - Parameter offset: from A0000h.
  public func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    state.withLock { live in
      countSavableAccess(&live)
      for index in 0..<width.bytes {
        let place = Int(truncatingIfNeeded: offset & 0x3FFFF) + index
        writeLegacy(&live, place, UInt8(truncatingIfNeeded: value >> UInt64(index * 8)))
      }
      notify(&live)
    }
  }

  func hostWindow(_ chips: VideoChips) -> Range<Int> {
    guard chips.misc & 0x02 != 0 else { return 0..<0 }
    return chips.dispi.isEnabled ? 0..<0x10000 : chips.graphics.hostWindow
  }

  func readLegacy(_ live: inout Live, _ place: Int) -> UInt8 {
    switch live.presentation {
    case .text(let start) where (start..<(start + VideoMemory.textBytes)).contains(place):
      return memory.textByte(place - start)
    case .visible(let start, let offset, let size) where (start..<(start + size)).contains(place):
      return memory.byte(offset + place - start)
    case .pipeline:
      let window = hostWindow(live.chips)
      guard window.contains(place) else { return 0xFF }
      let target = PlanarMemory.target(place - window.lowerBound, chips: live.chips)
      return planes.read(target, live.chips.graphics, latch: &live.chips.latch)
    default:
      return 0xFF
    }
  }

  func writeLegacy(_ live: inout Live, _ place: Int, _ value: UInt8) {
    switch live.presentation {
    case .text(let start) where (start..<(start + VideoMemory.textBytes)).contains(place):
      memory.setTextByte(place - start, value)
      live.dirty.markText(byte: place - start)
    case .visible(let start, let offset, let size) where (start..<(start + size)).contains(place):
      memory.setByte(offset + place - start, value)
      live.dirty.mark(byte: offset + place - start)
    case .pipeline:
      let window = hostWindow(live.chips)
      guard window.contains(place) else { return }
      let target = PlanarMemory.target(place - window.lowerBound, chips: live.chips)
      planes.write(value, to: target, live.chips.graphics, latch: live.chips.latch)
      live.dirty.mark(byte: target.offset << 2)
    default:
      break
    }
  }

  /// The linear frame buffer through exits, for a host that refused to map it; offsets from
  /// ``linearAddress``.
  public var linearMemory: any MemoryDevice { LinearMemoryDoor(adapter: self) }

  fileprivate func readLinearBytes(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<width.bytes {
      let place = Int(truncatingIfNeeded: offset & 0xFFFF_FFFF) + index
      value |= UInt64(memory.byte(place)) << UInt64(index * 8)
    }
    return value
  }

  fileprivate func writeLinearBytes(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    state.withLock { live in
      for index in 0..<width.bytes {
        let place = Int(truncatingIfNeeded: offset & 0xFFFF_FFFF) + index
        memory.setByte(place, UInt8(truncatingIfNeeded: value >> UInt64(index * 8)))
        live.dirty.mark(byte: place)
      }
      notify(&live)
    }
  }
}

/// The linear frame buffer as a device on the memory bus.
private final class LinearMemoryDoor: MemoryDevice {
  private let adapter: VideoAdapter
  init(adapter: VideoAdapter) { self.adapter = adapter }

  func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    adapter.readLinearBytes(offset, width: width)
  }
  func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    adapter.writeLinearBytes(offset, width: width, value: value)
  }
}
