import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

@testable import Machine

struct PCIBIOSTests {
  private let rig = PCIRig()

  private func call(_ registers: Registers, _ other: PCIRig? = nil) throws -> FirmwareCall {
    let space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    var call = FirmwareCall(registers: registers, system: SystemRegisters(), space: space)
    PCIBIOS(FirmwarePorts(bus: (other ?? rig).ports)).serve(&call)
    return call
  }

  init() throws {
    try rig.wire()
    for slot in [3, 4] {
      let function = PCIFunction(
        name: "echo", PCIIdentity(vendor: 0x1AF4, device: 0x0001, classCode: 0x020000))
      try rig.bus.attach(function, slot: slot)
    }
  }

  @Test func saysThatItIsThere() throws {
    var registers = Registers()
    registers.rax = 0xB101
    let call = try call(registers)
    #expect(call.ah == 0 && call.edx == 0x2049_4350 && call.bx == 0x0210 && call.cl == 0)
  }

  @Test func findsDevicesByNumberAndByClass() throws {
    var registers = Registers()
    registers.rax = 0xB102
    registers.rcx = 0x0001
    registers.rdx = 0x1AF4
    registers.rsi = 1
    #expect(try call(registers).bx == 4 << 3)
    registers.rsi = 2
    #expect(try call(registers).ah == 0x86)
    registers.rdx = 0xFFFF
    #expect(try call(registers).ah == 0x83)
    registers.rax = 0xB103
    registers.rcx = 0x020000
    registers.rsi = 0
    #expect(try call(registers).bx == 3 << 3)
  }

  @Test func readsAndWritesRegisters() throws {
    var registers = Registers()
    registers.rbx = 3 << 3
    registers.rdi = 0x3C
    registers.rcx = 0x0B
    registers.rax = 0xB10B
    #expect(try call(registers).ah == 0)
    registers.rax = 0xB108
    registers.rcx = 0
    #expect(try call(registers).cl == 0x0B)
    registers.rdi = 0
    registers.rax = 0xB10A
    #expect(try call(registers).ecx == 0x0001_1AF4)
    registers.rdi = 1
    #expect(try call(registers).ah == 0x87)
    registers.rax = 0xB106
    #expect(try call(registers).ah == 0x81)
  }

  // MARK: Interrupts

  /// Low memory with a buffer of `room` bytes at 2000:0010 and its description at 3000:0020.
  private func callWithBuffer(room: UInt16) throws -> (FirmwareCall, AddressSpace) {
    let ram = try MemoryBlock(name: "ram", size: 1 << 20)
    let space = AddressSpace(bus: MemoryBus(), slots: UnmappedSlots())
    try space.map(ram, size: 1 << 20, at: 0)
    space.store(room, at: 0x30020)
    space.store(UInt32(0x2000_0010), at: 0x30022)
    var registers = Registers()
    (registers.rax, registers.rdi, registers.rbx) = (0xB10E, 0x20, 0)
    var system = SystemRegisters()
    (system.es.selector, system.es.base) = (0x3000, 0x30000)
    var call = FirmwareCall(registers: registers, system: system, space: space)
    PCIBIOS(FirmwarePorts(bus: rig.ports)).serve(&call)
    return (call, space)
  }

  @Test func tellsHowPinsAreWired() throws {
    let (call, space) = try callWithBuffer(room: 7 * 16)
    #expect(call.ah == 0 && !call.carry && call.bx == 0)
    #expect(space.load(0x30020, as: UInt16.self) == 7 * 16)
    for slot in 1...7 {
      let entry = 0x20010 + UInt64(slot - 1) * 16
      #expect(space.load(entry + 1, as: UInt8.self) == UInt8(slot << 3))
      #expect(Int(space.load(entry + 2, as: UInt8.self)) == 0x60 + (slot - 1) % 4)
      #expect(space.load(entry + 3, as: UInt16.self) == 1 << 5 | 1 << 10 | 1 << 11)
    }
  }

  @Test func tellsHowMuchRoomTheWiringNeeds() throws {
    let (call, space) = try callWithBuffer(room: 7 * 16 - 1)
    #expect(call.ah == 0x89 && call.carry)
    #expect(space.load(0x30020, as: UInt16.self) == 7 * 16)
    #expect(space.load(0x20010 + 1, as: UInt8.self) == 0)
  }

  @Test func routesAPinToAnInterrupt() throws {
    let rig = PCIRig()
    try rig.ports.register(LevelRegisters(), at: MemoryMap.elcr)
    try rig.wire()
    try rig.bus.attach(ISABridge.make(rig.bus.interrupts), slot: 1)
    var registers = Registers()
    // INTB# of slot 3 is wire 3.
    (registers.rax, registers.rbx, registers.rcx) = (0xB10F, 3 << 3, 0x0B0B)
    #expect(try call(registers, rig).ah == 0)
    #expect(rig.read(1, 0, 0x63, .byte) == 11)
    #expect(rig.ports.read(0x4D1, width: .byte) == 1 << 3)
    for (bx, cx): (UInt64, UInt64) in [
      (3 << 3, 0x0B09), (3 << 3, 0x0B0E), (3 << 3, 0x0C0B), (3 << 3, 0xFF0B), (0, 0x0B0B),
      (8 << 3, 0x0B0B), (0xFFFF, 0x0B0B),
    ] {
      (registers.rbx, registers.rcx) = (bx, cx)
      #expect(try call(registers, rig).ah == 0x88)
    }
    #expect(rig.read(1, 0, 0x63, .byte) == 11)
  }
}

/// Two bytes that keep what is written.
private final class LevelRegisters: PortDevice {
  private let bytes = Mutex<[UInt32]>([0, 0])
  let name = "levels"
  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    bytes.withLock { $0[Int(offset & 1)] }
  }
  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    bytes.withLock { $0[Int(offset & 1)] = value }
  }
}
