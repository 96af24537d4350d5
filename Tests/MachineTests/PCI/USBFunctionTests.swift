import DeviceTestKit
import Input
import KVMEngine
import Testing

@testable import Machine

/// The USB controller as a guest finds it on the bus.
struct USBFunctionTests {
  private let rig = PCIRig()
  private let memory: AddressSpace
  private let tablet = USBTablet()
  private let slot = MemoryMap.usbSlot
  private static let base: UInt64 = 0xFE00_0000
  private static let events: UInt64 = 0x3000

  init() throws {
    memory = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    try memory.map(MemoryBlock(name: "ram", size: 1 << 20), size: 1 << 20, at: 0)
    try rig.wire()
    let usb = USBControllerFunction.make(tablet: tablet, memory: memory, clock: ManualClock())
    let bridge = ISABridge.make(rig.bus.interrupts)
    try rig.bus.attach(bridge, slot: 1)
    try rig.bus.attach(usb.function, slot: slot)
    // Slot 3 has INTA# on PIRQC.
    rig.write(1, 0, 0x62, 10, .byte)
  }

  private func write(_ offset: UInt64, _ value: UInt32) {
    rig.memory.write(Self.base + offset, width: .dword, value: UInt64(value))
  }

  /// Starts the controller with an event ring and its interrupt on: the change of the tablet's port
  /// is its first event.
  private func start() {
    memory.store(Self.events, at: 0x1800)
    memory.store(UInt32(32), at: 0x1808)
    for (offset, value): (UInt64, UInt32) in [
      (0x1028, 1), (0x1038, UInt32(Self.events)), (0x103C, 0), (0x1030, 0x1800), (0x1034, 0),
      (0x1020, 2), (0x20, 5),
    ] { write(offset, value) }
  }

  @Test func classAndRegistersAreThoseOfAnXHCI() throws {
    #expect(rig.read(slot, 0, 0x08) >> 8 == 0x0C0330)
    #expect(rig.read(slot, 0, 0x3D, .byte) == 1)
    #expect(rig.read(slot, 0, 0x60, .byte) == 0x30)
    rig.write(slot, 0, 0x10, 0xFFFF_FFFF)
    #expect(rig.read(slot, 0, 0x10) == 0xFFFF_C000)
    rig.write(slot, 0, 0x10, UInt32(Self.base))
    rig.write(slot, 0, 0x04, 6, .word)
    #expect(rig.memory.read(Self.base, width: .dword) == 0x0110_0020)
  }

  @Test func itsPinGoesWhereTheBridgeSendsIt() throws {
    rig.write(slot, 0, 0x10, UInt32(Self.base))
    rig.write(slot, 0, 0x04, 6, .word)
    start()
    #expect(rig.lines.level(10))
    write(0x1020, 3)
    #expect(!rig.lines.level(10))
    #expect(rig.messages.all.isEmpty)
  }

  @Test func itSendsAMessageInsteadWhereTheGuestWantsThat() throws {
    rig.write(slot, 0, 0x10, UInt32(Self.base))
    rig.write(slot, 0, 0x04, 6, .word)
    let capability = Int(rig.read(slot, 0, 0x34, .byte))
    #expect(rig.read(slot, 0, 0x06, .word) & 0x10 != 0)
    #expect(rig.read(slot, 0, capability) == 0x0080_0005)
    rig.write(slot, 0, capability + 4, 0xFEE0_1003)
    #expect(rig.read(slot, 0, capability + 4) == 0xFEE0_1000)
    rig.write(slot, 0, capability + 12, 0x0041, .word)
    rig.write(slot, 0, capability + 2, 1, .word)
    start()
    #expect(rig.messages.all == [MessageSignalledInterrupt(address: 0xFEE0_1000, data: 0x41)])
    #expect(!rig.lines.level(10))
  }

  /// A message to memory that is no local APIC's, or without leave to write memory.
  @Test func aMessageToNowhereIsLost() throws {
    rig.write(slot, 0, 0x10, UInt32(Self.base))
    rig.write(slot, 0, 0x04, 6, .word)
    rig.write(slot, 0, 0x52, 1, .word)
    start()
    rig.write(slot, 0, 0x54, 0xFEE0_0000)
    rig.write(slot, 0, 0x04, 2, .word)
    write(0x1020, 3)
    start()
    #expect(rig.messages.all.isEmpty)
    #expect(!rig.lines.level(10))
  }
}
