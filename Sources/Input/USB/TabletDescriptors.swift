/// The descriptors of ``USBTablet`` (Universal Serial Bus Specification 2.0, 9.6; Device Class
/// Definition for Human Interface Devices 1.11, 6.2 and appendix E; HID Usage Tables 1.12).
enum TabletDescriptors {
  /// Endpoint 0's largest packet.
  static let packetBytes: UInt8 = 64
  /// Bytes of a report.
  static let reportBytes: UInt8 = 7

  /// USB 2.0, class told by the interface; vendor and product of the open register pid.codes for
  /// devices without a maker, the first three strings.
  static let device: [UInt8] = [
    18, 1, 0x00, 0x02, 0, 0, 0, packetBytes, 0x09, 0x12, 0x01, 0x00, 0x00, 0x01, 1, 2, 3, 1,
  ]

  /// HID 1.11, no country, one report descriptor.
  static let hid: [UInt8] = [9, 0x21, 0x11, 0x01, 0, 1, 0x22, UInt8(report.count), 0]

  /// One interface without boot protocol, one interrupt endpoint asked every 8 ms; self-powered.
  static let configuration: [UInt8] = {
    let interface: [UInt8] = [9, 4, 0, 0, 1, 3, 0, 0, 0]
    let endpoint: [UInt8] = [7, 5, 0x81, 3, 8, 0, 8]
    let total = UInt8(9 + interface.count + hid.count + endpoint.count)
    return [9, 2, total, 0, 1, 1, 0, 0xC0, 50] + interface + hid + endpoint
  }()

  /// A pointer with five buttons, absolute X and Y, and relative wheels.
  static let report: [UInt8] = [
    0x05, 0x01, 0x09, 0x02, 0xA1, 0x01,  // Generic Desktop, Mouse, application collection
    0x09, 0x01, 0xA1, 0x00,  // Pointer, physical collection
    0x05, 0x09, 0x19, 0x01, 0x29, 0x05,  // buttons 1 to 5
    0x15, 0x00, 0x25, 0x01, 0x95, 0x05, 0x75, 0x01, 0x81, 0x02,
    0x95, 0x01, 0x75, 0x03, 0x81, 0x01,  // three bits of padding
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31,  // X, Y
    0x15, 0x00, 0x26, 0xFF, 0x7F, 0x35, 0x00, 0x46, 0xFF, 0x7F,
    0x75, 0x10, 0x95, 0x02, 0x81, 0x02,
    0x09, 0x38, 0x15, 0x81, 0x25, 0x7F, 0x35, 0x00, 0x45, 0x00,  // wheel
    0x75, 0x08, 0x95, 0x01, 0x81, 0x06,
    0x05, 0x0C, 0x0A, 0x38, 0x02, 0x95, 0x01, 0x81, 0x06,  // Consumer, AC Pan
    0xC0, 0xC0,
  ]

  private static let strings = ["Porthole", "Porthole Tablet", "1"]

  /// String `index`; 0 is the list of languages, US English alone.
  static func string(_ index: UInt8) -> [UInt8]? {
    if index == 0 { return [4, 3, 0x09, 0x04] }
    let position = Int(index) - 1
    guard strings.indices.contains(position) else { return nil }
    let units = strings[position].utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
    return [UInt8(units.count + 2), 3] + units
  }
}
