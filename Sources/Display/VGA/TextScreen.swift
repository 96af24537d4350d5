/// A text-mode screen, for people and programs that read.
public struct TextScreen: Sendable, Equatable {
  /// One character cell.
  public struct Cell: Sendable, Equatable {
    /// The character, in code page 437 with the fonts that most guests use.
    public var character: UInt8
    /// Foreground in bits 3 to 0, background in bits 6 to 4, blinking or a bright background in
    /// bit 7.
    public var attribute: UInt8

    public init(character: UInt8, attribute: UInt8) {
      self.character = character
      self.attribute = attribute
    }
  }

  public var columns: Int
  public var rows: Int
  /// Row by row from the top.
  public var cells: [Cell]
  /// Where the cursor is; nil where it is switched off or not on the screen.
  public var cursor: (column: Int, row: Int)? {
    get { place.map { ($0 % max(1, columns), $0 / max(1, columns)) } }
    set { place = newValue.map { $0.row * columns + $0.column } }
  }
  private var place: Int?

  public init(columns: Int, rows: Int, cells: [Cell], cursor: (column: Int, row: Int)? = nil) {
    self.columns = columns
    self.rows = rows
    self.cells = cells
    self.cursor = cursor
  }

  /// The rows as lines of text, without the blanks at their ends and without the empty lines at the
  /// end.
  public var text: String {
    var lines: [String] = []
    for row in 0..<max(0, rows) {
      let from = min(row * columns, cells.count)
      var line = cells[from..<min(from + columns, cells.count)].map {
        CodePage437.scalar($0.character)
      }
      while let last = line.last, last == " " || last == "\u{A0}" { line.removeLast() }
      lines.append(String(String.UnicodeScalarView(line)))
    }
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines.joined(separator: "\n")
  }
}

/// The PC's character set (IBM code page 437, with the graphic characters of 01h to 1Fh).
enum CodePage437 {
  private static let table: [Unicode.Scalar] = Array(
    (" ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
      + " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_"
      + "`abcdefghijklmnopqrstuvwxyz{|}~⌂"
      + "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»"
      + "░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀"
      + "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}").unicodeScalars)

  /// The Unicode scalar of a character.
  static func scalar(_ character: UInt8) -> Unicode.Scalar {
    table.indices.contains(Int(character)) ? table[Int(character)] : " "
  }
}

extension VideoAdapter {
  /// The screen as text; nil where it is blank or shows graphics.
  public func textScreen() -> TextScreen? {
    let shot = state.withLock { takeShot(&$0) }
    guard case .text(let mode) = shot.mode else { return nil }
    let rows = TextRenderer.rows(mode)
    var cursor: (column: Int, row: Int)?
    var cells: [TextScreen.Cell] = []
    cells.reserveCapacity(rows.count * mode.columns)
    for (rowIndex, row) in rows.enumerated() {
      for column in 0..<mode.columns {
        let address = row.address + column
        let cell = TextRenderer.cell(address, mode, memory)
        cells.append(
          TextScreen.Cell(
            character: UInt8(truncatingIfNeeded: cell),
            attribute: UInt8(truncatingIfNeeded: cell >> 8)))
        if shot.cursorLines != nil && (address ^ shot.cursorAddress) & 0xFFFF == 0 {
          cursor = (column, rowIndex)
        }
      }
    }
    return TextScreen(columns: mode.columns, rows: rows.count, cells: cells, cursor: cursor)
  }
}
