import DeviceTestKit
import KVMEngine
import Testing

@testable import Machine

struct ShadowMemoryTests {
  private let bus = MemoryBus()
  private let space: AddressSpace
  private let bridge: PCIFunction

  init() throws {
    space = AddressSpace(bus: bus, slots: NoSlots())
    let ram = try MemoryBlock(name: "ram", size: 2 << 20)
    let rom = try MemoryBlock(name: "rom", size: 0x40000)
    for offset in 0..<0x40000 { rom.bytes(at: offset, count: 1)?[0] = UInt8(0x80 | offset >> 14) }
    let shadow = ShadowMemory(ram: ram, rom: rom, space: space, log: { _ in })
    try bus.register(shadow, at: ShadowMemory.range)
    bridge = HostBridge.make(ramBelow4G: 2 << 20, shadow: shadow)
  }

  private func byte(_ address: UInt64) -> UInt8 { space.load(address, as: UInt8.self) }

  @Test func afterResetTheEndOfTheROMIsSeenAndNothingBelowIt() {
    #expect(byte(0xFFFFF) == 0x8F)
    #expect(byte(0xE0000) == 0x88)
    #expect(byte(0xD8000) == 0xFF)
    space.store(UInt8(1), at: 0xFFFFF)
    #expect(byte(0xFFFFF) == 0x8F)
  }

  @Test func firmwareCopiesItselfToRAM() {
    // Writes go to RAM while reads still come from ROM.
    bridge.write(0x59, width: .byte, value: 0x20)
    for address in stride(from: UInt64(0xF0000), to: 0x100000, by: 0x1000) {
      space.store(byte(address) ^ 0xFF, at: address)
      #expect(byte(address) == 0x80 | UInt8(0x8 + (address - 0xE0000) >> 14))
    }
    bridge.write(0x59, width: .byte, value: 0x30)
    #expect(byte(0xF0000) == (0x80 | 0x0C) ^ 0xFF)
    space.store(UInt8(0x12), at: 0xF0000)
    #expect(byte(0xF0000) == 0x12)
    bridge.write(0x59, width: .byte, value: 0x10)
    space.store(UInt8(0x13), at: 0xF0000)
    #expect(byte(0xF0000) == 0x12)
    bridge.reset()
    #expect(byte(0xF0000) == 0x8C)
  }

  @Test func eachSegmentHasItsOwnBits() {
    bridge.write(0x5A, width: .byte, value: 0x30)  // C4000h to C7FFFh
    for segment in 0..<16 {
      let address = 0xC0000 + UInt64(segment) * 0x4000
      space.store(UInt8(0x55), at: address)
      #expect((byte(address) == 0x55) == (segment == 1))
    }
  }
}
