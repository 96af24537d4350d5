/// The viewers' pointers, turned into movements of one mouse.
///
/// The mouse is where the last event of any viewer was: the guest's arrow then follows whoever acts.
struct Pointer: Sendable, Equatable {
  /// Where a viewer's pointer is, in a frame of some size.
  struct Position: Sendable, Equatable {
    var x: Int
    var y: Int
    var width: Int
    var height: Int

    /// A viewer may send any number; the mouse stays within the frame.
    init(x: Int, y: Int, width: Int, height: Int) {
      self.width = max(width, 1)
      self.height = max(height, 1)
      self.x = min(max(x, 0), self.width - 1)
      self.y = min(max(y, 0), self.height - 1)
    }
  }

  /// What the mouse does.
  struct Motion: Sendable, Equatable {
    var right = 0
    var down = 0
    var wheel = 0
    /// Detents of the horizontal wheel, to the right.
    var pan = 0
    var buttons: MouseButtons = []
    /// Where the pointer is now; nil where it never was anywhere.
    var position: Position?
  }

  /// Bits of RFB's button mask that are no buttons: the wheel.
  private static let wheelUp: UInt16 = 1 << 3
  private static let wheelDown: UInt16 = 1 << 4
  private static let wheelLeft: UInt16 = 1 << 5
  private static let wheelRight: UInt16 = 1 << 6

  /// Where the pointer is.
  private(set) var last: Position?
  private var buttons: [UInt64: UInt16] = [:]

  /// `viewer`'s pointer is at `position` with `mask` of RFB's buttons held.
  /// - Returns: what the mouse does; nil where nothing changed. A place that nothing led to, as the
  ///   first, moves a pointer that knows places alone.
  mutating func move(viewer: UInt64, to position: Position, buttons mask: UInt16) -> Motion? {
    let before = buttons[viewer] ?? 0
    let held = union
    buttons[viewer] = mask
    var motion = Motion(buttons: union)
    if let last, last.width == position.width, last.height == position.height {
      motion.right = position.x - last.x
      motion.down = position.y - last.y
    }
    let isMoved = last != position
    last = position
    let turned = mask & ~before
    if turned & Self.wheelUp != 0 { motion.wheel -= 1 }
    if turned & Self.wheelDown != 0 { motion.wheel += 1 }
    if turned & Self.wheelLeft != 0 { motion.pan -= 1 }
    if turned & Self.wheelRight != 0 { motion.pan += 1 }
    if motion == Motion(buttons: held) && !isMoved { return nil }
    motion.position = position
    return motion
  }

  /// `viewer` left. Its buttons go up where nobody else holds them.
  mutating func remove(viewer: UInt64) -> Motion? {
    let held = union
    guard buttons.removeValue(forKey: viewer) != nil else { return nil }
    return union == held ? nil : Motion(buttons: union, position: last)
  }

  private var union: MouseButtons {
    let mask = buttons.values.reduce(0, |)
    var result: MouseButtons = []
    if mask & 1 << 0 != 0 { result.insert(.left) }
    if mask & 1 << 1 != 0 { result.insert(.middle) }
    if mask & 1 << 2 != 0 { result.insert(.right) }
    if mask & 1 << 7 != 0 { result.insert(.fourth) }
    if mask & 1 << 8 != 0 { result.insert(.fifth) }
    return result
  }
}

/// A button of RFB's mask, by the name that people give it.
public enum PointerButton: String, CaseIterable, Sendable {
  case left, middle, right
  case wheelUp = "wheel-up"
  case wheelDown = "wheel-down"
  case wheelLeft = "wheel-left"
  case wheelRight = "wheel-right"
  case back, forward

  /// The button's bit.
  public var mask: UInt16 {
    switch self {
    case .left: 1
    case .middle: 1 << 1
    case .right: 1 << 2
    case .wheelUp: 1 << 3
    case .wheelDown: 1 << 4
    case .wheelLeft: 1 << 5
    case .wheelRight: 1 << 6
    case .back: 1 << 7
    case .forward: 1 << 8
    }
  }
}
