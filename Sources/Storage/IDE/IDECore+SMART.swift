/// SMART, as far as systems look at a disk that never wears out (ATA/ATAPI-6, 8.52).
extension IDECore {
  private static let key: UInt16 = 0xC24F

  mutating func smart(_ device: Int) {
    let function = state.devices[device].file.features.low
    guard state.devices[device].file.word == Self.key,
      state.devices[device].smart || function == 0xD8
    else { return fail(device, ATAError.aborted) }
    switch function {
    case 0xD0: reply(device, Self.data)
    case 0xD1: reply(device, Self.closed([UInt8](repeating: 0, count: 512), version: 1))
    // Attribute autosave and off-line tests: taken, with nothing to do.
    case 0xD2, 0xD4: succeed(device)
    case 0xD8:
      state.devices[device].smart = true
      succeed(device)
    case 0xD9:
      state.devices[device].smart = false
      succeed(device)
    // RETURN STATUS: the key as it came says that no threshold is exceeded.
    case 0xDA: succeed(device)
    default: fail(device, ATAError.aborted)
    }
  }

  /// READ DATA: no attributes, no off-line collection begun.
  private static var data: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 512)
    bytes[368] = 0x03
    bytes[370] = 0x01
    return closed(bytes, version: 1)
  }

  private static func closed(_ contents: [UInt8], version: UInt8) -> [UInt8] {
    var bytes = contents
    bytes[0] = version
    let sum = bytes.dropLast().reduce(UInt8(0)) { $0 &+ $1 }
    bytes[511] = 0 &- sum
    return bytes
  }
}
