import KVMEngine

/// INT 15h AH=C2h: the pointing device (IBM PS/2 and PC BIOS Interface Technical Reference,
/// section 2, INT 15h, "Pointing Device BIOS Interface").
///
/// Its handler's address and the packet that is coming in lie in the extended BIOS data area.
extension SystemBIOS {
  private typealias Extended = BIOSDataArea.ExtendedField

  /// What AH answers.
  private enum Answer {
    static let done: UInt8 = 0
    static let invalidFunction: UInt8 = 1
    static let invalidInput: UInt8 = 2
    static let interfaceError: UInt8 = 3
    static let noHandler: UInt8 = 5
  }

  /// Bits of the controller's command byte.
  private enum Command {
    static let keyboardInterrupt: UInt8 = 0x01
    static let pointerInterrupt: UInt8 = 0x02
    static let keyboardOff: UInt8 = 0x10
    static let pointerOff: UInt8 = 0x20
  }

  private static let handlerSet: UInt8 = 0x80

  /// AH=C2h.
  func pointer(_ call: inout FirmwareCall) {
    let answer = pointerFunction(&call)
    call.ah = answer
    call.carry = answer != Answer.done
  }

  private func pointerFunction(_ call: inout FirmwareCall) -> UInt8 {
    let data = BIOSDataArea(call.memory)
    switch call.al {
    case 0x00: return enablePointer(call.bh, data)
    case 0x01: return resetPointer(&call, data)
    case 0x02: return setSampleRate(call.bh, data)
    case 0x03: return call.bh <= 3 ? exchange([0xE8, call.bh], data) : Answer.invalidInput
    case 0x04: return readPointerType(&call, data)
    case 0x05: return initializePointer(call.bh, data)
    case 0x06: return extendedPointer(&call, data)
    case 0x07:
      data.setExtended(Extended.pointerHandler, word: call.bx)
      data.setExtended(Extended.pointerHandler + 2, word: call.es)
      let size = data.extendedByte(Extended.pointerFlags2) & 0x07
      let isSet = call.bx != 0 || call.es != 0
      data.setExtended(Extended.pointerFlags2, byte: isSet ? size | Self.handlerSet : size)
      return Answer.done
    default: return Answer.invalidFunction
    }
  }

  /// C200h: BH=1 on, 0 off.
  private func enablePointer(_ on: UInt8, _ data: BIOSDataArea) -> UInt8 {
    switch on {
    case 0: return exchange([0xF5], data)
    case 1:
      guard data.extendedByte(Extended.pointerFlags2) & Self.handlerSet != 0 else {
        return Answer.noHandler
      }
      data.setExtended(Extended.pointerFlags, byte: 0)
      return exchange([0xF4], data)
    default: return Answer.invalidInput
    }
  }

  /// C201h: BH the device's type, BL=AAh.
  private func resetPointer(_ call: inout FirmwareCall, _ data: BIOSDataArea) -> UInt8 {
    var answers: [UInt8] = []
    let result = exchange([0xFF], data, answers: 2) { answers = $0 }
    guard result == Answer.done, answers.count == 2 else { return Answer.interfaceError }
    call.bl = answers[0]
    call.bh = answers[1]
    return Answer.done
  }

  /// C202h: BH chooses 10, 20, 40, 60, 80, 100 or 200 reports a second.
  private func setSampleRate(_ choice: UInt8, _ data: BIOSDataArea) -> UInt8 {
    let rates: [UInt8] = [10, 20, 40, 60, 80, 100, 200]
    guard choice < rates.count else { return Answer.invalidInput }
    return exchange([0xF3, rates[Int(choice)]], data)
  }

  /// C204h: BH the device's type.
  private func readPointerType(_ call: inout FirmwareCall, _ data: BIOSDataArea) -> UInt8 {
    var answers: [UInt8] = []
    let result = exchange([0xF2], data, answers: 1) { answers = $0 }
    call.bh = answers.first ?? 0
    return result
  }

  /// C205h: packets of BH bytes, 1 to 8; the device as after power-on, off.
  private func initializePointer(_ size: UInt8, _ data: BIOSDataArea) -> UInt8 {
    guard (1...8).contains(size) else { return Answer.invalidInput }
    let flags = data.extendedByte(Extended.pointerFlags2) & ~0x07
    data.setExtended(Extended.pointerFlags2, byte: flags | (size - 1))
    data.setExtended(Extended.pointerFlags, byte: 0)
    return exchange([0xFF], data, answers: 2) { _ in }
  }

  /// C206h: BH=0 status into BL, CL, DL; 1 and 2 set the scaling.
  private func extendedPointer(_ call: inout FirmwareCall, _ data: BIOSDataArea) -> UInt8 {
    switch call.bh {
    case 0:
      var answers: [UInt8] = []
      let result = exchange([0xE9], data, answers: 3) { answers = $0 }
      guard result == Answer.done, answers.count == 3 else { return Answer.interfaceError }
      call.bl = answers[0]
      call.cl = answers[1]
      call.dl = answers[2]
      return Answer.done
    case 1: return exchange([0xE6], data)
    case 2: return exchange([0xE7], data)
    default: return Answer.invalidInput
    }
  }

  /// Sends bytes to the device, each acknowledged, and collects its answers, with the keyboard and
  /// the controller's interrupts off so that nobody takes them away.
  private func exchange(
    _ bytes: [UInt8], _ data: BIOSDataArea, answers: Int = 0,
    collect: ([UInt8]) -> Void = { _ in }
  ) -> UInt8 {
    takeWaitingKeystroke(data)
    let disableKeyboard: UInt8 = 0xAD
    controller.command(disableKeyboard)
    guard let old = controller.readCommandByte() else { return Answer.interfaceError }
    let interrupts = Command.keyboardInterrupt | Command.pointerInterrupt
    let on = old & ~(Command.keyboardOff | Command.pointerOff) | interrupts
    controller.writeCommandByte(on & ~interrupts | Command.keyboardOff)
    defer {
      controller.writeCommandByte(on)
      ports.unmask(irq: 12)
    }
    let keystroke = { (byte: UInt8) in _ = self.keyboard.take(byte, data) }
    for byte in bytes {
      guard controller.sendToAuxiliary(byte, keystroke: keystroke) else {
        return Answer.interfaceError
      }
    }
    var collected: [UInt8] = []
    for _ in 0..<answers {
      guard let answer = controller.nextAuxiliaryByte(keystroke: keystroke) else {
        return Answer.interfaceError
      }
      collected.append(answer)
    }
    collect(collected)
    return Answer.done
  }

  private func takeWaitingKeystroke(_ data: BIOSDataArea) {
    let wanted = KeyboardController.Status.outputFull
    let mask = wanted | KeyboardController.Status.fromAuxiliary
    guard controller.isPresent, controller.status & mask == wanted else { return }
    _ = keyboard.take(ports.read(FirmwarePorts.Port.keyboardData), data)
  }

  // MARK: INT 74h

  /// The trap of the ROM's INT 74h: takes one byte. With a packet complete and a handler set, AX=1
  /// and BX, CX, DX, SI are the handler's four words; otherwise AX=0 and the interrupt is ended.
  func pointerInterrupt(_ call: inout FirmwareCall) -> FirmwareOutcome {
    let data = BIOSDataArea(call.memory)
    call.ax = 0
    let full = KeyboardController.Status.outputFull | KeyboardController.Status.fromAuxiliary
    if controller.isPresent, controller.status & full == full {
      takePointerByte(ports.read(FirmwarePorts.Port.keyboardData), data, &call)
    }
    if call.ax == 0 { ports.endOfInterrupt(irq: 12) }
    return .done
  }

  private func takePointerByte(_ byte: UInt8, _ data: BIOSDataArea, _ call: inout FirmwareCall) {
    let settings = data.extendedByte(Extended.pointerFlags2)
    guard settings & Self.handlerSet != 0 else { return }
    let size = settings & 0x07 + 1
    let count = data.extendedByte(Extended.pointerFlags) & 0x07
    data.setExtended(Extended.pointerPacket + UInt16(count), byte: byte)
    guard count + 1 >= size else {
      return data.setExtended(Extended.pointerFlags, byte: count + 1)
    }
    data.setExtended(Extended.pointerFlags, byte: 0)
    func packet(_ index: UInt8) -> UInt16 {
      index < size ? UInt16(data.extendedByte(Extended.pointerPacket + UInt16(index))) : 0
    }
    call.bx = packet(0)
    call.cx = packet(1)
    call.dx = packet(2)
    call.si = packet(3)
    call.ax = 1
  }
}
