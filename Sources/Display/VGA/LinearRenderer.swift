import Glibc

/// Draws the linear modes of the Bochs display interface: 8 bits through the DAC, 15 and 16 bits, and
/// 24 and 32 bits with blue in the lowest byte.
struct LinearRenderer {
  let mode: LinearMode
  let memory: VideoMemory

  /// The picture as it lies in memory; nil where it does not lie there as 32-bit pixels in one piece.
  var rows: PixelRows? {
    let start = mode.start & VideoMemory.byteMask
    guard mode.depth == 32, (start | mode.pitch) & 3 == 0,
      start + (mode.size.height - 1) * mode.pitch + mode.size.width * 4 <= VideoMemory.visibleBytes
    else { return nil }
    return PixelRows(
      base: UnsafeRawPointer(memory.visible + start), pitch: mode.pitch, width: mode.size.width,
      height: mode.size.height)
  }

  /// From the first to the last row of which memory was written; nil where there is none.
  func changedRows(_ dirty: DirtyPages) -> Range<Int>? {
    func isDirty(_ y: Int) -> Bool {
      dirty.touches(
        (mode.start + y * mode.pitch) & VideoMemory.byteMask, mode.size.width * mode.bytesPerPixel)
    }
    let all = 0..<mode.size.height
    guard let first = all.first(where: isDirty), let last = all.last(where: isDirty) else {
      return nil
    }
    return first..<last + 1
  }

  /// Draws the rows of which memory was written, or all.
  func draw(
    _ shot: Shot, frame: Frame, all: Bool, scratch: inout [UInt32]
  ) -> DamageGrid {
    var grid = DamageGrid(size: mode.size)
    // One row of pixels, and behind it one of bytes for a row that wraps at the memory's end.
    PixelRow.prepare(&scratch, width: mode.size.width * 2)
    scratch.withUnsafeMutableBufferPointer { buffer in
      guard let row = buffer.baseAddress else { return }
      for y in 0..<mode.size.height {
        let offset = (mode.start + y * mode.pitch) & VideoMemory.byteMask
        guard all || shot.dirty.touches(offset, mode.size.width * mode.bytesPerPixel) else {
          continue
        }
        draw(y, offset, shot, frame, row, &grid)
      }
    }
    return grid
  }

  private func draw(
    _ y: Int, _ offset: Int, _ shot: Shot, _ frame: Frame, _ row: UnsafeMutablePointer<UInt32>,
    _ grid: inout DamageGrid
  ) {
    let bytes = mode.size.width * mode.bytesPerPixel
    var source = UnsafeRawPointer(memory.visible + offset)
    // SAFETY: a row that would leave the memory is put together behind the row of pixels; the
    // scratch has room for two rows of 4 bytes a pixel.
    if offset + bytes > VideoMemory.visibleBytes {
      let whole = UnsafeMutableRawPointer(row + mode.size.width)
      let first = VideoMemory.visibleBytes - offset
      memcpy(whole, source, first)
      memcpy(whole + first, memory.visible, bytes - first)
      source = UnsafeRawPointer(whole)
    }
    if mode.depth == 32 && Int(bitPattern: source) & 3 == 0 {
      let pixels = source.assumingMemoryBound(to: UInt32.self)
      return PixelRow.put(pixels, row: y, frame: frame, grid: &grid)
    }
    expand(source, shot.palette, row)
    PixelRow.put(row, row: y, frame: frame, grid: &grid)
  }

  private func expand(
    _ source: UnsafeRawPointer, _ palette: [UInt32], _ row: UnsafeMutablePointer<UInt32>
  ) {
    let width = mode.size.width
    switch mode.depth {
    case 8:
      palette.withUnsafeBufferPointer { palette in
        for x in 0..<width {
          row[x] = palette[Int(source.load(fromByteOffset: x, as: UInt8.self))]
        }
      }
    case 15:
      for x in 0..<width {
        row[x] = Self.pixel15(source.loadUnaligned(fromByteOffset: x &* 2, as: UInt16.self))
      }
    case 16:
      for x in 0..<width {
        row[x] = Self.pixel16(source.loadUnaligned(fromByteOffset: x &* 2, as: UInt16.self))
      }
    case 24:
      for x in 0..<width {
        let blue = UInt32(source.load(fromByteOffset: x &* 3, as: UInt8.self))
        let green = UInt32(source.load(fromByteOffset: x &* 3 &+ 1, as: UInt8.self))
        let red = UInt32(source.load(fromByteOffset: x &* 3 &+ 2, as: UInt8.self))
        row[x] = red &<< 16 | green &<< 8 | blue
      }
    default:
      for x in 0..<width {
        row[x] = source.loadUnaligned(fromByteOffset: x &* 4, as: UInt32.self)
      }
    }
  }

  /// Five bits each of red, green and blue, widened so that full stays full.
  @inline(__always)
  private static func pixel15(_ value: UInt16) -> UInt32 {
    let wide = UInt32(value)
    return widen5(wide &>> 10) &<< 16 | widen5(wide &>> 5) &<< 8 | widen5(wide)
  }

  /// Five bits of red, six of green, five of blue.
  @inline(__always)
  private static func pixel16(_ value: UInt16) -> UInt32 {
    let wide = UInt32(value)
    let green = wide &>> 5 & 0x3F
    return widen5(wide &>> 11) &<< 16 | (green &<< 2 | green &>> 4) &<< 8 | widen5(wide)
  }

  @inline(__always)
  private static func widen5(_ value: UInt32) -> UInt32 {
    let five = value & 0x1F
    return five &<< 3 | five &>> 2
  }
}
