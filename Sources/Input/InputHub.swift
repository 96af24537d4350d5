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
    var keys: HeldKeys
    var pointer = Pointer()
    var activity: (@Sendable () -> Void)?
    var canAcceptMore: (@Sendable () -> Bool?)?
    /// Whether the tablet had the pointer last, and which buttons it or the mouse was told of.
    var usesTablet = false
    var buttons: MouseButtons = []
    /// Whether everything waits.
    var isHeld = false
  }

  let controller: I8042
  private let tablet: USBTablet?
  let pace: TypingPace
  /// What the guest believes its keyboard types.
  public let layout: KeyboardLayout
  let state: Mutex<State>
  /// One text is typed at a time.
  let typing = Mutex(())
  let monitor = Monitor()
  /// Bytes that the guest read from its keyboard. Guarded by `monitor`.
  var bytesRead: UInt64 = 0
  /// A copy of the state's flag, for those who sleep. Guarded by `monitor`.
  private var isHeld = false

  /// - Parameters:
  ///   - controller: the guest's keyboard and mouse.
  ///   - tablet: gets the pointer instead of the mouse while the guest asks for its reports.
  ///   - layout: what the guest believes its keyboard types.
  ///   - pace: how fast text is typed.
  public init(
    _ controller: I8042, tablet: USBTablet? = nil, layout: KeyboardLayout = .us,
    pace: TypingPace = TypingPace()
  ) {
    self.layout = layout
    state = Mutex(State(keys: HeldKeys(layout: layout)))
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

  /// Sets who is told when the guest sets the keyboard's lights, and what they are now. The handler
  /// runs with the device's lock held, so it waits for nobody.
  public func lights(_ handler: @escaping @Sendable (KeyboardLEDs) -> Void) {
    controller.setLightsHandler(handler)
  }

  func noteActivity() {
    let handler = state.withLock { $0.activity }
    handler?()
  }

  /// A viewer's key goes down, repeats or goes up. An unknown keysym is counted and ignored.
  /// - Parameter keysym: the X11 keysym (RFC 6143, 7.5.4).
  public func key(viewer: UInt64, keysym: UInt32, pressed: Bool) {
    noteActivity()
    whenLetIn { state in
      let leds = controller.keyboardLEDs
      let strokes =
        pressed
        ? state.keys.press(viewer: viewer, keysym: keysym, leds: leds)
        : state.keys.release(viewer: viewer, keysym: keysym)
      if !strokes.isEmpty { controller.strokes(strokes) }
    }
  }

  /// A viewer's key goes down, repeats or goes up, named by its place on the keyboard: the guest's
  /// layout decides what it types, and the viewer's modifiers are the guest's.
  /// - Parameters:
  ///   - scanCode: the make code in set 1; bit 7 stands for the prefix E0h (QEMU Extended Key Event).
  ///   - keysym: what the viewer thinks it types; it counts where no key has the scan code.
  public func key(viewer: UInt64, scanCode: UInt32, keysym: UInt32, pressed: Bool) {
    guard let key = PhysicalKey(extendedScanCode: scanCode) else {
      return self.key(viewer: viewer, keysym: keysym, pressed: pressed)
    }
    noteActivity()
    whenLetIn { state in
      let strokes =
        pressed
        ? state.keys.press(viewer: viewer, key: key, keysym: keysym)
        : state.keys.release(viewer: viewer, key: key, keysym: keysym)
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
    whenLetIn { state in
      let position = Pointer.Position(x: x, y: y, width: width, height: height)
      let mask = UInt16(truncatingIfNeeded: buttons)
      if let motion = state.pointer.move(viewer: viewer, to: position, buttons: mask) {
        move(motion, &state)
      }
    }
  }

  /// The viewer left: what it held and no other viewer holds goes up.
  public func viewerGone(_ viewer: UInt64) {
    whenLetIn { state in
      let strokes = state.keys.releaseAll(of: viewer)
      if !strokes.isEmpty { controller.strokes(strokes) }
      if let motion = state.pointer.remove(viewer: viewer) { move(motion, &state) }
    }
  }

  /// Lets go of everything, whoever holds it: after a reset, or a snapshot that was taken while
  /// somebody else held keys.
  public func releaseEverything() {
    state.withLock { state in
      state.keys = HeldKeys(layout: layout, ignored: state.keys.ignored)
      state.pointer = Pointer()
      state.buttons = []
      controller.releaseAll()
      tablet?.releaseButtons()
    }
  }

  /// Whether a viewer holds the key of `keysym`.
  public func isHeld(keysym: UInt32) -> Bool {
    state.withLock { state in state.keys.holds.contains { $0.keysym == keysym } }
  }

  /// How many keys came that the guest's keyboard does not have.
  public var ignoredKeys: UInt64 { state.withLock { $0.keys.ignored } }

  // MARK: Standing still

  /// Has all input wait until ``letIn()``, as while a snapshot is taken: none is then half in one
  /// device and half in another. Returns when nothing is on its way any more.
  public func hold() {
    monitor.withLock { isHeld = true }
    state.withLock { $0.isHeld = true }
  }

  /// Lets input go on.
  public func letIn() {
    state.withLock { $0.isHeld = false }
    monitor.withLock {
      isHeld = false
      monitor.broadcast()
    }
  }

  /// Calls `body` with the lock held, once input is not held up.
  func whenLetIn(_ body: (inout State) -> Void) {
    while true {
      let isDone = state.withLock { state in
        if state.isHeld { return false }
        body(&state)
        return true
      }
      if isDone { return }
      monitor.withLock { while isHeld { monitor.wait() } }
    }
  }

  /// Moves whichever device the guest uses at the moment; one that it leaves lets go of its buttons.
  private func move(_ motion: Pointer.Motion, _ state: inout State) {
    let usesTablet = tablet?.isInUse ?? false
    if usesTablet != state.usesTablet, !state.buttons.isEmpty {
      if usesTablet {
        controller.moveMouse(right: 0, down: 0, wheel: 0, buttons: [])
      } else {
        tablet?.releaseButtons()
      }
    }
    let isPress = motion.buttons != state.buttons
    state.usesTablet = usesTablet
    state.buttons = motion.buttons
    if let tablet, usesTablet, let position = motion.position {
      return tablet.point(
        x: position.x * USBTablet.range / max(1, position.width - 1),
        y: position.y * USBTablet.range / max(1, position.height - 1),
        wheel: motion.wheel, pan: motion.pan, buttons: motion.buttons)
    }
    guard motion.right != 0 || motion.down != 0 || motion.wheel != 0 || isPress else { return }
    controller.moveMouse(
      right: motion.right, down: motion.down, wheel: motion.wheel, buttons: motion.buttons)
  }
}
