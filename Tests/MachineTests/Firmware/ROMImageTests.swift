import BIOS
import Testing

@testable import Machine

@Suite struct ROMImageTests {
  private let rom = ROMImage.bytes

  @Test func fillsOneSegmentAndSumsToZero() {
    #expect(rom.count == 0x10000)
    #expect(rom.reduce(UInt8(0), &+) == 0)
  }

  @Test func processorStartsWithAJumpToPOST() {
    #expect(Array(rom[0xFFF0..<0xFFF5]) == [0xEA, 0x5B, 0xE0, 0x00, 0xF0])
    #expect(rom[0xFFFE] == 0xFC)
    let date = rom[0xFFF5..<0xFFFD]
    #expect(Array(date).map { $0 == UInt8(ascii: "/") }.filter { $0 }.count == 2)
  }

  /// Every entry point of the AT is a jump to code or an IRET.
  @Test(arguments: [
    0xE05B, 0xE3FE, 0xE6F2, 0xE739, 0xE82E, 0xE987, 0xEC59, 0xEF57, 0xEFD2, 0xF045, 0xF065, 0xF841,
    0xF84D, 0xF859, 0xFE6E, 0xFEA5, 0xFF54,
  ])
  func historicEntryJumpsIntoTheROM(entry: Int) {
    let distance: Int
    switch rom[entry] {
    case 0xE9:
      distance = Int(Int16(bitPattern: UInt16(rom[entry + 1]) | UInt16(rom[entry + 2]) << 8)) + 3
    case 0xEB: distance = Int(Int8(bitPattern: rom[entry + 1])) + 2
    default:
      Issue.record("no jump at \(entry)")
      return
    }
    let target = entry + distance
    #expect((0x8000..<0xB000).contains(target))
    #expect(rom[target] != 0)
  }

  @Test func entriesOfServicesJumpToTheirSlots() throws {
    let slots: [(Int, Int)] = [
      (0xE3FE, 0x13), (0xE739, 0x14), (0xE82E, 0x16), (0xEC59, 0x40), (0xEFD2, 0x17),
      (0xF065, 0x10), (0xF841, 0x12), (0xF84D, 0x11), (0xFE6E, 0x1A),
    ]
    for (entry, number) in slots {
      #expect(rom[entry] == 0xE9)
      let distance = Int16(bitPattern: UInt16(rom[entry + 1]) | UInt16(rom[entry + 2]) << 8)
      let target = entry + 3 + Int(distance)
      #expect(target == Int(BIOS_TRAP_SLOTS) + number * Int(BIOS_TRAP_SLOT_SIZE))
    }
  }

  @Test func slotsTrapAndWait() {
    let slot = Int(BIOS_TRAP_SLOTS) + 0x15 * Int(BIOS_TRAP_SLOT_SIZE)
    // out B8h, al; jc +1; iret; sti; hlt; cli; jmp slot
    #expect(
      Array(rom[slot..<(slot + 10)]) == [
        0xE6, 0xB8, 0x72, 0x01, 0xCF, 0xFB, 0xF4, 0xFA, 0xEB, 0xF6,
      ])
  }

  @Test func keyboardSlotWaitsInTheROM() {
    let slot = Int(BIOS_TRAP_SLOTS) + 0x16 * Int(BIOS_TRAP_SLOT_SIZE)
    // out B8h, al; jc +1; iret; jmp to code that looks at the buffer itself
    #expect(Array(rom[slot..<(slot + 6)]) == [0xE6, 0xB8, 0x72, 0x01, 0xCF, 0xE9])
    let distance = Int16(bitPattern: UInt16(rom[slot + 6]) | UInt16(rom[slot + 7]) << 8)
    let wait = slot + 8 + Int(distance)
    // push ds; push ax; mov ax, 40h; mov ds, ax; sti; hlt; cli
    #expect(
      Array(rom[wait..<(wait + 10)]) == [
        0x1E, 0x50, 0xB8, 0x40, 0x00, 0x8E, 0xD8, 0xFB, 0xF4, 0xFA,
      ])
  }

  @Test func tablesStandAtTheirAddresses() {
    let layout = bios_layout
    #expect(layout.font_8x8_low == 0xFA6E)
    #expect(layout.video_parameters == 0xF0A4)
    #expect(layout.diskette_table == 0xEFC7)
    #expect(layout.system_table == 0xE6F5)
    #expect(layout.vectors == 0xFEF3)
    #expect(layout.dummy == 0xFF53 && rom[0xFF53] == 0xCF)
    #expect(layout.nmi == 0xE2C3 && rom[0xE2C3] == 0xCF)
    #expect(Array(rom[0xE729..<0xE72B]) == [0x17, 0x04])
    #expect(Array(rom[0xEFC7..<0xEFCC]) == [0xAF, 0x02, 0x25, 0x02, 18])
  }

  @Test func fontsAreInPlace() {
    let capitalA = Int(UInt8(ascii: "A"))
    for (offset, height) in [
      (bios_layout.font_8x16, 16), (bios_layout.font_8x14, 14), (bios_layout.font_8x8_low, 8),
    ] {
      let start = Int(offset) + capitalA * height
      #expect(rom[start..<(start + height)].contains { $0 != 0 })
    }
  }
}
