import Display
import KVMEngine

/// Functions 06h to 0Ah, 0Ch to 0Eh and 13h: characters and pixels.
extension VideoBIOS {
  private enum Control {
    static let bell: UInt8 = 0x07
    static let backspace: UInt8 = 0x08
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
  }

  /// The page to draw on, or nil where there is none in the mode that is set.
  private func screen(_ page: UInt8, _ data: VideoBIOSData) -> VideoScreen? {
    guard page < 8, let layout = currentLayout(data) else { return nil }
    return VideoScreen(adapter: adapter, layout: layout, page: page, data: data)
  }

  // MARK: Scrolling

  /// 06h and 07h: scrolls the window (CH, CL) to (DH, DL) by AL rows, or empties it; BH is the
  /// attribute or colour of what comes in.
  func scroll(_ call: FirmwareCall, up: Bool, _ data: VideoBIOSData) {
    guard let screen = screen(data.page, data) else { return }
    scroll(
      screen, top: Int(call.ch), left: Int(call.cl), bottom: Int(call.dh), right: Int(call.dl),
      by: Int(call.al), up: up, color: call.bh)
  }

  private func scroll(
    _ screen: VideoScreen, top: Int, left: Int, bottom: Int, right: Int, by lines: Int, up: Bool,
    color: UInt8
  ) {
    let bottom = min(bottom, screen.rows - 1)
    let right = min(right, screen.columns - 1)
    guard top <= bottom, left <= right else { return }
    let height = bottom - top + 1
    let gone = lines == 0 || lines > height ? height : lines
    let kept = height - gone
    if up {
      screen.copyRows(from: top + gone, to: top, count: kept, left: left, right: right)
      screen.fillRows(bottom - gone + 1, bottom, left: left, right: right, color: color)
    } else {
      screen.copyRows(from: top, to: top + gone, count: kept, left: left, right: right)
      screen.fillRows(top, top + gone - 1, left: left, right: right, color: color)
    }
  }

  // MARK: Characters at the cursor

  /// 08h: AL the character at the cursor of page BH, AH its attribute.
  func readCharacter(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    guard let screen = screen(call.bh, data) else { return }
    let (row, column) = data.cursor(call.bh)
    guard screen.layout != .text else {
      let cell = screen.adapter.readText(offset: screen.cell(Int(row), Int(column)), count: 2)
      call.al = cell.first ?? 0
      call.ah = cell.count > 1 ? cell[1] : 0
      return
    }
    call.al = recognize(screen.shape(row: Int(row), column: Int(column)), screen)
    call.ah = 0
  }

  /// The first character of the font that has this shape; 0 where none has.
  private func recognize(_ shape: [UInt8], _ screen: VideoScreen) -> UInt8 {
    guard shape.count == screen.height else { return 0 }
    for upper in [false, true] {
      let glyphs = screen.glyphs(upper: upper)
      for index in 0..<128 {
        let first = index * screen.height
        guard first + shape.count <= glyphs.count else { break }
        if glyphs[first..<(first + shape.count)].elementsEqual(shape) {
          return UInt8(index + (upper ? 128 : 0))
        }
      }
    }
    return 0
  }

  /// 09h and 0Ah: CX times the character AL from the cursor of page BH on, which stays. BL is the
  /// attribute (09h) or, in graphics, the colour.
  func writeCharacters(_ call: FirmwareCall, _ data: VideoBIOSData) {
    // In 256 colours BH is the background, and there is one page.
    let isPacked = currentLayout(data) == .packed
    let page = isPacked ? data.page : call.bh
    guard let screen = screen(page, data) else { return }
    let (row, column) = data.cursor(page)
    guard screen.layout != .text else {
      let attribute = call.ah == 0x09 ? call.bl : nil
      let place = Int(row) * screen.columns + Int(column)
      let room = max(0, screen.rows * screen.columns - place)
      return write(
        call.al, attribute, count: min(Int(call.cx), room), offset: screen.cell(0, place))
    }
    let room = max(0, screen.columns - Int(column))
    for index in 0..<min(Int(call.cx), room) {
      screen.draw(
        call.al, row: Int(row), column: Int(column) + index, color: call.bl,
        background: isPacked ? call.bh : 0)
    }
  }

  private func write(_ character: UInt8, _ attribute: UInt8?, count: Int, offset: Int) {
    var cells = adapter.readText(offset: offset, count: count * 2)
    for index in stride(from: 0, to: cells.count - 1, by: 2) {
      cells[index] = character
      if let attribute { cells[index + 1] = attribute }
    }
    adapter.writeText(offset: offset, bytes: cells)
  }

  // MARK: Teletype

  /// 0Eh: shows a character at the cursor of `page` as a terminal would. In text its attribute
  /// stays, unless `attribute` is given; in graphics `color` is its colour.
  func teletype(
    _ character: UInt8, attribute: UInt8? = nil, color: UInt8, page: UInt8, _ data: VideoBIOSData
  ) {
    guard let screen = screen(page, data) else { return }
    let cursor = data.cursor(page)
    var row = min(Int(cursor.row), screen.rows - 1)
    var column = min(Int(cursor.column), screen.columns - 1)
    switch character {
    case Control.bell: return
    case Control.backspace: column = max(0, column - 1)
    case Control.carriageReturn: column = 0
    case Control.lineFeed: row += 1
    default:
      show(character, attribute, color, screen, row, column)
      column += 1
      if column == screen.columns {
        column = 0
        row += 1
      }
    }
    if row == screen.rows {
      row -= 1
      scrollForTeletype(screen, row, column)
    }
    moveCursor(page: page, row: UInt8(clamping: row), column: UInt8(clamping: column), data)
  }

  private func show(
    _ character: UInt8, _ attribute: UInt8?, _ color: UInt8, _ screen: VideoScreen, _ row: Int,
    _ column: Int
  ) {
    if screen.layout == .text {
      let bytes = attribute.map { [character, $0] } ?? [character]
      adapter.writeText(offset: screen.cell(row, column), bytes: bytes)
    } else {
      screen.draw(
        character, row: row, column: column, color: attribute ?? color, background: 0)
    }
  }

  /// One row up; the new one has the attribute of the cell that the cursor is in.
  private func scrollForTeletype(_ screen: VideoScreen, _ row: Int, _ column: Int) {
    var color: UInt8 = 0
    if screen.layout == .text {
      color = adapter.readText(offset: screen.cell(row, column) + 1, count: 1).first ?? 7
    }
    scroll(
      screen, top: 0, left: 0, bottom: screen.rows - 1, right: screen.columns - 1, by: 1, up: true,
      color: color)
  }

  /// 13h: CX characters from ES:BP on at (DH, DL) of page BH. AL bit 0 moves the cursor, bit 1 says
  /// that attributes stand between the characters; otherwise BL is the attribute.
  func writeString(_ call: FirmwareCall, _ data: VideoBIOSData) {
    let page = call.bh < 8 ? call.bh : data.page
    guard call.cx > 0, screen(page, data) != nil else { return }
    let hasAttributes = call.al & 2 != 0
    let step = hasAttributes ? 2 : 1
    let string = call.memory.bytes(at: call.esAddress(call.bp), count: Int(call.cx) * step)
    let before = data.cursor(page)
    moveCursor(page: page, row: call.dh, column: call.dl, data)
    for index in stride(from: 0, to: string.count - step + 1, by: step) {
      let attribute = hasAttributes ? string[index + 1] : call.bl
      teletype(string[index], attribute: attribute, color: attribute, page: page, data)
    }
    if call.al & 1 == 0 { moveCursor(page: page, row: before.row, column: before.column, data) }
  }

  // MARK: Pixels

  /// 0Ch: the pixel (CX, DX) of page BH becomes AL.
  func writePixel(_ call: FirmwareCall, _ data: VideoBIOSData) {
    let page = currentMode(data)?.pages ?? 1 > 1 ? call.bh : data.page
    screen(page, data)?.setPixel(x: Int(call.cx), y: Int(call.dx), color: call.al)
  }

  /// 0Dh: AL the pixel (CX, DX) of page BH.
  func readPixel(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    let page = currentMode(data)?.pages ?? 1 > 1 ? call.bh : data.page
    guard let screen = screen(page, data) else { return }
    call.al = screen.pixel(x: Int(call.cx), y: Int(call.dx))
  }
}
