import Testing

@testable import Display

/// A picture in memory and the frame that follows it.
private final class Screen {
  static let size = FrameSize(width: 320, height: 240)
  var pixels = [UInt32](repeating: 0x102030, count: size.width * size.height)
  let frame = Frame(size: size)
  var finder = MotionFinder()
  var random: UInt64 = 7

  func next(_ bound: Int) -> Int {
    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(random >> 33) % bound
  }

  /// Fills a rectangle with pixels of which many are the same, as text has them.
  func scribble(_ rect: FrameRect) {
    for y in rect.y..<rect.y + rect.height {
      for x in rect.x..<rect.x + rect.width {
        pixels[y * Screen.size.width + x] = next(3) == 0 ? 0x00C0_C0C0 : 0x0010_1010
      }
    }
  }

  func move(_ rect: FrameRect, dx: Int, dy: Int) {
    let before = pixels
    for y in rect.y..<rect.y + rect.height {
      for x in rect.x..<rect.x + rect.width {
        pixels[y * Screen.size.width + x] = before[(y - dy) * Screen.size.width + x - dx]
      }
    }
  }

  /// The first picture, in which nothing can have moved.
  func start() {
    _ = follow()
    finder = MotionFinder()
  }

  /// Brings the frame up to date; what was found to have moved, and how many pixels it did not cover.
  func follow(topBits: UInt32 = 0) -> (FrameCopy?, Int) {
    let (copies, left) = followAll(topBits: topBits)
    return (copies.first, left)
  }

  func followAll(topBits: UInt32 = 0) -> ([FrameCopy], Int) {
    let shown = pixels.map { $0 | topBits }
    return shown.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return ([], 0) }
      let rows = PixelRows(
        base: base, pitch: Screen.size.width * 4, width: Screen.size.width,
        height: Screen.size.height)
      let copies = finder.move(frame, to: rows, changed: 0..<Screen.size.height)
      var left = 0
      for index in pixels.indices where frame.pixels[index] != pixels[index] {
        left += 1
        frame.pixels[index] = pixels[index]
      }
      return (copies, left)
    }
  }
}

@Suite struct MotionFinderTests {
  private let page = FrameRect(x: 20, y: 10, width: 200, height: 180)

  @Test(arguments: [1, 4, 16, 90, -1, -7, -60])
  func scrolledPageIsFound(lines: Int) {
    let screen = Screen()
    screen.scribble(page)
    screen.start()
    let rest = FrameRect(
      x: page.x, y: page.y + max(0, -lines), width: page.width, height: page.height - abs(lines))
    screen.move(rest, dx: 0, dy: -lines)
    let fresh = lines > 0 ? page.y + page.height - lines : page.y
    screen.scribble(FrameRect(x: page.x, y: fresh, width: page.width, height: abs(lines)))
    let (copy, left) = screen.follow()
    #expect(copy?.dx == 0)
    #expect(copy?.dy == -lines)
    #expect(left <= abs(lines) * page.width)
  }

  @Test(arguments: [1, 4, 16, -1, -7, -60])
  func scrolledPageOfPlainRowsIsFound(lines: Int) {
    let screen = Screen()
    func stripes(_ rect: FrameRect) {
      for y in rect.y..<rect.y + rect.height {
        let color = UInt32(screen.next(0x100_0000))
        for x in rect.x..<rect.x + rect.width { screen.pixels[y * Screen.size.width + x] = color }
      }
    }
    stripes(page)
    screen.start()
    let rest = FrameRect(
      x: page.x, y: page.y + max(0, -lines), width: page.width, height: page.height - abs(lines))
    screen.move(rest, dx: 0, dy: -lines)
    let fresh = lines > 0 ? page.y + page.height - lines : page.y
    stripes(FrameRect(x: page.x, y: fresh, width: page.width, height: abs(lines)))
    let (copy, left) = screen.follow()
    #expect(copy?.dx == 0)
    #expect(copy?.dy == -lines)
    #expect(left <= abs(lines) * page.width)
  }

  @Test(arguments: [(5, 3), (-9, 2), (30, -31), (-1, -1), (60, 0)])
  func draggedWindowIsFound(dx: Int, dy: Int) {
    let screen = Screen()
    let window = FrameRect(x: 80, y: 60, width: 120, height: 90)
    screen.scribble(window)
    screen.start()
    let before = screen.pixels
    screen.pixels = [UInt32](repeating: 0x102030, count: before.count)
    for y in window.y..<window.y + window.height {
      for x in window.x..<window.x + window.width {
        screen.pixels[(y + dy) * Screen.size.width + x + dx] = before[y * Screen.size.width + x]
      }
    }
    let (copy, left) = screen.follow(topBits: 0xAB00_0000)
    #expect(copy?.dx == dx)
    #expect(copy?.dy == dy)
    #expect(left <= abs(dx) * window.height + abs(dy) * window.width + abs(dx * dy))
  }

  /// A page that scrolls beside a window that is dragged.
  @Test func severalMotionsAreFound() {
    let screen = Screen()
    let left = FrameRect(x: 0, y: 20, width: 160, height: 200)
    let window = FrameRect(x: 190, y: 40, width: 90, height: 80)
    screen.scribble(left)
    screen.scribble(window)
    screen.start()
    screen.move(FrameRect(x: 0, y: 20, width: 160, height: 190), dx: 0, dy: -10)
    screen.move(FrameRect(x: 196, y: 43, width: 90, height: 80), dx: 6, dy: 3)
    let (copies, _) = screen.followAll()
    #expect(copies.contains { $0.dx == 0 && $0.dy == -10 })
    #expect(copies.contains { $0.dx == 6 && $0.dy == 3 })
  }

  @Test func whatDidNotMoveIsNotFound() {
    let screen = Screen()
    screen.scribble(page)
    _ = screen.follow()
    screen.scribble(page)
    #expect(screen.follow().0 == nil)
    #expect(screen.follow().0 == nil)
  }

  /// Whatever was found, the frame is the picture afterwards, and every copy lies inside it.
  @Test func framesStayTrueUnderRandomHistories() {
    let screen = Screen()
    var found = 0
    for _ in 0..<60 {
      let width = 40 + screen.next(260)
      let height = 20 + screen.next(200)
      let rect = FrameRect(
        x: screen.next(320 - width), y: screen.next(240 - height), width: width, height: height)
      switch screen.next(3) {
      case 0: screen.scribble(rect)
      case 1:
        let dy = screen.next(rect.y * 2 + 1) - rect.y
        if rect.y + rect.height - dy <= 240 { screen.move(rect, dx: 0, dy: dy) }
      default:
        let dx = min(rect.x, screen.next(20))
        let dy = min(rect.y, screen.next(20))
        screen.move(rect, dx: dx, dy: dy)
      }
      let (copies, _) = screen.followAll()
      #expect(screen.pixels.indices.allSatisfy { screen.frame.pixels[$0] == screen.pixels[$0] })
      found += copies.count
      for copy in copies {
        let to = copy.to
        #expect(to.x >= 0 && to.y >= 0 && to.x + to.width <= 320 && to.y + to.height <= 240)
        #expect(to.x - copy.dx >= 0 && to.x + to.width - copy.dx <= 320)
        #expect(to.y - copy.dy >= 0 && to.y + to.height - copy.dy <= 240)
      }
    }
    #expect(found > 4)
  }
}
