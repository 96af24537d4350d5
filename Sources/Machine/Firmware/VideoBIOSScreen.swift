import Display
import KVMEngine

/// One page of the screen as a grid of characters, whatever the layout of its memory is.
///
/// All values come from the data area, where a program may have left anything: they are brought
/// into range when the value is made, and the adapter ignores what leaves its memory.
struct VideoScreen {
  let adapter: VideoAdapter
  let layout: VideoLayout
  /// Characters of a row, rows, and scan lines of a character.
  let columns: Int
  let rows: Int
  let height: Int
  /// Where the page starts, in bytes as the host counts them.
  let base: Int
  /// A byte is one of 256 colours, or its bit 7 asks to combine by exclusive or.
  let hasXor: Bool
  private let lowFont: UInt64
  private let highFont: UInt64
  private let memory: LinearMemory

  init(adapter: VideoAdapter, layout: VideoLayout, page: UInt8, data: VideoBIOSData) {
    self.adapter = adapter
    self.layout = layout
    columns = data.width
    rows = data.rows
    height = data.height
    let paged = layout == .text || layout == .planar
    if !paged {
      base = 0
    } else if page == data.page {
      base = Int(data.pageStart)
    } else {
      base = Int(page) * Int(data.pageSize)
    }
    hasXor = layout != .packed && layout != .text
    memory = data.memory
    let font = data.pointer(VideoBIOSData.Vector.graphicsFont)
    lowFont = font
    let split = layout == .cgaFourColors || layout == .cgaTwoColors
    highFont =
      split
      ? data.pointer(VideoBIOSData.Vector.upperFont)
      : font &+ 128 * UInt64(height)
  }

  /// The rows of a character of the font in use, in graphics modes.
  func glyph(_ character: UInt8) -> [UInt8] {
    let table = character < 128 ? lowFont : highFont
    return memory.bytes(
      at: table &+ UInt64(character & 0x7F) * UInt64(height), count: height)
  }

  /// The whole lower or upper half of the font in use.
  func glyphs(upper: Bool) -> [UInt8] {
    memory.bytes(at: upper ? highFont : lowFont, count: 128 * height)
  }

  /// Offset of the cell at (row, column) in the text window.
  func cell(_ row: Int, _ column: Int) -> Int { base + (row * columns + column) * 2 }

  /// Where pixel line `line` starts in the layout's own counting.
  func line(_ line: Int) -> Int {
    switch layout {
    case .cgaFourColors, .cgaTwoColors: (line & 1) * 0x2000 + (line >> 1) * 80
    case .packed: line * columns * 8
    case .planar, .text: base + line * columns
    }
  }

  // MARK: Moving and filling rows of characters

  /// Copies `count` rows of the columns `left` to `right`; source and target may overlap.
  func copyRows(from source: Int, to target: Int, count: Int, left: Int, right: Int) {
    guard count > 0, source != target else { return }
    if layout == .text { return copyTextRows(source, target, count, left, right) }
    let isWhole = left == 0 && right == columns - 1
    if isWhole && layout == .planar {
      adapter.copyPlanes(
        from: line(source * height), to: line(target * height), count: count * height * columns)
      return
    }
    let lines = count * height
    for step in 0..<lines {
      let index = source < target ? lines - 1 - step : step
      copyLine(source * height + index, target * height + index, left, right - left + 1)
    }
  }

  private func copyTextRows(
    _ source: Int, _ target: Int, _ count: Int, _ left: Int, _ right: Int
  ) {
    if left == 0 && right == columns - 1 {
      let bytes = adapter.readText(offset: cell(source, 0), count: count * columns * 2)
      adapter.writeText(offset: cell(target, 0), bytes: bytes)
      return
    }
    for step in 0..<count {
      let index = source < target ? count - 1 - step : step
      let bytes = adapter.readText(
        offset: cell(source + index, left), count: (right - left + 1) * 2)
      adapter.writeText(offset: cell(target + index, left), bytes: bytes)
    }
  }

  private func copyLine(_ source: Int, _ target: Int, _ column: Int, _ count: Int) {
    let (from, to) = (line(source), line(target))
    switch layout {
    case .planar, .cgaTwoColors:
      adapter.copyPlanes(from: from + column, to: to + column, count: count)
    case .cgaFourColors:
      adapter.writeText(
        offset: to + column * 2,
        bytes: adapter.readText(offset: from + column * 2, count: count * 2))
    case .packed:
      adapter.writeLinear(
        offset: to + column * 8,
        bytes: adapter.readLinear(offset: from + column * 8, count: count * 8))
    case .text: break
    }
  }

  /// Empties rows `top` to `bottom` of the columns `left` to `right`: with spaces of the attribute
  /// `color` in text, with pixels of that colour in graphics.
  func fillRows(_ top: Int, _ bottom: Int, left: Int, right: Int, color: UInt8) {
    guard top <= bottom, left <= right else { return }
    if layout == .text {
      let blanks = [[UInt8]](repeating: [0x20, color], count: right - left + 1).flatMap { $0 }
      for row in top...bottom { adapter.writeText(offset: cell(row, left), bytes: blanks) }
      return
    }
    for index in (top * height)..<((bottom + 1) * height) {
      fillLine(index, left, right - left + 1, color)
    }
  }

  private func fillLine(_ index: Int, _ column: Int, _ count: Int, _ color: UInt8) {
    let start = line(index)
    switch layout {
    case .planar:
      adapter.fillPlanes(offset: start + column, count: count, color: color & 0x0F)
    case .cgaTwoColors:
      adapter.fillPlanes(offset: start + column, count: count, color: color & 1 == 0 ? 0 : 0x0F)
    case .cgaFourColors:
      let bytes = [UInt8](repeating: (color & 3) &* 0x55, count: count * 2)
      adapter.writeText(offset: start + column * 2, bytes: bytes)
    case .packed:
      adapter.fillLinear(offset: start + column * 8, count: count * 8, color)
    case .text: break
    }
  }

  // MARK: Drawing characters in graphics

  /// Draws a character; pixels that it leaves out get `background`.
  func draw(_ character: UInt8, row: Int, column: Int, color: UInt8, background: UInt8) {
    guard layout != .text, row < rows, column < columns else { return }
    let combine = hasXor && color & 0x80 != 0
    for (index, bits) in glyph(character).enumerated() {
      let start = line(row * height + index)
      switch layout {
      case .planar:
        drawPlanar(start + column, bits, color, combine)
      case .cgaTwoColors:
        put(start + column, plane: 0, color & 1 == 0 ? 0 : bits, combine)
      case .cgaFourColors:
        drawPairs(start + column * 2, bits, color & 3, combine)
      case .packed:
        let pixels = (0..<8).map { bits << UInt8($0) & 0x80 == 0 ? background : color }
        adapter.writeLinear(offset: start + column * 8, bytes: pixels)
      case .text: break
      }
    }
  }

  private func drawPlanar(_ offset: Int, _ bits: UInt8, _ color: UInt8, _ combine: Bool) {
    for plane in 0..<4 {
      put(offset, plane: plane, color >> UInt8(plane) & 1 == 0 ? 0 : bits, combine)
    }
  }

  private func put(_ offset: Int, plane: Int, _ value: UInt8, _ combine: Bool) {
    let before = combine ? adapter.readPlane(plane, offset: offset) : 0
    adapter.writePlane(plane, offset: offset, value ^ before)
  }

  private func drawPairs(_ offset: Int, _ bits: UInt8, _ color: UInt8, _ combine: Bool) {
    var pairs: UInt16 = 0
    for dot in 0..<8 where bits >> UInt8(dot) & 1 != 0 {
      pairs |= UInt16(color) << UInt16(dot * 2)
    }
    var bytes = [UInt8(pairs >> 8), UInt8(pairs & 0xFF)]
    if combine {
      let before = adapter.readText(offset: offset, count: 2)
      for (index, byte) in before.enumerated() { bytes[index] ^= byte }
    }
    adapter.writeText(offset: offset, bytes: bytes)
  }

  /// The pixels of a cell as a glyph: a bit is set where the pixel is not `background`.
  func shape(row: Int, column: Int) -> [UInt8] {
    guard row < rows, column < columns else { return [] }
    return (0..<height).map { index in
      var bits: UInt8 = 0
      for dot in 0..<8 where pixel(x: column * 8 + dot, y: row * height + index) != 0 {
        bits |= 0x80 >> UInt8(dot)
      }
      return bits
    }
  }

  // MARK: Pixels

  /// The colour of a pixel; 0 outside the screen.
  func pixel(x: Int, y: Int) -> UInt8 {
    guard x >= 0, y >= 0, x < columns * 8, y < rows * height + 8 else { return 0 }
    let start = line(y)
    let shift = UInt8(7 - x & 7)
    switch layout {
    case .planar:
      return (0..<4).reduce(0) { color, plane in
        color | (adapter.readPlane(plane, offset: start + x / 8) >> shift & 1) << UInt8(plane)
      }
    case .cgaTwoColors: return adapter.readPlane(0, offset: start + x / 8) >> shift & 1
    case .cgaFourColors:
      let byte = adapter.readText(offset: start + x / 4, count: 1).first ?? 0
      return byte >> UInt8((3 - x & 3) * 2) & 3
    case .packed: return adapter.readLinear(offset: start + x, count: 1).first ?? 0
    case .text: return 0
    }
  }

  /// Sets a pixel, or combines it by exclusive or where `color` asks so.
  func setPixel(x: Int, y: Int, color: UInt8) {
    guard x >= 0, y >= 0, x < columns * 8, y < rows * height + 8 else { return }
    let value = hasXor && color & 0x80 != 0 ? color ^ pixel(x: x, y: y) : color
    let start = line(y)
    let bit = UInt8(0x80) >> UInt8(x & 7)
    switch layout {
    case .planar:
      for plane in 0..<4 {
        let set = value >> UInt8(plane) & 1 != 0
        change(plane, start + x / 8, mask: bit, value: set ? bit : 0)
      }
    case .cgaTwoColors: change(0, start + x / 8, mask: bit, value: value & 1 == 0 ? 0 : bit)
    case .cgaFourColors:
      let shift = UInt8((3 - x & 3) * 2)
      let before = adapter.readText(offset: start + x / 4, count: 1).first ?? 0
      adapter.writeText(
        offset: start + x / 4, bytes: [before & ~(3 << shift) | (value & 3) << shift])
    case .packed: adapter.writeLinear(offset: start + x, bytes: [value])
    case .text: break
    }
  }

  private func change(_ plane: Int, _ offset: Int, mask: UInt8, value: UInt8) {
    let before = adapter.readPlane(plane, offset: offset)
    adapter.writePlane(plane, offset: offset, before & ~mask | value)
  }
}
