import Glibc

/// Rows of 32-bit pixels in memory that somebody draws to.
struct PixelRows {
  // SAFETY: `height` rows of `width` pixels lie at `base`, `pitch` bytes apart, multiples of 4. They
  // may change at any time.
  let base: UnsafeRawPointer
  let pitch: Int
  let width: Int
  let height: Int

  @inline(__always)
  func row(_ y: Int) -> UnsafePointer<UInt32> {
    (base + (y &* pitch)).assumingMemoryBound(to: UInt32.self)
  }
}

/// Finds what scrolled or was dragged between the shadow frame and the new picture.
///
/// Short rows of pixels from where the picture changed, with enough in them to be told apart, or
/// columns where the rows are plain, are looked for around their place in the frame. Where several of them say the same, the rectangle
/// around them that moved as a whole is taken. Nothing depends on the answer but the bytes sent:
/// the frame is moved as the viewers are told to, and compared with the picture afterwards.
struct MotionFinder {
  /// Pixels of what is looked for.
  private static let length = 32
  /// How far to all sides it is looked for; straight up, down, left and right without a limit.
  private static let reach = 32
  /// How many are looked for in one picture.
  private static let mostAnchors = 24
  /// How many must agree.
  private static let leastVotes = 3
  /// Fewer rows than these are not looked at, and fewer pixels not moved.
  private static let leastRows = 24
  private static let leastArea = 4096

  private struct Place: Equatable {
    var x: Int
    var y: Int
  }

  /// What is looked for: a row of pixels, or where rows are plain, a column of them.
  private struct Anchor {
    var place: Place
    var isColumn = false
  }

  /// What was found of the first, the second and the third part that moved in a picture.
  private struct Memory {
    /// What moved last, as a difference; looked for first.
    var last: Place?
    /// Pictures in a row in which nothing was found, and how many are passed over now.
    var misses = 0
    var skipped = 0
  }
  private var memories = [Memory(), Memory(), Memory()]
  /// Other pixels are looked at each time.
  private var phase = 0

  /// Moves the parts of `frame` that `rows` shows at another place now, as far as they are found.
  /// - Parameter changed: the rows that may have changed. All of them exist.
  /// - Returns: what was moved, one after the other.
  mutating func move(_ frame: Frame, to rows: PixelRows, changed: Range<Int>) -> [FrameCopy] {
    guard changed.count >= Self.leastRows, rows.width >= 2 * Self.length else { return [] }
    phase = (phase &+ 13) % 47
    var found: [FrameCopy] = []
    for index in memories.indices {
      guard let copy = find(&memories[index], rows, changed, frame) else { break }
      frame.apply(copy)
      found.append(copy)
    }
    return found
  }

  private func find(
    _ memory: inout Memory, _ rows: PixelRows, _ changed: Range<Int>, _ frame: Frame
  ) -> FrameCopy? {
    // A film is not searched for a scroll at every picture.
    if memory.skipped < min(memory.misses, 15) {
      memory.skipped += 1
      return nil
    }
    memory.skipped = 0
    guard let copy = search(rows, changed, frame, memory.last) else {
      memory.misses += 1
      memory.last = nil
      return nil
    }
    memory.misses = 0
    memory.last = Place(x: copy.dx, y: copy.dy)
    return copy
  }

  private func search(
    _ rows: PixelRows, _ changed: Range<Int>, _ frame: Frame, _ last: Place?
  ) -> FrameCopy? {
    let anchors = anchors(rows, changed, frame)
    guard anchors.count >= Self.leastVotes else { return nil }
    var votes: [(motion: Place, anchors: [Anchor])] = []
    for anchor in anchors {
      guard let motion = motion(of: anchor, rows, frame, last) else { continue }
      if let index = votes.firstIndex(where: { $0.motion == motion }) {
        votes[index].anchors.append(anchor)
      } else {
        votes.append((motion, [anchor]))
      }
    }
    guard let best = votes.max(by: { $0.anchors.count < $1.anchors.count }),
      best.anchors.count >= Self.leastVotes
    else { return nil }
    var found: FrameRect?
    for anchor in [best.anchors[best.anchors.count / 2], best.anchors[0]] {
      let rect = grown(anchor.place, best.motion, rows, changed, frame)
      if rect.area > found?.area ?? 0 { found = rect }
    }
    guard let found, found.area >= Self.leastArea else { return nil }
    return FrameCopy(to: found, dx: best.motion.x, dy: best.motion.y)
  }

  /// Places all over the changed rows where the picture changed and is not plain.
  private func anchors(_ rows: PixelRows, _ changed: Range<Int>, _ frame: Frame) -> [Anchor] {
    var found: [Anchor] = []
    let step = max(1, changed.count / 16)
    for y in stride(from: changed.lowerBound + phase % step, to: changed.upperBound, by: step) {
      let new = rows.row(y)
      let old = frame.pixels + y * rows.width
      for x in stride(from: phase % 32, to: rows.width - 48, by: 48) {
        guard new[x &+ 15] & 0xFF_FFFF != old[x &+ 15] || new[x] & 0xFF_FFFF != old[x] else {
          continue
        }
        if let anchor = anchor(atX: x, y: y, rows) { found.append(anchor) }
      }
    }
    guard found.count > Self.mostAnchors else { return found }
    return (0..<Self.mostAnchors).map { found[$0 * found.count / Self.mostAnchors] }
  }

  /// The row of pixels from a little right of `x` on, or the column below; nil where both are plain.
  private func anchor(atX x: Int, y: Int, _ rows: PixelRows) -> Anchor? {
    let row = rows.row(y)
    var edge = x
    while edge < x &+ 16 && row[edge] == row[edge &+ 1] { edge &+= 1 }
    var edges = 0
    for index in edge..<edge &+ Self.length &- 1 where row[index] != row[index &+ 1] { edges &+= 1 }
    if edges >= 4 { return Anchor(place: Place(x: edge, y: y)) }
    guard y <= rows.height - Self.length else { return nil }
    edges = 0
    for line in y..<y &+ Self.length &- 1 where rows.row(line)[x] != rows.row(line &+ 1)[x] {
      edges &+= 1
    }
    return edges >= 4 ? Anchor(place: Place(x: x, y: y), isColumn: true) : nil
  }

  /// From where in the frame what is at `anchor` now has come.
  private func motion(
    of anchor: Anchor, _ rows: PixelRows, _ frame: Frame, _ last: Place?
  ) -> Place? {
    let place = anchor.place
    let wanted = rows.row(place.y) + place.x
    func isAt(_ x: Int, _ y: Int) -> Bool {
      guard x >= 0, y >= 0, x <= rows.width - Self.length, y < rows.height else { return false }
      guard anchor.isColumn else {
        return Self.isSame(wanted, frame.pixels + y * rows.width + x, Self.length)
      }
      return isColumn(place, rows, at: Place(x: x, y: y), frame)
    }
    if let last, isAt(place.x - last.x, place.y - last.y) { return last }
    if anchor.isColumn {
      for distance in 1...2 * Self.reach {
        if isAt(place.x, place.y + distance) { return Place(x: 0, y: -distance) }
        if isAt(place.x, place.y - distance) { return Place(x: 0, y: distance) }
      }
      return nil
    }
    for distance in 1..<max(rows.height, rows.width) {
      if isAt(place.x, place.y + distance) { return Place(x: 0, y: -distance) }
      if isAt(place.x, place.y - distance) { return Place(x: 0, y: distance) }
      if isAt(place.x + distance, place.y) { return Place(x: -distance, y: 0) }
      if isAt(place.x - distance, place.y) { return Place(x: distance, y: 0) }
    }
    for y in -Self.reach...Self.reach {
      for x in -Self.reach...Self.reach where isAt(place.x + x, place.y + y) {
        return x == 0 && y == 0 ? nil : Place(x: -x, y: -y)
      }
    }
    return nil
  }

  /// Whether the column below `place`, and the pixels right of it, are at `old` in the frame.
  private func isColumn(
    _ place: Place, _ rows: PixelRows, at old: Place, _ frame: Frame
  ) -> Bool {
    guard old.y <= rows.height - Self.length else { return false }
    for line in 0..<Self.length {
      let new = rows.row(place.y &+ line)[place.x] & 0xFF_FFFF
      if new != frame.pixels[(old.y &+ line) &* rows.width &+ old.x] { return false }
    }
    return Self.isSame(
      rows.row(place.y) + place.x, frame.pixels + old.y * rows.width + old.x, Self.length)
  }

  /// The largest rectangle around `anchor` that moved by `motion`, wider first or higher first.
  private func grown(
    _ anchor: Place, _ motion: Place, _ rows: PixelRows, _ changed: Range<Int>, _ frame: Frame
  ) -> FrameRect {
    let moved = Moved(rows: rows, frame: frame, dx: motion.x, dy: motion.y)
    // Source and target lie in the picture.
    let columns = max(0, motion.x)..<rows.width + min(0, motion.x)
    let lines =
      max(changed.lowerBound, motion.y)..<min(changed.upperBound, rows.height + min(0, motion.y))
    let start = anchor.x..<anchor.x + Self.length
    guard lines.contains(anchor.y), columns.contains(start.lowerBound),
      columns.contains(start.upperBound - 1)
    else { return FrameRect(x: 0, y: 0, width: 0, height: 0) }
    let row = anchor.y..<anchor.y + 1
    let wide = moved.widened(start, in: row, within: columns)
    let wideLines = moved.heightened(row, of: wide, within: lines)
    let highLines = moved.heightened(row, of: start, within: lines)
    let high = moved.widened(start, in: highLines, within: columns)
    if wide.count * wideLines.count >= high.count * highLines.count {
      return FrameRect(
        x: wide.lowerBound, y: wideLines.lowerBound, width: wide.count, height: wideLines.count)
    }
    return FrameRect(
      x: high.lowerBound, y: highLines.lowerBound, width: high.count, height: highLines.count)
  }

  /// Whether `count` pixels are the same, the top bytes of `new` apart.
  @inline(__always)
  fileprivate static func isSame(
    _ new: UnsafePointer<UInt32>, _ old: UnsafePointer<UInt32>, _ count: Int
  ) -> Bool {
    guard new[0] & 0xFF_FFFF == old[0] else { return false }
    var index = 1
    while index < count && new[index] & 0xFF_FFFF == old[index] { index &+= 1 }
    return index >= count
  }
}

/// A new picture beside the old one, moved by so much.
private struct Moved {
  // SAFETY: whoever asks keeps source and target within the picture.
  let rows: PixelRows
  let frame: Frame
  let dx: Int
  let dy: Int

  private func old(_ y: Int) -> UnsafePointer<UInt32> {
    UnsafePointer(frame.pixels) + ((y &- dy) &* rows.width &- dx)
  }

  /// `columns` and what beside them moved likewise in all of `lines`.
  func widened(
    _ columns: Range<Int>, in lines: Range<Int>, within bounds: Range<Int>
  ) -> Range<Int> {
    var left = bounds.lowerBound
    var right = bounds.upperBound
    for y in lines {
      let new = rows.row(y)
      let old = old(y)
      var x = columns.lowerBound
      while x > left && new[x &- 1] & 0xFF_FFFF == old[x &- 1] { x &-= 1 }
      left = x
      x = columns.upperBound
      while x < right && new[x] & 0xFF_FFFF == old[x] { x &+= 1 }
      right = x
    }
    return left..<right
  }

  /// `lines` and those above and below them in which all of `columns` moved likewise.
  func heightened(
    _ lines: Range<Int>, of columns: Range<Int>, within bounds: Range<Int>
  ) -> Range<Int> {
    func moved(_ y: Int) -> Bool {
      MotionFinder.isSame(
        rows.row(y) + columns.lowerBound, old(y) + columns.lowerBound, columns.count)
    }
    var top = lines.lowerBound
    var bottom = lines.upperBound
    while top > bounds.lowerBound && moved(top - 1) { top -= 1 }
    while bottom < bounds.upperBound && moved(bottom) { bottom += 1 }
    return top..<bottom
  }
}
