import KVMEngine
import Synchronization

@testable import Display

/// A picture that a test paints.
final class FakeSource: FrameSource {
  private struct State {
    var size: FrameSize
    var pixels: [UInt32]
    var damage: [FrameRect] = []
    var nextChange: UInt64?
    var updates = 0
    var handler: @Sendable () -> Void = {}
  }
  private let state: Mutex<State>

  init(width: Int = 64, height: Int = 48, color: UInt32 = 0x102030) {
    state = Mutex(
      State(
        size: FrameSize(width: width, height: height),
        pixels: [UInt32](repeating: color, count: width * height)))
  }

  var updates: Int { state.withLock { $0.updates } }

  func setNextChange(_ nanoseconds: UInt64?) { state.withLock { $0.nextChange = nanoseconds } }

  /// Paints a rectangle, and tells of it where `announced`.
  func paint(_ rect: FrameRect, _ color: UInt32, announced: Bool = true) {
    let handler = state.withLock { state in
      for y in rect.y..<rect.y + rect.height {
        for x in rect.x..<rect.x + rect.width { state.pixels[y * state.size.width + x] = color }
      }
      state.damage.append(rect)
      return state.handler
    }
    if announced { handler() }
  }

  func report(_ damage: [FrameRect]) {
    state.withLock { state in
      state.damage = damage
      return state.handler
    }()
  }

  func resize(width: Int, height: Int, color: UInt32) {
    state.withLock { state in
      state.size = FrameSize(width: width, height: height)
      state.pixels = [UInt32](repeating: color, count: width * height)
      state.damage = []
      return state.handler
    }()
  }

  func update(_ frame: Frame, everything: Bool) -> FrameUpdate {
    state.withLock { state in
      state.updates += 1
      var update = FrameUpdate(damage: state.damage, nextChange: state.nextChange)
      state.damage = []
      let resized = frame.size != state.size
      if resized { frame.resize(state.size) }
      if resized || everything {
        update.resized = resized
        update.damage = [FrameRect(x: 0, y: 0, width: frame.size.width, height: frame.size.height)]
      }
      frame.pixels.update(from: state.pixels, count: state.pixels.count)
      return update
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

/// Remembers what viewers typed.
final class FakeInput: ViewerInput {
  enum Event: Equatable {
    case key(UInt32, Bool)
    case scanCode(UInt32, UInt32, Bool)
    case pointer(Int, Int, UInt16)
    case copied(String)
    case copiedTooMuch(Int)
    case gone
  }
  private struct State {
    var events: [Event] = []
    var onKey: @Sendable (UInt32, Bool) -> Void = { _, _ in }
  }
  private let state = Mutex(State())

  var events: [Event] { state.withLock { $0.events } }

  func onKey(_ body: @escaping @Sendable (UInt32, Bool) -> Void) {
    state.withLock { $0.onKey = body }
  }

  func key(viewer: UInt64, keysym: UInt32, pressed: Bool) {
    let onKey = state.withLock { state in
      state.events.append(.key(keysym, pressed))
      return state.onKey
    }
    onKey(keysym, pressed)
  }

  func key(viewer: UInt64, scanCode: UInt32, keysym: UInt32, pressed: Bool) {
    state.withLock { $0.events.append(.scanCode(scanCode, keysym, pressed)) }
  }

  func pointer(viewer: UInt64, x: Int, y: Int, buttons: UInt16, frame: FrameSize) {
    state.withLock { $0.events.append(.pointer(x, y, buttons)) }
  }

  func copied(viewer: UInt64, text: String) {
    state.withLock { $0.events.append(.copied(text)) }
  }

  func copiedTooMuch(viewer: UInt64, bytes: Int) {
    state.withLock { $0.events.append(.copiedTooMuch(bytes)) }
  }

  func viewerGone(_ viewer: UInt64) { state.withLock { $0.events.append(.gone) } }
}

/// Waits up to ten seconds for a condition that another thread brings about.
func eventually(_ condition: () -> Bool) -> Bool {
  let deadline = Monitor.monotonic() + 10_000_000_000
  while !condition() {
    if Monitor.monotonic() > deadline { return false }
    pause(milliseconds: 2)
  }
  return true
}

/// Lets real time pass.
func pause(milliseconds: UInt64) {
  let monitor = Monitor()
  let deadline = Monitor.monotonic() + milliseconds * 1_000_000
  monitor.withLock {
    while monitor.wait(until: deadline) {}
  }
}
