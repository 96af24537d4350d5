/// What one update of a picture changed.
public struct FrameUpdate: Sendable, Equatable {
  /// Where pixels differ from before; empty where nothing changed. At most 200 rectangles.
  public var damage: [FrameRect]
  /// What moved as a whole before that, one after the other; `damage` is what this leaves to be sent.
  public var copies: [FrameCopy]
  /// The frame was given another size (and is damaged whole).
  public var resized: Bool
  /// When the picture will change by itself next (a blinking cursor), in nanoseconds from now; nil
  /// where it won't.
  public var nextChange: UInt64?

  public init(
    damage: [FrameRect] = [], copies: [FrameCopy] = [], resized: Bool = false,
    nextChange: UInt64? = nil
  ) {
    self.damage = damage
    self.copies = copies
    self.resized = resized
    self.nextChange = nextChange
  }
}

/// A picture as it was at one moment, and what is known of it.
public struct Screenshot: Sendable {
  public var frame: Frame
  /// Counts the changes of the picture that were noticed. Two screenshots with the same number show
  /// the same picture.
  public var sequence: UInt64
  /// The machine's clock when the picture was taken, in nanoseconds since it was made.
  public var time: UInt64
  /// How long before that the last change was noticed, in nanoseconds. Changes are looked for as
  /// often as viewers need it, and by each screenshot.
  public var damageAge: UInt64
}

/// A picture that somebody draws: the video adapter, as the display thread sees it.
public protocol FrameSource: AnyObject, Sendable {
  /// Brings `frame` up to date and says what changed. It is the one consumer of the source's
  /// damage: only the display thread calls it, always with the same frame.
  /// - Parameter everything: the frame's contents can't be relied on; draw all of it.
  func update(_ frame: Frame, everything: Bool) -> FrameUpdate

  /// The picture as it is now, apart from any ``update(_:everything:)``: takes no damage from it.
  func capture() -> Frame

  /// A viewer would like the picture to have this size: whoever draws it is told that it would suit
  /// the screen. Returns false where it can't have it.
  func offer(_ size: FrameSize) -> Bool

  /// Sets who is told that the picture may have changed in a way that ``update(_:everything:)``
  /// must be called to see: register and mode changes, and writes that came through an exit.
  /// Writes to mapped memory are found by asking, not told. Called with device locks held, so the
  /// handler only sets a flag and wakes a thread.
  func setChangeHandler(_ handler: @escaping @Sendable () -> Void)
}

/// The viewers' input, as the VNC server hands it on. Called from libvncserver's threads, one call at
/// a time a viewer.
public protocol ViewerInput: AnyObject, Sendable {
  /// An RFB KeyEvent (RFC 6143, 7.5.4). `keysym` is the X11 keysym.
  func key(viewer: UInt64, keysym: UInt32, pressed: Bool)

  /// A QEMU extended key event: the key by its place on the viewer's keyboard, whatever it types.
  /// `scanCode` is the key's make code in set 1, with bit 7 set for the prefix E0h.
  func key(viewer: UInt64, scanCode: UInt32, keysym: UInt32, pressed: Bool)

  /// An RFB PointerEvent (RFC 6143, 7.5.5, and its extension for more buttons): button n is bit
  /// n - 1.
  func pointer(viewer: UInt64, x: Int, y: Int, buttons: UInt16, frame: FrameSize)

  /// The viewer copied `text` (RFC 6143, 7.5.6, and the extended clipboard).
  func copied(viewer: UInt64, text: String)

  /// The viewer copied a text of so many bytes that nobody read it.
  func copiedTooMuch(viewer: UInt64, bytes: Int)

  /// The viewer left; whatever it held down is up again.
  func viewerGone(_ viewer: UInt64)
}
