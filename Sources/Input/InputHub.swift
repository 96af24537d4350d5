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
    /// Which device had the pointer last, and which buttons it was told of.
    var device = PointingDevice.mouse
    var buttons: MouseButtons = []
    /// Whether everything waits.
    var isHeld = false
    var clipboard = Clipboard()
    /// What a viewer presses to have its text typed, and who hears where that fails.
    var pasteKey: Chord?
    var report: (@Sendable (String) -> Void)?
    /// The thread of the last paste by key, and whether it still types.
    var paster: Thread?
    var isPasting = false
  }

  /// What a guest may take the pointer from.
  enum PointingDevice {
    /// The PS/2 mouse: how far it moved.
    case mouse
    /// The USB tablet: where it is.
    case tablet
    /// The pointer beside the PS/2 mouse that is read through the backdoor port: where it is.
    case vmware
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
  /// The paste by key that is under way is to end; all typing is to end.
  let isCancelled = Atomic<Bool>(false)
  let isStopping = Atomic<Bool>(false)
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
      var strokes: [KeyStroke]
      if !pressed {
        strokes = state.keys.release(viewer: viewer, keysym: keysym)
      } else if let paste = takePasteKey(
        viewer: viewer, key: KeyMap.entry(for: keysym, on: layout)?.key, keysym: keysym,
        isPlace: false, &state)
      {
        strokes = paste
      } else {
        strokes = state.keys.press(viewer: viewer, keysym: keysym, leds: leds)
      }
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
      var strokes: [KeyStroke]
      if !pressed {
        strokes = state.keys.release(viewer: viewer, key: key, keysym: keysym)
      } else if let paste = takePasteKey(
        viewer: viewer, key: key, keysym: keysym, isPlace: true, &state)
      {
        strokes = paste
      } else {
        strokes = state.keys.press(viewer: viewer, key: key, keysym: keysym)
      }
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

  /// Moves the pointer to a pixel of a frame and clicks there, `times` times, as one viewer more would.
  public func click(
    _ button: PointerButton?, times: Int, x: Int, y: Int, width: Int, height: Int
  ) {
    let mask = button?.mask ?? 0
    var masks: [UInt16] = [0]
    if button != nil { for _ in 0..<times { masks += [mask, 0] } }
    for buttons in masks {
      pointer(viewer: Self.typist, x: x, y: y, buttons: buttons, width: width, height: height)
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
      if !state.buttons.isEmpty { letGo(of: state.device, state) }
      state.pointer = Pointer()
      state.buttons = []
      controller.releaseAll()
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
      if isDone || isStopping.load(ordering: .acquiring) { return }
      monitor.withLock {
        while isHeld && !isStopping.load(ordering: .acquiring) { monitor.wait() }
      }
    }
  }

  /// Moves whichever device the guest uses at the moment; one that it leaves lets go of its buttons.
  private func move(_ motion: Pointer.Motion, _ state: inout State) {
    let device = self.device
    if device != state.device, !state.buttons.isEmpty { letGo(of: state.device, state) }
    let isPress = motion.buttons != state.buttons
    state.device = device
    state.buttons = motion.buttons
    switch device {
    case .tablet:
      guard let position = motion.position else { return }
      tablet?.point(
        x: position.x * USBTablet.range / max(1, position.width - 1),
        y: position.y * USBTablet.range / max(1, position.height - 1),
        wheel: motion.wheel, pan: motion.pan, buttons: motion.buttons)
    case .vmware: controller.moveVMwarePointer(motion)
    case .mouse:
      let isStill = motion.right == 0 && motion.down == 0 && motion.wheel == 0 && motion.pan == 0
      if isStill && !isPress { return }
      controller.moveMouse(
        right: motion.right, down: motion.down, wheel: motion.wheel, pan: motion.pan,
        buttons: motion.buttons)
    }
  }

  /// The best device that the guest listens to. That somebody reads the tablet is known; drivers turn
  /// VMware's pointer on without anybody reading it, and it has no second wheel.
  private var device: PointingDevice {
    if tablet?.isInUse ?? false { return .tablet }
    return controller.vmwarePointerIsOn ? .vmware : .mouse
  }

  /// Releases the buttons of a device, where the pointer is.
  private func letGo(of device: PointingDevice, _ state: State) {
    switch device {
    case .mouse: controller.moveMouse(right: 0, down: 0, wheel: 0, buttons: [])
    case .tablet: tablet?.releaseButtons()
    case .vmware: controller.moveVMwarePointer(Pointer.Motion(position: state.pointer.last))
    }
  }
}
