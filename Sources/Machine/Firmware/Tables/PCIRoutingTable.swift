/// The table by which systems without ACPI or an MP table find PCI's interrupt wires (PCI IRQ Routing
/// Table Specification 1.0): which input of the ISA bridge each pin of each slot is wired to.
enum PCIRoutingTable {
  /// PCI slots that the table tells of.
  static let slots: ClosedRange<Int> = 1...7
  private static let headerBytes = 32
  private static let entryBytes = 16
  /// The bridge that routes: 00:01.0, compatible with a PIIX3.
  static let router: UInt16 = 1 << 3
  private static let compatibleRouter: UInt32 = 0x7000_8086
  /// What a wire may be routed to: interrupts 5, 10 and 11.
  static let choices: UInt16 = 1 << 5 | 1 << 10 | 1 << 11

  /// The slots' part of the table, which the PCI BIOS tells as well.
  static var entries: ArraySlice<UInt8> { bytes.dropFirst(headerBytes) }

  /// The table; it lies at a multiple of 16.
  static let bytes: [UInt8] = {
    var table = FirmwareTableBytes()
    table.append(text: "$PIR")
    table.append(word: 0x0100)
    table.append(word: UInt16(headerBytes + slots.count * entryBytes))
    table.append(0, UInt8(router))
    table.append(word: 0)  // no interrupt is PCI's alone
    table.append(dword: compatibleRouter)
    table.append(zeroes: 16)
    for slot in slots {
      table.append(0, UInt8(slot << 3))
      for pin in 0..<4 {
        // By the routing register, as systems that know the bridge read it.
        let wire = PCIInterrupts.wire(slot: slot, pin: pin)
        table.append(UInt8(ISABridge.routes + wire))
        table.append(word: choices)
      }
      table.append(0, 0)  // on the board
    }
    return table.withChecksum(at: 31)
  }()
}

/// The way into the firmware's 32-bit services (Standard BIOS 32-bit Service Directory Proposal
/// 0.4): the structure that systems look for; the directory itself is code in the ROM.
enum ServiceDirectory {
  /// The structure, which names the directory's guest-physical address `entry`.
  static func bytes(entry: UInt32) -> [UInt8] {
    var table = FirmwareTableBytes()
    table.append(text: "_32_")
    table.append(dword: entry)
    table.append(0, 1)  // revision, length in paragraphs
    table.append(zeroes: 6)
    return table.withChecksum(at: 10)
  }
}
