import Display

/// Functions 01h to 03h: the cursor.
extension VideoBIOS {
  /// 01h: CH is the first line, its bit 5 hides the cursor; CL is the last line. With cursor
  /// emulation (40:87, bit 0 clear) they count lines of a CGA's 8-line character.
  func setCursorShape(_ shape: UInt16, _ data: VideoBIOSData) {
    data.cursorShape = shape
    let (first, last) = scaledCursor(UInt8(shape >> 8), UInt8(shape & 0xFF), data)
    adapter.setRegister(.crtc(0x0A), to: first)
    adapter.setRegister(.crtc(0x0B), to: last)
  }

  /// A shape for 8 lines as lines of the characters that there are. An underline, whose two lines
  /// are neighbours at the bottom, stays two lines thick and clear of the last line.
  private func scaledCursor(
    _ first: UInt8, _ last: UInt8, _ data: VideoBIOSData
  ) -> (UInt8, UInt8) {
    let height = data.height
    let emulates = data.control & 1 == 0 && height > 8 && data.mode != 7
    guard emulates, first & 0x60 == 0, first < 8, last < 8, first <= last else {
      return (first, last)
    }
    var bottom = (Int(last) + 1) * height / 8 - 1
    var top = Int(first) * height / 8
    if last - first <= 1 {
      if last == 7 { bottom -= 1 }
      top = bottom - Int(last - first)
    }
    return (UInt8(clamping: top), UInt8(clamping: bottom))
  }

  /// 02h: the cursor of `page` goes to (row, column).
  func moveCursor(page: UInt8, row: UInt8, column: UInt8, _ data: VideoBIOSData) {
    guard page < 8 else { return }
    data.setCursor(page, row: row, column: column)
    if page == data.page { placeCursor(data) }
  }

  /// 03h: DH, DL where the cursor of page BH is, CX its shape.
  func readCursor(_ call: inout FirmwareCall, _ data: VideoBIOSData) {
    let place = call.bh < 8 ? data.cursor(call.bh) : (row: 0, column: 0)
    call.dh = place.row
    call.dl = place.column
    call.cx = data.cursorShape
    call.ax = 0
  }

  /// Lets the adapter show the cursor where the data area has it.
  func placeCursor(_ data: VideoBIOSData) {
    guard currentLayout(data) == .text else { return }
    let (row, column) = data.cursor(data.page)
    let cell = Int(data.pageStart) / 2 + Int(row) * data.width + Int(column)
    adapter.setCursor(offset: UInt16(truncatingIfNeeded: cell))
  }
}
