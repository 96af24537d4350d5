/// The picture in tiles, and which of them changed: from one bit a tile to a few rectangles.
struct DamageGrid {
  /// More rectangles than this are never given.
  static let maximumRects = 200
  /// Pixels of a tile of the modes without cells.
  static let tileWidth = 16

  private let size: FrameSize
  private let tileWidth: Int
  /// Pixels that the tiles' grid is moved left by.
  private let pan: Int
  private let columns: Int
  private let rows: Int
  /// The rows' upper edges and the last one's lower; nil where every row is one line.
  private let edges: [Int]?
  private let wordsPerRow: Int
  private var bits: [UInt64]
  private(set) var isEmpty = true

  /// Tiles of `tileWidth` pixels by one line.
  init(size: FrameSize, tileWidth: Int = tileWidth) {
    self.init(size: size, tileWidth: tileWidth, pan: 0, edges: nil)
  }

  /// Tiles of `tileWidth` pixels, moved left by `pan`, in rows between `edges`.
  init(size: FrameSize, tileWidth: Int, pan: Int, edges: [Int]?) {
    self.size = size
    self.tileWidth = max(1, tileWidth)
    self.pan = max(0, pan)
    self.edges = edges
    columns = (size.width + self.pan + self.tileWidth - 1) / self.tileWidth
    rows = edges.map { max(0, $0.count - 1) } ?? size.height
    wordsPerRow = (columns + 63) / 64
    bits = [UInt64](repeating: 0, count: rows * wordsPerRow)
  }

  /// Tile (column, row) changed; one that does not exist is ignored.
  @inline(__always)
  mutating func mark(column: Int, row: Int) {
    guard column >= 0, column < columns, row >= 0, row < rows else { return }
    bits[row &* wordsPerRow &+ column &>> 6] |= 1 &<< UInt64(column & 63)
    isEmpty = false
  }

  private struct Run {
    var columns: Range<Int>
    var rows: Range<Int>
  }

  /// The changed tiles as rectangles that do not leave the picture: exactly those tiles while
  /// ``maximumRects`` suffice, otherwise rows are taken together until they do.
  func rects() -> [FrameRect] {
    guard !isEmpty else { return [] }
    var step = 1
    while true {
      if let found = runs(step: step) { return found.compactMap(rect) }
      if step >= rows { return [FrameRect(x: 0, y: 0, width: size.width, height: size.height)] }
      step *= 2
    }
  }

  /// The runs of tiles in groups of `step` rows, equal ones below each other as one; nil where they
  /// are too many.
  private func runs(step: Int) -> [Run]? {
    var closed: [Run] = []
    var open: [Run] = []
    for first in stride(from: 0, to: rows, by: step) {
      let last = min(first + step, rows)
      var next = columnRuns(first..<last).map { Run(columns: $0, rows: first..<last) }
      for run in open {
        if let index = next.firstIndex(where: { $0.columns == run.columns }) {
          next[index].rows = run.rows.lowerBound..<last
        } else {
          closed.append(run)
        }
      }
      open = next
      if closed.count + open.count > Self.maximumRects { return nil }
    }
    return closed + open
  }

  private func columnRuns(_ group: Range<Int>) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var start: Int?
    for word in 0..<wordsPerRow {
      var merged: UInt64 = 0
      for row in group { merged |= bits[row * wordsPerRow + word] }
      if merged == 0 && start == nil { continue }
      for bit in 0..<64 {
        let isSet = merged >> UInt64(bit) & 1 != 0
        let column = word * 64 + bit
        if isSet, start == nil { start = column }
        if !isSet, let from = start {
          result.append(from..<column)
          start = nil
        }
      }
    }
    if let start { result.append(start..<columns) }
    return result
  }

  private func rect(_ run: Run) -> FrameRect? {
    let left = max(0, run.columns.lowerBound * tileWidth - pan)
    let right = min(size.width, run.columns.upperBound * tileWidth - pan)
    let top = edges.map { $0[run.rows.lowerBound] } ?? run.rows.lowerBound
    let bottom = edges.map { $0[run.rows.upperBound] } ?? run.rows.upperBound
    guard left < right, top < bottom else { return nil }
    return FrameRect(x: left, y: top, width: right - left, height: bottom - top)
  }
}
