import DeviceTestKit
import KVMEngine
import Testing

@testable import Machine

struct PCIBIOSTests {
  private let rig = PCIRig()

  private func call(_ registers: Registers) throws -> FirmwareCall {
    let space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    var call = FirmwareCall(registers: registers, system: SystemRegisters(), space: space)
    PCIBIOS(FirmwarePorts(bus: rig.ports)).serve(&call)
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
    registers.rax = 0xB10E
    #expect(try call(registers).ah == 0x81)
  }
}
