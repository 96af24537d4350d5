/// Draws text modes, and only the cells that changed.
///
/// A cell is drawn again when its key changes: character, attribute, whether the cursor stands on it
/// and whether it is blinked away. Fonts and colours invalidate all keys; pixels are compared as they
/// are drawn, so that damage is what truly changed.
struct TextRenderer {
  /// One row of cells on the screen.
  struct Row: Equatable {
    /// The first line of the picture, and the one after the last.
    var top: Int
    var bottom: Int
    /// The line of the cells that the first line shows.
    var firstLine: Int
    /// The address counter of the first cell.
    var address: Int
    var pan: Int
  }

  /// A key that no cell has.
  private static let unknown = UInt32.max
  private static let cursorKey: UInt32 = 1 << 16
  private static let hiddenKey: UInt32 = 1 << 17

  private var mode: TextMode?
  private var rows: [Row] = []
  private var edges: [Int] = []
  private var keys: [UInt32] = []
  private var cursorIsOn = true
  private var charactersAreOn = true
  private var blinkingSeen = false
  private var cursorSeen = false

  /// The rows of `mode` from the top; they cover its height.
  static func rows(_ mode: TextMode) -> [Row] {
    var result: [Row] = []
    for band in mode.bands {
      var y = band.top
      var line = band.firstLine
      var address = band.address
      while y < band.bottom {
        let bottom = min(band.bottom, y + max(1, mode.cellHeight - line))
        result.append(
          Row(top: y, bottom: bottom, firstLine: line, address: address, pan: band.pan))
        y = bottom
        line = 0
        address += mode.pitch
      }
    }
    return result
  }

  /// The cell at `address`: character in the low byte, attribute in the high one.
  @inline(__always)
  static func cell(_ address: Int, _ mode: TextMode, _ memory: VideoMemory) -> UInt32 {
    let offset = mode.addressing.offset(address & 0xFFFF, line: 0) & 0xFFFF
    if mode.textInWindow && offset & 1 == 0 && offset < VideoMemory.textBytes {
      return UInt32(memory.textByte(offset)) | UInt32(memory.textByte(offset + 1)) &<< 8
    }
    return memory.word(offset) & 0xFFFF
  }

  /// When something blinks next, in nanoseconds from `time`.
  func nextChange(after time: UInt64) -> UInt64? {
    var next: UInt64?
    if cursorSeen { next = Self.untilToggle(time, DisplayTiming.cursorHalfPeriod) }
    if blinkingSeen {
      let toggle = Self.untilToggle(time, DisplayTiming.characterHalfPeriod)
      next = min(next ?? toggle, toggle)
    }
    return next
  }

  private static func untilToggle(_ time: UInt64, _ half: UInt64) -> UInt64 { half - time % half }

  /// Draws what changed of `mode` into `frame`; with `all`, what differs from the frame.
  mutating func draw(
    _ shot: Shot, _ mode: TextMode, memory: VideoMemory, frame: Frame, all: Bool
  ) -> DamageGrid {
    if mode != self.mode {
      self.mode = mode
      rows = Self.rows(mode)
      edges = rows.map(\.top) + [mode.size.height]
      keys = [UInt32](repeating: Self.unknown, count: rows.count * (mode.columns + 1))
    } else if all || shot.dirty.anyVisible {
      for index in keys.indices { keys[index] = Self.unknown }
    }
    var grid = DamageGrid(
      size: mode.size, tileWidth: mode.cellWidth, pan: rows.first?.pan ?? 0, edges: edges)
    let cursorOn = shot.time / DisplayTiming.cursorHalfPeriod & 1 == 0
    let charactersOn = shot.time / DisplayTiming.characterHalfPeriod & 1 == 0
    let blinked =
      (cursorSeen && cursorOn != cursorIsOn) || (blinkingSeen && charactersOn != charactersAreOn)
    guard all || shot.rescan || shot.dirty.text != 0 || shot.dirty.anyVisible || blinked else {
      return grid
    }
    cursorIsOn = cursorOn
    charactersAreOn = charactersOn
    scan(shot, mode, memory, frame, &grid)
    return grid
  }

  private mutating func scan(
    _ shot: Shot, _ mode: TextMode, _ memory: VideoMemory, _ frame: Frame,
    _ grid: inout DamageGrid
  ) {
    blinkingSeen = false
    cursorSeen = false
    let painter = CellPainter(mode: mode, shot: shot, memory: memory, frame: frame)
    let gridPan = rows.first?.pan ?? 0
    for (rowIndex, row) in rows.enumerated() {
      let count = mode.columns + (row.pan > 0 ? 1 : 0)
      for column in 0..<count {
        let address = row.address + column
        let cell = Self.cell(address, mode, memory)
        var key = cell
        if shot.cursorLines != nil && (address ^ shot.cursorAddress) & 0xFFFF == 0 {
          cursorSeen = true
          if cursorIsOn { key |= Self.cursorKey }
        }
        if mode.blinks && cell & 0x8000 != 0 {
          blinkingSeen = true
          if !charactersAreOn { key |= Self.hiddenKey }
        }
        let index = rowIndex &* (mode.columns &+ 1) &+ column
        guard keys[index] != key else { continue }
        keys[index] = key
        let painted = painter.paint(
          cell, row, column: column, cursor: key & Self.cursorKey != 0,
          hidden: key & Self.hiddenKey != 0)
        guard painted else { continue }
        grid.mark(column: column, row: rowIndex)
        if row.pan != gridPan { grid.mark(column: column + 1, row: rowIndex) }
      }
    }
  }
}

/// Paints single cells: the character generator (IBM VGA Technical Reference, "Alphanumeric Modes").
private struct CellPainter {
  let mode: TextMode
  let shot: Shot
  let memory: VideoMemory
  let frame: Frame

  /// Paints the part of a cell that is on the screen; returns whether a pixel changed.
  func paint(
    _ cell: UInt32, _ row: TextRenderer.Row, column: Int, cursor: Bool, hidden: Bool
  ) -> Bool {
    let attribute = UInt8(truncatingIfNeeded: cell >> 8)
    let character = Int(cell & 0xFF)
    let foreground = shot.colors[Int(attribute & 15)]
    let background = shot.colors[Int(attribute >> 4 & (mode.blinks ? 7 : 15))]
    let font = (attribute & 8 != 0 ? mode.fontA : mode.fontB) + character * 32
    let x = column * mode.cellWidth - row.pan
    let left = max(0, x)
    let right = min(mode.size.width, x + mode.cellWidth)
    guard left < right else { return false }
    var differs: UInt32 = 0
    for y in row.top..<row.bottom {
      let line = row.firstLine + y - row.top
      var dots: UInt32 = 0
      if !hidden { dots = self.dots(font, line, character, attribute) }
      if cursor, let lines = shot.cursorLines, lines.contains(line) { dots = 0x1FF }
      // SAFETY: 0 <= left < right <= width, and rows lie in the picture, whose size the frame has.
      let target = frame.pixels + y &* mode.size.width
      for column in left..<right {
        let pixel = dots &>> UInt32(8 &- (column &- x)) & 1 != 0 ? foreground : background
        differs |= target[column] ^ pixel
        target[column] = pixel
      }
    }
    return differs != 0
  }

  /// The dots of a cell's line: the leftmost in bit 8, the ninth in bit 0.
  private func dots(_ font: Int, _ line: Int, _ character: Int, _ attribute: UInt8) -> UInt32 {
    if line == mode.underline && attribute & 0x77 == 0x01 { return 0x1FF }
    let glyph = memory.word((font + line) & 0xFFFF) >> 16 & 0xFF
    let extends = mode.lineGraphics && character & 0xE0 == 0xC0
    return glyph << 1 | (extends ? glyph & 1 : 0)
  }
}
