import KVMEngine

/// Whole blocks between the host and memory that is not mapped: one lock and one look at the
/// registers for all of it.
extension VideoAdapter {
  /// - Parameter offset: from A0000h.
  public func fillMemory(_ offset: UInt64, width: AccessWidth, value: UInt64, count: Int) {
    state.withLock { live in
      countSavableAccess(&live, count)
      let start = Int(truncatingIfNeeded: offset & 0x3FFFF)
      let bytes = count * width.bytes
      if let places = plainPlaces(live, start, bytes) {
        planes.fill(
          places, with: value, width, mapMask: live.chips.sequencer.mapMask, live.chips.graphics,
          latch: live.chips.latch)
        live.dirty.mark((places.lowerBound << 2)..<(places.upperBound << 2))
      } else {
        for index in 0..<bytes {
          let shift = UInt64(index % width.bytes * 8)
          writeLegacy(&live, start + index, UInt8(truncatingIfNeeded: value >> shift))
        }
      }
      notify(&live)
    }
  }

  /// - Parameters: offsets from A0000h.
  public func copyMemory(
    from source: UInt64, to offset: UInt64, width: AccessWidth, count: Int
  ) {
    state.withLock { live in
      countSavableAccess(&live, count * 2)
      let from = Int(truncatingIfNeeded: source & 0x3FFFF)
      let to = Int(truncatingIfNeeded: offset & 0x3FFFF)
      let bytes = count * width.bytes
      if width == .byte, live.chips.graphics.writeMode == 1,
        let sources = plainPlaces(live, from, bytes), let targets = plainPlaces(live, to, bytes)
      {
        live.chips.latch = planes.copy(
          sources, to: targets.lowerBound, mapMask: live.chips.sequencer.mapMask)
        live.dirty.mark((targets.lowerBound << 2)..<(targets.upperBound << 2))
      } else {
        for element in stride(from: 0, to: bytes, by: width.bytes) {
          copyElement(&live, from: from + element, to: to + element, width.bytes)
        }
      }
      notify(&live)
    }
  }

  private func copyElement(_ live: inout Live, from: Int, to: Int, _ bytes: Int) {
    var value: UInt64 = 0
    for index in 0..<bytes {
      value |= UInt64(readLegacy(&live, from + index)) << UInt64(index * 8)
    }
    for index in 0..<bytes {
      writeLegacy(&live, to + index, UInt8(truncatingIfNeeded: value >> UInt64(index * 8)))
    }
  }

  /// The offsets in the planes of `count` host addresses from `start` on, where one byte of the host
  /// is one byte of each plane and all of them lie in the window; nil elsewhere.
  private func plainPlaces(_ live: Live, _ start: Int, _ count: Int) -> Range<Int>? {
    guard live.presentation == .pipeline, PlanarMemory.isPlain(live.chips) else { return nil }
    let window = hostWindow(live.chips)
    guard window.contains(start), start + count <= window.upperBound else { return nil }
    let first = (start - window.lowerBound) & 0xFFFF
    return first + count <= 0x10000 ? first..<(first + count) : nil
  }
}
