import KVMEngine

/// The adapter at one moment, as the display thread draws it without holding the adapter's lock.
struct Shot: Sendable {
  var mode: ScreenMode
  /// The DAC's 256 colours as pixels.
  var palette: [UInt32]
  /// The attribute controller's 16 colours as pixels.
  var colors: [UInt32]
  var cursorAddress: Int
  var cursorLines: ClosedRange<Int>?
  /// Pages written since the last update.
  var dirty: DirtyPages
  /// Any pixel may have changed.
  var redraw: Bool
  /// The cursor may have changed.
  var rescan: Bool
  /// Nanoseconds, for what blinks.
  var time: UInt64
}

/// Draws shots into one frame and knows what it drew last. Only one thread at a time uses it.
struct Renderer {
  private var text = TextRenderer()
  private var scratch: [UInt32] = []
  private var mode = ScreenMode.blank
  private var motion = MotionFinder()

  /// The size of a blank screen before there was any other: what a VGA's text modes have.
  static let initialSize = FrameSize(width: 720, height: 400)

  /// Brings `frame` up to date with `shot`.
  mutating func update(
    _ frame: Frame, _ shot: Shot, memory: VideoMemory, everything: Bool
  ) -> FrameUpdate {
    let resized = shot.mode.size.map { $0 != frame.size } ?? false
    if resized, let size = shot.mode.size { frame.resize(size) }
    let all = everything || resized || shot.redraw || shot.mode != mode
    mode = shot.mode
    var next: UInt64?
    var copies: [FrameCopy] = []
    let grid: DamageGrid
    switch shot.mode {
    case .blank:
      guard all else { return FrameUpdate() }
      grid = Self.blacken(frame)
    case .text(let textMode):
      grid = text.draw(shot, textMode, memory: memory, frame: frame, all: all)
      next = text.nextChange(after: shot.time)
    case .planar(let planarMode):
      guard all || shot.dirty.anyVisible else { return FrameUpdate() }
      grid = PlanarRenderer(mode: planarMode, memory: memory)
        .draw(shot, frame: frame, all: all, scratch: &scratch)
    case .linear(let linearMode):
      guard all || shot.dirty.anyVisible else { return FrameUpdate() }
      let linear = LinearRenderer(mode: linearMode, memory: memory)
      if !all, let rows = linear.rows, let changed = linear.changedRows(shot.dirty) {
        copies = motion.move(frame, to: rows, changed: changed)
      }
      grid =
        linear
        .draw(shot, frame: frame, all: all, scratch: &scratch)
    }
    if everything || resized {
      let whole = FrameRect(x: 0, y: 0, width: frame.size.width, height: frame.size.height)
      return FrameUpdate(damage: [whole], resized: resized, nextChange: next)
    }
    return FrameUpdate(damage: grid.rects(), copies: copies, resized: false, nextChange: next)
  }

  private static func blacken(_ frame: Frame) -> DamageGrid {
    var grid = DamageGrid(size: frame.size, tileWidth: frame.size.width)
    let width = frame.size.width
    for row in 0..<frame.size.height {
      let pixels = frame.pixels + row * width
      var any: UInt32 = 0
      for x in 0..<width { any |= pixels[x] }
      guard any != 0 else { continue }
      pixels.update(repeating: 0, count: width)
      grid.mark(column: 0, row: row)
    }
    return grid
  }
}

/// Rows of pixels on their way into a frame.
enum PixelRow {
  /// Room in a scratch row beyond the largest picture's width, for what panning cuts off.
  static let slack = 64

  /// Gives `scratch` room for a row of `width` pixels.
  static func prepare(_ scratch: inout [UInt32], width: Int) {
    if scratch.count < width + slack {
      scratch = [UInt32](repeating: 0, count: width + slack)
    }
  }

  /// Copies `count` pixels, their top byte cleared, to `target` where they differ; returns whether
  /// they did.
  @inline(__always)
  static func copy(
    _ source: UnsafePointer<UInt32>, to target: UnsafeMutablePointer<UInt32>, count: Int
  ) -> Bool {
    var differs: UInt32 = 0
    for index in 0..<count { differs |= target[index] ^ source[index] & 0x00FF_FFFF }
    guard differs != 0 else { return false }
    for index in 0..<count { target[index] = source[index] & 0x00FF_FFFF }
    return true
  }

  /// Copies a whole row of `frame`, and marks the tiles that changed.
  @inline(__always)
  static func put(
    _ source: UnsafePointer<UInt32>, row: Int, frame: Frame, grid: inout DamageGrid
  ) {
    // SAFETY: the caller's row lies in the frame, and `source` holds the frame's width of pixels.
    let width = frame.size.width
    let target = frame.pixels + row &* width
    let tile = DamageGrid.tileWidth
    var x = 0
    // The length of a whole tile is a constant, so that comparing it takes a few instructions.
    while x <= width &- tile {
      if copy(source + x, to: target + x, count: DamageGrid.tileWidth) {
        grid.mark(column: x / tile, row: row)
      }
      x &+= tile
    }
    if x < width, copy(source + x, to: target + x, count: width &- x) {
      grid.mark(column: x / tile, row: row)
    }
  }
}
