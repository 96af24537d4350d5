/// INT 11h and INT 12h: two words of the BIOS data area.
struct EquipmentBIOS: Sendable {
  /// INT 11h: the equipment word in AX.
  func equipment(_ call: inout FirmwareCall) -> FirmwareOutcome {
    call.ax = BIOSDataArea(call.memory).word(BIOSDataArea.Field.equipment)
    return .done
  }

  /// INT 12h: the conventional memory in KiB in AX.
  func memorySize(_ call: inout FirmwareCall) -> FirmwareOutcome {
    call.ax = BIOSDataArea(call.memory).word(BIOSDataArea.Field.memoryKiB)
    return .done
  }
}
