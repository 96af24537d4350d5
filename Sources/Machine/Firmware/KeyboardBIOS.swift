import BIOS
import KVMEngine

/// INT 16h: the keyboard buffer and its flags (IBM PS/2 and PC BIOS Interface Technical Reference,
/// section 2, INT 16h). What fills the buffer, INT 09h, is in `KeyboardBIOS+Interrupt.swift`.
///
/// All state lies in the BIOS data area.
final class KeyboardBIOS: FirmwareService {
  typealias Field = BIOSDataArea.Field
  let context: FirmwareContext
  let controller: KeyboardController
  var ports: FirmwarePorts { context.ports }

  /// What a keyboard of 101 keys answers to F2h, as the controller translates it.
  private static let keyboardID: UInt16 = 0x41AB
  /// AH=09h: AH=10h to 12h, 0Ah and AX=0305h are there.
  private static let functions: UInt8 = 0x34

  init(_ context: FirmwareContext) {
    self.context = context
    controller = KeyboardController(context)
  }

  func serve(_ call: inout FirmwareCall) -> FirmwareOutcome {
    let data = BIOSDataArea(call.memory)
    switch call.ah {
    case 0x00: return read(data, &call, convert: Self.standardCode)
    case 0x01: peek(data, &call, convert: Self.standardCode)
    case 0x02: call.al = data.byte(Field.keyboardFlags)
    case 0x03: setTypematic(call)
    case 0x05: call.al = data.storeKeystroke(call.cx) ? 0 : 1
    case 0x09: call.al = Self.functions
    case 0x0A: call.bx = Self.keyboardID
    case 0x10: return read(data, &call, convert: Self.extendedCode)
    case 0x11: peek(data, &call, convert: Self.extendedCode)
    case 0x12: readFlags(data, &call)
    default: break
    }
    return .done
  }

  // MARK: Reading

  private func read(
    _ data: BIOSDataArea, _ call: inout FirmwareCall, convert: (UInt16) -> UInt16?
  ) -> FirmwareOutcome {
    updateLights(data)
    while let code = data.firstKeystroke() {
      data.dropKeystroke()
      if let answer = convert(code) {
        call.ax = answer
        return .done
      }
    }
    return .wait
  }

  private func peek(
    _ data: BIOSDataArea, _ call: inout FirmwareCall, convert: (UInt16) -> UInt16?
  ) {
    updateLights(data)
    while let code = data.firstKeystroke() {
      if let answer = convert(code) {
        call.ax = answer
        call.zero = false
        return
      }
      data.dropKeystroke()
    }
    call.zero = true
  }

  /// A keystroke as AH=00h and 01h show it; nil where old programs do not know it.
  static func standardCode(_ code: UInt16) -> UInt16? {
    let scan = code >> 8
    let character = code & 0xFF
    if scan == 0xE0 {
      return character == 0x2F ? 0x352F : 0x1C00 | character
    }
    if scan > 0x84 || (character == 0xF0 && scan != 0) { return nil }
    return character == 0xE0 && scan != 0 ? scan << 8 : code
  }

  /// A keystroke as AH=10h and 11h show it.
  static func extendedCode(_ code: UInt16) -> UInt16? {
    code & 0xFF == 0xF0 && code >> 8 != 0 ? code & 0xFF00 : code
  }

  /// AH=12h: AL as AH=02h; AH: SysRq, Caps, Num and Scroll Lock held, then right and left Alt, Ctrl.
  private func readFlags(_ data: BIOSDataArea, _ call: inout FirmwareCall) {
    let flags2 = data.byte(Field.keyboardFlags2)
    call.al = data.byte(Field.keyboardFlags)
    call.ah =
      (flags2 & 0x73) | (flags2 & 0x04) << 5 | (data.byte(Field.keyboardFlags3) & 0x0C)
  }

  // MARK: The keyboard itself

  /// AX=0305h: BH delay 0 to 3, BL rate 0 to 1Fh.
  private func setTypematic(_ call: FirmwareCall) {
    guard call.al == 0x05, call.bh <= 3, call.bl <= 0x1F else { return }
    let data = BIOSDataArea(call.memory)
    for byte in [0xF3, call.bh << 5 | call.bl] {
      let sent = controller.sendToKeyboard(byte) { _ = self.take($0, data) }
      guard sent else { return }
    }
  }

  /// Starts to set the keyboard's lights where a program or a key changed the locks: sends EDh; the
  /// keyboard's acknowledgement comes as an interrupt, which sends the lights.
  func updateLights(_ data: BIOSDataArea) {
    let wanted = data.byte(Field.keyboardFlags) >> 4 & 0x07
    let state = data.byte(Field.keyboardLights)
    guard state & 0x07 != wanted, state & Lights.updating == 0 else { return }
    data.set(Field.keyboardLights, byte: state & ~Lights.answers | Lights.updating)
    ports.write(FirmwarePorts.Port.keyboardData, 0xED)
  }

  /// Bits of 40:97.
  enum Lights {
    static let acknowledged: UInt8 = 0x10
    static let resend: UInt8 = 0x20
    static let updating: UInt8 = 0x40
    static let answers: UInt8 = 0x30
  }
}
