import KVMEngine

/// INT 15h AH=53h: Advanced Power Management (APM BIOS Interface Specification 1.2), through the
/// real-mode interface. The ROM itself halts for AL=05h until an interrupt comes.
///
/// Not modelled: the protected-mode interfaces (entry points in ROM can't trap from protected mode),
/// standby and suspend, which a desktop has no use for, and events: none ever waits.
extension SystemBIOS {
  /// What AH says with the carry flag.
  private enum Problem {
    static let alreadyConnected: UInt8 = 0x02
    static let notConnected: UInt8 = 0x03
    static let no16BitInterface: UInt8 = 0x06
    static let no32BitInterface: UInt8 = 0x08
    static let unknownDevice: UInt8 = 0x09
    static let badParameter: UInt8 = 0x0A
    static let stateCannotBeEntered: UInt8 = 0x60
    static let noEvent: UInt8 = 0x80
  }

  private static let signature: UInt16 = 0x504D  // PM
  private static let newest: UInt16 = 0x0102
  /// The version of whoever does not say which it speaks, as the data area keeps it.
  private static let oldest: UInt8 = 0x10
  private static let bios: UInt16 = 0x0000
  private static let allDevices: UInt16 = 0x0001
  private static let off: UInt16 = 0x0003

  func powerManagement(_ call: inout FirmwareCall) {
    let data = BIOSDataArea(call.memory)
    let connected = data.extendedByte(BIOSDataArea.ExtendedField.powerManagement)
    func answer(_ problem: UInt8?) {
      if let problem { call.ah = problem }
      call.carry = problem != nil
    }
    func connect(_ version: UInt8) {
      data.setExtended(BIOSDataArea.ExtendedField.powerManagement, byte: version)
    }
    switch call.al {
    case 0x00:
      guard call.bx == Self.bios else { return answer(Problem.unknownDevice) }
      call.ax = Self.newest
      call.bx = Self.signature
      call.cx = 0x0004  // neither protected-mode interface; idling stops the processor
    case 0x01:
      guard connected == 0 else { return answer(Problem.alreadyConnected) }
      connect(Self.oldest)
    case 0x02: answer(Problem.no16BitInterface)
    case 0x03: answer(Problem.no32BitInterface)
    default:
      guard connected != 0 else { return answer(Problem.notConnected) }
      answer(connectedPowerManagement(&call, connect))
    }
  }

  /// The functions that need a connection.
  /// - Returns: what is wrong, nil where nothing is.
  private func connectedPowerManagement(
    _ call: inout FirmwareCall, _ connect: (UInt8) -> Void
  ) -> UInt8? {
    switch call.al {
    case 0x04: connect(0)
    case 0x05, 0x06, 0x08, 0x09, 0x0D, 0x0F: break
    case 0x07: return setPowerState(call)
    case 0x0A: return powerStatus(&call)
    case 0x0B: return Problem.noEvent
    case 0x0C: call.cx = 0  // everything is on
    case 0x0E:
      guard call.bx == Self.bios else { return Problem.unknownDevice }
      // The lower of both versions counts, a nibble for each digit.
      let version = min(max(call.cx, 0x0100), Self.newest)
      connect(UInt8(version >> 4 | version & 0x0F))
      call.ax = version
    case 0x10:
      call.bl = 0  // no batteries
      call.cx = 0
    default: return Problem.badParameter
    }
    return nil
  }

  private func setPowerState(_ call: FirmwareCall) -> UInt8? {
    guard call.bx == Self.allDevices else { return nil }
    switch call.cx {
    case 0: return nil
    case Self.off:
      // Soft off: sleep type 0 is the one that the ACPI tables name.
      ports.write(MemoryMap.powerManagement + PowerManagement.Offset.control, word: 1 << 13)
      return nil
    default: return Problem.stateCannotBeEntered
    }
  }

  /// AL=0Ah: on the mains, without a battery.
  private func powerStatus(_ call: inout FirmwareCall) -> UInt8? {
    guard call.bx == Self.allDevices else { return Problem.unknownDevice }
    call.bx = 0x01FF
    call.cx = 0x80FF
    call.dx = 0xFFFF
    return nil
  }
}
