import KVMEngine
import Synchronization

/// Where the input of all viewers, and text typed from outside, becomes strokes of the guest's one
/// keyboard and movements of its one mouse.
///
/// Keys are told in `InputHub+Keys.swift`, the pointer in `InputHub+Pointer.swift`, typing in
/// `InputHub+Typing.swift`.
///
/// Lock order: the typing lock, then the hub's, then ``I8042``'s or ``USBTablet``'s; the monitor comes last.
public final class InputHub: @unchecked Sendable {
  // SAFETY: everything mutable is in `state`, or guarded by `monitor` where noted.
  struct State {
    var keys = HeldKeys()
    var pointer = Pointer()
    var activity: (@Sendable () -> Void)?
    var canAcceptMore: (@Sendable () -> Bool?)?
  }

  let controller: I8042
  private let tablet: USBTablet?
  let pace: TypingPace
  let state = Mutex(State())
  /// One text is typed at a time.
  let typing = Mutex(())
  let monitor = Monitor()
  /// Bytes that the guest read from its keyboard. Guarded by `monitor`.
  var bytesRead: UInt64 = 0

  /// - Parameters:
  ///   - controller: the guest's keyboard and mouse.
  ///   - tablet: gets the pointer instead of the mouse once the guest has set it up.
  ///   - pace: how fast text is typed.
  public init(
    _ controller: I8042, tablet: USBTablet? = nil, pace: TypingPace = TypingPace()
  ) {
    self.controller = controller
    self.tablet = tablet
    self.pace = pace
    controller.setKeyboardReadHandler { [weak self] in self?.keyboardWasRead() }
  }

  private func keyboardWasRead() {
    monitor.withLock {
      bytesRead &+= 1
      monitor.broadcast()
    }
  }

  /// Sets who is told of any input, before the guest gets it. The handler may be called from any
  /// thread, with no lock held.
  public func activity(_ handler: @escaping @Sendable () -> Void) {
    state.withLock { $0.activity = handler }
  }

  /// Sets who knows whether the guest's own keyboard buffer has room for another key: the firmware,
  /// whose buffer in the BIOS data area holds 15. It must leave room for one key more than it
  /// says, since a key is on its way through the guest's handler when the question comes. Its
  /// answer is nil where it can't tell, as when the guest no longer uses the firmware: then text is
  /// typed at ``TypingPace``.
  public func acceptance(_ canAcceptMore: @escaping @Sendable () -> Bool?) {
    state.withLock { $0.canAcceptMore = canAcceptMore }
  }

  func noteActivity() {
    let handler = state.withLock { $0.activity }
    handler?()
  }

  /// A viewer's key goes down, repeats or goes up. An unknown keysym is counted and ignored.
  /// - Parameter keysym: the X11 keysym (RFC 6143, 7.5.4).
  public func key(viewer: UInt64, keysym: UInt32, pressed: Bool) {
    noteActivity()
    state.withLock { state in
      let leds = controller.keyboardLEDs
      let strokes =
        pressed
        ? state.keys.press(viewer: viewer, keysym: keysym, leds: leds)
        : state.keys.release(viewer: viewer, keysym: keysym)
      if !strokes.isEmpty { controller.strokes(strokes) }
    }
  }

  /// A viewer's pointer is somewhere (RFC 6143, 7.5.5).
  /// - Parameters:
  ///   - x: pixels from the left edge of the frame that the viewer sees.
  ///   - y: pixels from its top edge.
  ///   - buttons: bit n - 1 is button n: left, middle, right, wheel up, down, left, right, back,
  ///     forward. RFB's own mask has 8 bits, its extension for more buttons 16.
  ///   - width: of the frame, pixels.
  ///   - height: of the frame, pixels.
  public func pointer(
    viewer: UInt64, x: Int, y: Int, buttons: some FixedWidthInteger, width: Int, height: Int
  ) {
    noteActivity()
    state.withLock { state in
      let position = Pointer.Position(x: x, y: y, width: width, height: height)
      let mask = UInt16(truncatingIfNeeded: buttons)
      if let motion = state.pointer.move(viewer: viewer, to: position, buttons: mask) {
        move(motion)
      }
    }
  }

  /// The viewer left: what it held and no other viewer holds goes up.
  public func viewerGone(_ viewer: UInt64) {
    state.withLock { state in
      let strokes = state.keys.releaseAll(of: viewer)
      if !strokes.isEmpty { controller.strokes(strokes) }
      if let motion = state.pointer.remove(viewer: viewer) { move(motion) }
    }
  }

  /// Lets go of everything, whoever holds it: after a reset, or a snapshot that was taken while
  /// somebody else held keys.
  public func releaseEverything() {
    state.withLock { state in
      state.keys = HeldKeys(ignored: state.keys.ignored)
      state.pointer = Pointer()
      controller.releaseAll()
    }
  }

  /// How many keys came that a US keyboard does not have.
  public var ignoredKeys: UInt64 { state.withLock { $0.keys.ignored } }

  private func move(_ motion: Pointer.Motion) {
    if let tablet, tablet.isInUse, let position = motion.position {
      return tablet.point(
        x: position.x * USBTablet.range / max(1, position.width - 1),
        y: position.y * USBTablet.range / max(1, position.height - 1),
        wheel: motion.wheel, pan: motion.pan, buttons: motion.buttons)
    }
    controller.moveMouse(
      right: motion.right, down: motion.down, wheel: motion.wheel, buttons: motion.buttons)
  }
}
