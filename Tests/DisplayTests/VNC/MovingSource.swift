import Synchronization

@testable import Display

/// A picture in which things scroll, are dragged and drawn at random, followed as the adapter follows
/// a linear mode: what moved is looked for, the rest compared.
final class MovingSource: FrameSource {
  private struct State {
    var size: FrameSize
    var pixels: [UInt32]
    var random: UInt64 = 42
    var finder = MotionFinder()
    var handler: @Sendable () -> Void = {}
  }
  private let state: Mutex<State>

  init(width: Int, height: Int) {
    state = Mutex(
      State(
        size: FrameSize(width: width, height: height),
        pixels: [UInt32](repeating: 0x203040, count: width * height)))
  }

  var pixels: [UInt32] { state.withLock { $0.pixels } }

  /// One random change: a rectangle is filled, scribbled on, covered with noise, or moved.
  func change() {
    state.withLock { state in
      let size = state.size
      let width = 40 + Self.next(&state, size.width - 40)
      let height = 20 + Self.next(&state, size.height - 20)
      let x = Self.next(&state, size.width - width + 1)
      let y = Self.next(&state, size.height - height + 1)
      let kind = Self.next(&state, 8)
      let toX = kind == 7 ? min(size.width - width, x + 5) : x
      let toY = Self.next(&state, min(y + 40, size.height - height) + 1)
      let before = state.pixels
      let fill = UInt32(Self.next(&state, 1 << 24))
      for row in 0..<height {
        for column in 0..<width {
          let index = (y + row) * size.width + x + column
          switch kind {
          case 0: state.pixels[index] = fill
          case 1: state.pixels[index] = Self.next(&state, 4) == 0 ? 0xE0E0E0 : 0x101418
          case 2: state.pixels[index] = UInt32(Self.next(&state, 1 << 24))
          case 3: state.pixels[index] = UInt32(row * 0x010200 + column) & 0xFF_FFFF
          default:
            state.pixels[(toY + row) * size.width + toX + column] = before[index]
          }
        }
      }
    }
  }

  private static func next(_ state: inout State, _ bound: Int) -> Int {
    state.random = state.random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state.random >> 33) % max(1, bound)
  }

  func update(_ frame: Frame, everything: Bool) -> FrameUpdate {
    state.withLock { state in
      let size = state.size
      let resized = frame.size != size
      if resized { frame.resize(size) }
      if resized || everything {
        frame.pixels.update(from: state.pixels, count: state.pixels.count)
        let whole = FrameRect(x: 0, y: 0, width: size.width, height: size.height)
        return FrameUpdate(damage: [whole], resized: resized)
      }
      let pixels = state.pixels
      return pixels.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress else { return FrameUpdate() }
        let rows = PixelRows(
          base: base, pitch: size.width * 4, width: size.width, height: size.height)
        let copies = state.finder.move(frame, to: rows, changed: 0..<size.height)
        var grid = DamageGrid(size: size)
        for y in 0..<size.height {
          PixelRow.put(rows.row(y), row: y, frame: frame, grid: &grid)
        }
        return FrameUpdate(damage: grid.rects(), copies: copies)
      }
    }
  }

  func offer(_ size: FrameSize) -> Bool { size.width <= 2560 }

  func capture() -> Frame {
    let frame = Frame(size: FrameSize(width: 1, height: 1))
    _ = update(frame, everything: true)
    return frame
  }

  func setChangeHandler(_ handler: @escaping @Sendable () -> Void) {
    state.withLock { $0.handler = handler }
  }
}
