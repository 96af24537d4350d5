/// Draws the modes whose pixels come from the planes: 16 colours, the CGA's bit pairs, and through
/// ``Chain4Renderer`` bytes (IBM VGA Technical Reference, "Graphics Modes").
struct PlanarRenderer {
  let mode: PlanarMode
  let memory: VideoMemory

  /// The bits of a byte as eight bytes of 0 or 1, the leftmost dot in the lowest byte.
  private static let spreadBits: [UInt64] = {
    var table = [UInt64](repeating: 0, count: 256)
    for byte in 0..<256 {
      for dot in 0..<8 where byte & (0x80 >> dot) != 0 { table[byte] |= 1 << UInt64(dot * 8) }
    }
    return table
  }()

  /// Draws the rows of which memory was written, or all.
  func draw(
    _ shot: Shot, frame: Frame, all: Bool, scratch: inout [UInt32]
  ) -> DamageGrid {
    var grid = DamageGrid(size: mode.size)
    PixelRow.prepare(&scratch, width: mode.words * mode.pixelsPerWord)
    scratch.withUnsafeMutableBufferPointer { buffer in
      guard let row = buffer.baseAddress else { return }
      for band in mode.bands {
        for y in band.top..<max(band.top, band.bottom) {
          draw(y, band, shot, frame, all, row, &grid)
        }
      }
    }
    return grid
  }

  private func draw(
    _ y: Int, _ band: ScanBand, _ shot: Shot, _ frame: Frame, _ all: Bool,
    _ row: UnsafeMutablePointer<UInt32>, _ grid: inout DamageGrid
  ) {
    let line = y - band.top + band.firstLine
    let address = band.address + line / mode.rowHeight * mode.pitch
    let count = mode.words + (band.pan > 0 ? 1 : 0)
    guard all || touches(shot.dirty, address, count) else { return }
    let rowLine = line % mode.rowHeight
    // SAFETY: `row` has room for `words` words of pixels and a slack of 64: one word more at most is
    // expanded, and the picture's width and the panning of at most 7 lie within.
    switch mode.pixels {
    case .bits: expandBits(address, rowLine, count, shot.colors, row)
    case .bitPairs: expandBitPairs(address, rowLine, count, shot.colors, row)
    case .bytes:
      Chain4Renderer(mode: mode, memory: memory)
        .expand(address, rowLine, count, shot.palette, row)
    }
    PixelRow.put(row + band.pan, row: y, frame: frame, grid: &grid)
  }

  private func touches(_ dirty: DirtyPages, _ address: Int, _ count: Int) -> Bool {
    guard mode.addressing.isDirect else { return true }
    return dirty.touches(
      (address & mode.offsetMask) << 2, count << 2, mask: mode.offsetMask << 2 | 3)
  }

  private func expandBits(
    _ address: Int, _ line: Int, _ count: Int, _ colors: [UInt32],
    _ row: UnsafeMutablePointer<UInt32>
  ) {
    Self.spreadBits.withUnsafeBufferPointer { spread in
      colors.withUnsafeBufferPointer { colors in
        for word in 0..<count {
          let planes = memory.word(
            mode.addressing.offset(address &+ word, line: line) & mode.offsetMask)
          var dots = spread[Int(planes & 0xFF)]
          dots |= spread[Int(planes &>> 8 & 0xFF)] &<< 1
          dots |= spread[Int(planes &>> 16 & 0xFF)] &<< 2
          dots |= spread[Int(planes &>> 24)] &<< 3
          let target = row + word &* 8
          for dot in 0..<8 {
            target[dot] = colors[Int(dots &>> UInt64(dot &* 8) & 15)]
          }
        }
      }
    }
  }

  /// Plane 0 gives the first four pixels and plane 1 the others; planes 2 and 3 their upper bits.
  private func expandBitPairs(
    _ address: Int, _ line: Int, _ count: Int, _ colors: [UInt32],
    _ row: UnsafeMutablePointer<UInt32>
  ) {
    for word in 0..<count {
      let planes = memory.word(
        mode.addressing.offset(address &+ word, line: line) & mode.offsetMask)
      for dot in 0..<8 {
        let half = planes &>> (dot < 4 ? 0 : 8)
        let shift = UInt32(6 &- (dot & 3) &* 2)
        let low = half &>> shift & 3
        let high = half &>> (shift &+ 16) & 3
        row[word &* 8 &+ dot] = colors[Int(low | high &<< 2)]
      }
    }
  }
}
