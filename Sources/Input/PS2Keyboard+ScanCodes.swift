/// What a key sends when it goes down, repeats and goes up, in each scan code set (IBM PS/2 Hardware
/// Interface Technical Reference, Keyboards, "Scan Code Tables").
extension PS2Keyboard {
  private var shiftIsDown: Bool { isDown(.leftShift) || isDown(.rightShift) }
  private var controlIsDown: Bool { isDown(.leftControl) || isDown(.rightControl) }
  private var altIsDown: Bool { isDown(.leftAlt) || isDown(.rightAlt) }
  private var numLockIsLit: Bool { leds & KeyboardLEDs.numLock.rawValue != 0 }

  /// How `key`, pressed now, is sent.
  func form(of key: PhysicalKey) -> Form {
    if key == .pause { return scanSet == 3 ? .plain : .noBreak }
    guard scanSet != 3 else { return .plain }
    if key == .printScreen {
      if altIsDown { return .systemRequest }
      return shiftIsDown || controlIsDown ? .plain : .printScreen
    }
    if key.isGrayKey {
      if numLockIsLit { return shiftIsDown ? .plain : .insideShift }
      return shiftIsDown ? .withoutShift : .plain
    }
    return key == .keypadDivide && shiftIsDown ? .withoutShift : .plain
  }

  /// The bytes of `key` going down.
  func makeCodes(_ key: PhysicalKey, _ form: Form) -> [UInt8] {
    switch form {
    case .plain: make(key)
    case .insideShift, .printScreen: madeUp(.leftShift, pressed: true) + make(key)
    case .withoutShift: heldShifts(pressed: false) + make(key)
    case .systemRequest: scanSet == 1 ? [0x54] : [0x84]
    case .noBreak: pauseCodes
    }
  }

  /// The bytes of `key` being held. The modifiers around it are not sent again.
  func repeatCodes(_ key: PhysicalKey) -> [UInt8] {
    let form = down.first { $0.key == key }?.form ?? .plain
    switch form {
    case .noBreak: return []
    case .systemRequest: return makeCodes(key, form)
    default: return make(key)
    }
  }

  /// The bytes of `key` going up.
  func breakCodes(_ key: PhysicalKey, _ form: Form) -> [UInt8] {
    switch form {
    case .plain: release(key)
    case .insideShift, .printScreen: release(key) + madeUp(.leftShift, pressed: false)
    case .withoutShift: release(key) + heldShifts(pressed: true)
    case .systemRequest: scanSet == 1 ? [0xD4] : [0xF0, 0x84]
    case .noBreak: []
    }
  }

  private func make(_ key: PhysicalKey) -> [UInt8] {
    let codes = key.codes
    switch scanSet {
    case 1: return codes.extended ? [0xE0, codes.set1] : [codes.set1]
    case 3: return codes.set3 == 0 ? [] : [codes.set3]
    default: return codes.extended ? [0xE0, codes.set2] : [codes.set2]
    }
  }

  private func release(_ key: PhysicalKey) -> [UInt8] {
    let codes = key.codes
    switch scanSet {
    case 1: return codes.extended ? [0xE0, codes.set1 | 0x80] : [codes.set1 | 0x80]
    case 3: return codes.set3 == 0 || !set3Breaks ? [] : [0xF0, codes.set3]
    default: return codes.extended ? [0xE0, 0xF0, codes.set2] : [0xF0, codes.set2]
    }
  }

  /// A code of Shift that no finger caused: with the prefix E0h.
  private func madeUp(_ shift: PhysicalKey, pressed: Bool) -> [UInt8] {
    [0xE0] + (pressed ? make(shift) : release(shift))
  }

  private func heldShifts(pressed: Bool) -> [UInt8] {
    [PhysicalKey.leftShift, .rightShift].filter(isDown).flatMap { madeUp($0, pressed: pressed) }
  }

  /// Pause sends make and break at once; with Control it is Break.
  private var pauseCodes: [UInt8] {
    if controlIsDown {
      return scanSet == 1 ? [0xE0, 0x46, 0xE0, 0xC6] : [0xE0, 0x7E, 0xE0, 0xF0, 0x7E]
    }
    return scanSet == 1
      ? [0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5]
      : [0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77]
  }
}

/// The lights of the keyboard, as the host's command EDh sets them.
public struct KeyboardLEDs: OptionSet, Sendable, Equatable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let scrollLock = KeyboardLEDs(rawValue: 1)
  public static let numLock = KeyboardLEDs(rawValue: 2)
  public static let capsLock = KeyboardLEDs(rawValue: 4)
}
