import BIOS
import KVMEngine

/// INT 09h's second half: a scan code of set 1 becomes flags, keystrokes and actions.
extension KeyboardBIOS {
  /// What the ROM's INT 09h has to do after a scan code.
  enum Action: UInt16 {
    case nothing = 0
    case stored = 1
    case breakKey = 2
    case printScreen = 3
    case systemPressed = 4
    case systemReleased = 5
    case hold = 6
    case reset = 7
  }

  /// The trap of the ROM's INT 09h: takes the scan code in AL, ends the interrupt, answers the
  /// action in AX.
  func interrupt(_ call: inout FirmwareCall) -> FirmwareOutcome {
    let action = take(call.al, BIOSDataArea(call.memory))
    ports.endOfInterrupt(irq: 1)
    call.ax = action.rawValue
    return .done
  }

  /// Bits of 40:17.
  enum Shift {
    static let right: UInt8 = 0x01
    static let left: UInt8 = 0x02
    static let control: UInt8 = 0x04
    static let alt: UInt8 = 0x08
    static let scrollLock: UInt8 = 0x10
    static let numLock: UInt8 = 0x20
    static let capsLock: UInt8 = 0x40
    static let insert: UInt8 = 0x80
  }

  /// Bits of 40:18.
  private enum Held {
    static let leftControl: UInt8 = 0x01
    static let leftAlt: UInt8 = 0x02
    static let system: UInt8 = 0x04
    static let pause: UInt8 = 0x08
    static let insert: UInt8 = 0x80
  }

  /// Bits of 40:96.
  private enum Prefix {
    static let e1: UInt8 = 0x01
    static let e0: UInt8 = 0x02
    static let rightControl: UInt8 = 0x04
    static let rightAlt: UInt8 = 0x08
  }

  /// Takes one byte from the keyboard.
  func take(_ byte: UInt8, _ data: BIOSDataArea) -> Action {
    switch byte {
    case 0xFA: acknowledged(data)
    case 0xFE: data.change(Field.keyboardLights, mask: Lights.resend, to: true)
    case 0x00, 0xFF: break
    case 0xE0: data.change(Field.keyboardFlags3, mask: Prefix.e0, to: true)
    case 0xE1: data.change(Field.keyboardFlags3, mask: Prefix.e1, to: true)
    default: return takeKey(byte, data)
    }
    return .nothing
  }

  private func acknowledged(_ data: BIOSDataArea) {
    let state = data.byte(Field.keyboardLights) | Lights.acknowledged
    guard state & Lights.updating != 0 else {
      return data.set(Field.keyboardLights, byte: state)
    }
    let lights = data.byte(Field.keyboardFlags) >> 4 & 0x07
    data.set(Field.keyboardLights, byte: state & ~(Lights.updating | 0x07) | lights)
    ports.write(FirmwarePorts.Port.keyboardData, lights)
  }

  private func takeKey(_ byte: UInt8, _ data: BIOSDataArea) -> Action {
    let prefix = data.byte(Field.keyboardFlags3)
    let key = byte & 0x7F
    let pressed = byte & 0x80 == 0
    if prefix & Prefix.e1 != 0 { return takePause(key, pressed, data) }
    let extended = prefix & Prefix.e0 != 0
    if extended {
      data.change(Field.keyboardFlags3, mask: Prefix.e0, to: false)
      if key == 0x2A || key == 0x36 { return .nothing }  // the keyboard's own shifts
    }
    if let action = takeModifier(key, pressed, extended, data) { return action }
    guard pressed else {
      if key == 0x52 { data.change(Field.keyboardFlags2, mask: Held.insert, to: false) }
      return .nothing
    }
    if data.byte(Field.keyboardFlags2) & Held.pause != 0 {
      data.change(Field.keyboardFlags2, mask: Held.pause, to: false)
      return .nothing
    }
    return type(key, extended, data)
  }

  /// Pause sends E1 1D 45 E1 9D C5.
  private func takePause(_ key: UInt8, _ pressed: Bool, _ data: BIOSDataArea) -> Action {
    if key == 0x1D { return .nothing }
    data.change(Field.keyboardFlags3, mask: Prefix.e1, to: false)
    return key == 0x45 && pressed ? pause(data) : .nothing
  }

  private func pause(_ data: BIOSDataArea) -> Action {
    guard data.byte(Field.keyboardFlags2) & Held.pause == 0 else { return .nothing }
    data.change(Field.keyboardFlags2, mask: Held.pause, to: true)
    return .hold
  }

  // MARK: Shifts and locks

  /// - Returns: nil where the key is neither a shift nor a lock.
  private func takeModifier(
    _ key: UInt8, _ pressed: Bool, _ extended: Bool, _ data: BIOSDataArea
  ) -> Action? {
    switch (key, extended) {
    case (0x2A, false): data.change(Field.keyboardFlags, mask: Shift.left, to: pressed)
    case (0x36, false): data.change(Field.keyboardFlags, mask: Shift.right, to: pressed)
    case (0x1D, _): control(pressed, extended, data)
    case (0x38, _): return alt(pressed, extended, data)
    case (0x3A, false): lock(Shift.capsLock, pressed, data)
    case (0x45, false):
      if pressed && data.byte(Field.keyboardFlags) & Shift.control != 0 { return pause(data) }
      lock(Shift.numLock, pressed, data)
    case (0x46, _):
      if pressed && (extended || data.byte(Field.keyboardFlags) & Shift.control != 0) {
        return breakKey(data)
      }
      if !extended { lock(Shift.scrollLock, pressed, data) }
    case (0x54, false): return systemRequest(pressed, data)
    default: return nil
    }
    return .nothing
  }

  private func control(_ pressed: Bool, _ extended: Bool, _ data: BIOSDataArea) {
    if extended {
      data.change(Field.keyboardFlags3, mask: Prefix.rightControl, to: pressed)
    } else {
      data.change(Field.keyboardFlags2, mask: Held.leftControl, to: pressed)
    }
    let held =
      data.byte(Field.keyboardFlags2) & Held.leftControl != 0
      || data.byte(Field.keyboardFlags3) & Prefix.rightControl != 0
    data.change(Field.keyboardFlags, mask: Shift.control, to: held)
  }

  /// Releasing Alt enters the character whose code was typed on the keypad.
  private func alt(_ pressed: Bool, _ extended: Bool, _ data: BIOSDataArea) -> Action {
    if extended {
      data.change(Field.keyboardFlags3, mask: Prefix.rightAlt, to: pressed)
    } else {
      data.change(Field.keyboardFlags2, mask: Held.leftAlt, to: pressed)
    }
    let held =
      data.byte(Field.keyboardFlags2) & Held.leftAlt != 0
      || data.byte(Field.keyboardFlags3) & Prefix.rightAlt != 0
    data.change(Field.keyboardFlags, mask: Shift.alt, to: held)
    let typed = data.byte(Field.altInput)
    guard !held, typed != 0 else { return .nothing }
    data.set(Field.altInput, byte: 0)
    return store(UInt16(typed), data)
  }

  /// The bit of a lock in 40:17 is also the bit of its key in 40:18.
  private func lock(_ bit: UInt8, _ pressed: Bool, _ data: BIOSDataArea) {
    let wasHeld = data.byte(Field.keyboardFlags2) & bit != 0
    data.change(Field.keyboardFlags2, mask: bit, to: pressed)
    guard pressed, !wasHeld else { return }
    data.set(Field.keyboardFlags, byte: data.byte(Field.keyboardFlags) ^ bit)
    updateLights(data)
  }

  private func breakKey(_ data: BIOSDataArea) -> Action {
    data.change(Field.keyboardFlags2, mask: Held.pause, to: false)
    data.clearKeystrokes()
    data.set(Field.breakFlag, byte: 0x80)
    _ = data.storeKeystroke(0)
    return .breakKey
  }

  private func systemRequest(_ pressed: Bool, _ data: BIOSDataArea) -> Action {
    let wasHeld = data.byte(Field.keyboardFlags2) & Held.system != 0
    data.change(Field.keyboardFlags2, mask: Held.system, to: pressed)
    guard wasHeld != pressed else { return .nothing }
    return pressed ? .systemPressed : .systemReleased
  }

  // MARK: Typing

  private func type(_ key: UInt8, _ extended: Bool, _ data: BIOSDataArea) -> Action {
    let flags = data.byte(Field.keyboardFlags)
    let control = flags & Shift.control != 0
    let alt = flags & Shift.alt != 0
    if key == 0x53, control, alt {
      data.set(Field.resetFlag, word: 0x1234)
      return .reset
    }
    if key == 0x37, extended { return control ? store(0x7200, data) : .printScreen }
    if alt {
      if !extended, let digit = KeyTable.keypadDigit(key) {
        data.set(Field.altInput, byte: data.byte(Field.altInput) &* 10 &+ digit)
        return .nothing
      }
      data.set(Field.altInput, byte: 0)
    }
    guard let codes = extended ? KeyTable.extended[key] : KeyTable.base[key] else {
      return .nothing
    }
    let code = Self.code(codes, key: key, extended: extended, flags: flags)
    if key == 0x52, code & 0xFF != UInt16(UInt8(ascii: "0")) { toggleInsert(data) }
    return code == 0 ? .nothing : store(code, data)
  }

  /// Which of a key's codes the shifts and locks of 40:17 choose.
  static func code(_ codes: KeyCodes, key: UInt8, extended: Bool, flags: UInt8) -> UInt16 {
    if flags & Shift.alt != 0 { return codes.alt }
    if flags & Shift.control != 0 { return codes.control }
    var shifted = flags & (Shift.left | Shift.right) != 0
    if !extended {
      if KeyTable.isLetter(key) && flags & Shift.capsLock != 0 { shifted.toggle() }
      if KeyTable.isKeypad(key) || key == 0x4C, flags & Shift.numLock != 0 { shifted.toggle() }
    }
    return shifted ? codes.shift : codes.plain
  }

  /// Insert toggles its bit of 40:17 when it goes down, not when it repeats.
  private func toggleInsert(_ data: BIOSDataArea) {
    guard data.byte(Field.keyboardFlags2) & Held.insert == 0 else { return }
    data.change(Field.keyboardFlags2, mask: Held.insert, to: true)
    data.set(Field.keyboardFlags, byte: data.byte(Field.keyboardFlags) ^ Shift.insert)
  }

  private func store(_ code: UInt16, _ data: BIOSDataArea) -> Action {
    data.storeKeystroke(code) ? .stored : .nothing
  }
}
