import DeviceTestKit
import KVMEngine
import Testing

/// Page tables by hand in 1 MiB of RAM.
private struct Tables {
  let space: AddressSpace
  var system = SystemRegisters()

  init() throws {
    space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    try space.map(try MemoryBlock(name: "ram", size: 1 << 20), size: 1 << 20, at: 0)
    system.cr0 = ControlBits.cr0Paging | ControlBits.cr0ProtectionEnable
  }

  func entry(_ address: UInt64, _ value: UInt64) { space.store(value, at: address) }
  func smallEntry(_ address: UInt64, _ value: UInt32) { space.store(value, at: address) }
  var memory: LinearMemory { LinearMemory(space: space, system: system) }
}

@Suite struct LinearMemoryTests {
  @Test func withoutPagingLinearIsPhysical() throws {
    var tables = try Tables()
    tables.system.cr0 = 0
    #expect(tables.memory.translate(0x1234) == 0x1234)
    #expect(tables.memory.translate(0x1_0000_1234) == 0x1234)
    tables.memory.store(UInt16(0xBEEF), at: 0x500)
    #expect(tables.space.load(0x500, as: UInt16.self) == 0xBEEF)
  }

  @Test func twoLevelsWithSmallAndLargePages() throws {
    var tables = try Tables()
    tables.system.cr3 = 0x1018  // PWT and PCD are no part of the address.
    tables.smallEntry(0x1000 + 4 * 3, 0x2007)
    tables.smallEntry(0x2000 + 4 * 5, 0x7_9003)
    tables.smallEntry(0x1000 + 4 * 4, 0x0040_0083)
    let address: UInt64 = 3 << 22 | 5 << 12 | 0x123
    #expect(tables.memory.translate(address) == 0x79123)
    #expect(tables.memory.translate(address + 0x1000) == nil)
    #expect(tables.memory.translate(9 << 22) == nil)
    // A large page needs CR4.PSE.
    #expect(tables.memory.translate(4 << 22 | 0x12345) != 0x0041_2345)
    tables.system.cr4 = ControlBits.cr4PageSizeExtension
    #expect(tables.memory.translate(4 << 22 | 0x12345) == 0x0041_2345)
    // PSE-36: bits 13 to 20 are bits 32 to 39 of the address.
    tables.smallEntry(0x1000 + 4 * 4, 0x0040_2083)
    #expect(tables.memory.translate(4 << 22) == 0x1_0040_0000)
  }

  @Test func threeLevelsOfPAE() throws {
    var tables = try Tables()
    tables.system.cr4 = ControlBits.cr4PhysicalAddressExtension
    tables.system.cr3 = 0x1020
    tables.entry(0x1020 + 8 * 2, 0x2001)
    tables.entry(0x2000 + 8 * 1, 0x3003)
    tables.entry(0x3000 + 8 * 7, 0x8000_0000_0004_5003)
    tables.entry(0x2000 + 8 * 2, 0x9_0020_0083)
    let base: UInt64 = 2 << 30
    #expect(tables.memory.translate(base | 1 << 21 | 7 << 12 | 0xABC) == 0x45ABC)
    #expect(tables.memory.translate(base | 2 << 21 | 0x1F_FFFF) == 0x9_003F_FFFF)
    #expect(tables.memory.translate(0) == nil)
  }

  @Test(arguments: [4, 5]) func longModeWalks(levels: Int) throws {
    var tables = try Tables()
    tables.system.efer = ControlBits.eferLongModeActive
    tables.system.cr3 = 0x1000
    if levels == 5 {
      tables.system.cr4 = ControlBits.cr4FiveLevelPaging
      tables.system.cr3 = 0x6000
      tables.entry(0x6000 + 8 * 4, 0x1003)
    }
    let top: UInt64 = levels == 5 ? 4 << 48 : 0
    tables.entry(0x1000 + 8 * 1, 0x2003)
    tables.entry(0x2000 + 8 * 2, 0x3003)
    tables.entry(0x3000 + 8 * 3, 0x4003)
    tables.entry(0x4000 + 8 * 4, 0x5_5003)
    tables.entry(0x3000 + 8 * 5, 0x0060_0083)
    tables.entry(0x2000 + 8 * 6, 0x4000_0083)
    let base = top | 1 << 39
    #expect(tables.memory.translate(base | 2 << 30 | 3 << 21 | 4 << 12 | 5) == 0x55005)
    #expect(tables.memory.translate(base | 2 << 30 | 5 << 21 | 0x10_0000) == 0x70_0000)
    #expect(tables.memory.translate(base | 6 << 30 | 0x123_4567) == 0x4123_4567)
    #expect(tables.memory.translate(base | 7 << 30) == nil)
    #expect(tables.memory.translate(2 << 39) == nil)
  }

  @Test func accessCrossesPages() throws {
    var tables = try Tables()
    tables.system.cr3 = 0x1000
    tables.smallEntry(0x1000, 0x2003)
    tables.smallEntry(0x2000, 0x9003)
    tables.smallEntry(0x2004, 0x5003)
    tables.memory.write(0xFFE, bytes: [1, 2, 3, 4])
    #expect(tables.space.bytes(at: 0x9FFE, count: 2) == [1, 2])
    #expect(tables.space.bytes(at: 0x5000, count: 2) == [3, 4])
    #expect(tables.memory.load(0xFFE, as: UInt32.self) == 0x0403_0201)
    // Beyond the second page nothing is present.
    tables.memory.write(0x1FFF, bytes: [5, 6])
    #expect(tables.memory.bytes(at: 0x1FFF, count: 3) == [5, 0xFF, 0xFF])
  }

  @Test func tableBeyondMemoryIsAllOnes() throws {
    var tables = try Tables()
    tables.system.efer = ControlBits.eferLongModeActive
    tables.system.cr3 = .max
    _ = tables.memory.translate(.max)
    _ = tables.memory.bytes(at: .max - 3, count: 16)
  }
}
