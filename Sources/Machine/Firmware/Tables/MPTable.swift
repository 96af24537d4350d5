/// The table by which systems without ACPI find processors and interrupt wires (Intel
/// MultiProcessor Specification 1.4, chapter 4): the floating pointer structure and the
/// configuration table behind it.
enum MPTable {
  private static let specification: UInt8 = 4
  private static let localAPICVersion: UInt8 = 0x14
  private static let ioAPICVersion: UInt8 = 0x20
  /// PCI buses come first, by their own numbers.
  private static let pciBus: UInt8 = 0
  private static let isaBus: UInt8 = 1
  /// PCI slots whose interrupt wires the table tells.
  private static let pciSlots: ClosedRange<Int> = 1...7
  /// Level-triggered and active high (4.3.4).
  private static let levelHigh: UInt8 = 0x0D
  private static let everyLocalAPIC: UInt8 = 0xFF
  private static let pointerBytes = 16
  private static let headerBytes = 44

  /// Entry types, in the order in which they have to come (4.3).
  private enum Entry {
    static let processor: UInt8 = 0
    static let bus: UInt8 = 1
    static let ioAPIC: UInt8 = 2
    static let ioInterrupt: UInt8 = 3
    static let localInterrupt: UInt8 = 4
  }

  /// Interrupt types (table 4-10).
  private enum Interrupt {
    static let vectored: UInt8 = 0
    static let nonMaskable: UInt8 = 1
    static let external: UInt8 = 3
  }

  /// The structures for `processors` processors, to lie at guest-physical `address`, a multiple of
  /// 16 below 1 MiB.
  static func bytes(
    processors: Int, signature: UInt32, features: UInt32, at address: UInt32
  ) -> [UInt8] {
    var entries = FirmwareTableBytes()
    var count: UInt16 = 0
    for index in 0..<processors {
      entries.append(Entry.processor, UInt8(truncatingIfNeeded: index), localAPICVersion)
      entries.append(UInt8(index == 0 ? 3 : 1))
      entries.append(dword: signature)
      entries.append(dword: features)
      entries.append(zeroes: 8)
      count += 1
    }
    entries.append(Entry.bus, pciBus)
    entries.append(text: "PCI   ")
    entries.append(Entry.bus, isaBus)
    entries.append(text: "ISA   ")
    let ioAPIC = ioAPICIdentifier(processors: processors)
    entries.append(Entry.ioAPIC, ioAPIC, ioAPICVersion, 1)
    entries.append(dword: UInt32(MemoryMap.ioapic.lowerBound))
    count += 3
    for irq in UInt8(0)..<16 where irq != 2 && !PCIAssignment.interrupts.contains(irq) {
      entries.append(Entry.ioInterrupt, Interrupt.vectored, 0, 0)
      entries.append(isaBus, irq, ioAPIC, irq == 0 ? 2 : irq)
      count += 1
    }
    count += appendPCIInterrupts(&entries, ioAPIC: ioAPIC)
    for (type, pin) in [(Interrupt.external, UInt8(0)), (Interrupt.nonMaskable, 1)] {
      entries.append(Entry.localInterrupt, type, 0, 0)
      entries.append(isaBus, 0, everyLocalAPIC, pin)
      count += 1
    }
    let table = header(entries: entries.bytes, count: count)
    return pointer(to: address + UInt32(pointerBytes)) + table
  }

  /// Each pin of each slot, on the I/O APIC's input of the ISA interrupt that our firmware routes
  /// its wire to.
  private static func appendPCIInterrupts(
    _ entries: inout FirmwareTableBytes, ioAPIC: UInt8
  ) -> UInt16 {
    for slot in pciSlots {
      for pin in 0..<4 {
        let wire = PCIInterrupts.wire(slot: slot, pin: pin)
        entries.append(Entry.ioInterrupt, Interrupt.vectored, levelHigh, 0)
        entries.append(pciBus, UInt8(slot << 2 | pin), ioAPIC, PCIAssignment.interrupts[wire])
      }
    }
    return UInt16(pciSlots.count * 4)
  }

  /// The I/O APIC's identifier: the first that no local APIC has. On the bus of today's processors
  /// the two never meet, and four bits are all there are.
  static func ioAPICIdentifier(processors: Int) -> UInt8 {
    processors < 16 ? UInt8(truncatingIfNeeded: processors) : 0
  }

  /// Virtual wire mode, no default configuration (4.1).
  private static func pointer(to table: UInt32) -> [UInt8] {
    var bytes = FirmwareTableBytes()
    bytes.append(text: "_MP_")
    bytes.append(dword: table)
    bytes.append(1, specification, 0, 0)
    bytes.append(zeroes: 4)
    return bytes.withChecksum(at: 10)
  }

  private static func header(entries: [UInt8], count: UInt16) -> [UInt8] {
    var bytes = FirmwareTableBytes()
    bytes.append(text: "PCMP")
    bytes.append(word: UInt16(truncatingIfNeeded: headerBytes + entries.count))
    bytes.append(specification, 0)
    bytes.append(text: "PORTHOLE")
    bytes.append(text: "PC          ")
    bytes.append(dword: 0)
    bytes.append(word: 0)
    bytes.append(word: count)
    bytes.append(dword: UInt32(MemoryMap.localAPIC))
    bytes.append(dword: 0)
    bytes.append(entries)
    return bytes.withChecksum(at: 7)
  }
}

/// Bytes of a table that is being put together, little-endian.
struct FirmwareTableBytes {
  private(set) var bytes: [UInt8] = []

  mutating func append(_ values: UInt8...) { bytes += values }
  mutating func append(_ values: [UInt8]) { bytes += values }
  mutating func append(word value: UInt16) { append(UInt8(value & 0xFF), UInt8(value >> 8)) }
  mutating func append(dword value: UInt32) {
    append(word: UInt16(value & 0xFFFF))
    append(word: UInt16(value >> 16))
  }
  mutating func append(text: String) { bytes += Array(text.utf8) }
  mutating func append(zeroes count: Int) { bytes += [UInt8](repeating: 0, count: count) }

  /// The bytes, with the one at `index` such that all of them add up to zero.
  func withChecksum(at index: Int) -> [UInt8] {
    var result = bytes
    result[index] = 0
    result[index] = 0 &- result.reduce(0, &+)
    return result
  }
}
