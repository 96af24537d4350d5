import KVMEngine
import Synchronization
import Testing

@testable import Machine

struct ConfigurationAddressPortsTests {
  @Test func aConfigurationAddressIsNoReset() throws {
    let resets = Mutex(0)
    let bus = PortBus()
    let control = ResetControl(resetRequested: { resets.withLock { $0 += 1 } })
    try bus.register(
      ConfigurationAddressPorts(reset: control, bus: PCIRig().bus),
      at: MemoryMap.configurationAddress,
      wiring: .native)
    bus.write(0xCF8, width: .dword, value: 0x8000_FF00)
    #expect(bus.read(0xCF8, width: .dword) == 0x8000_FF00)
    #expect(resets.withLock { $0 } == 0)
    bus.write(0xCF9, width: .byte, value: 0x02)
    bus.write(0xCF9, width: .byte, value: 0x06)
    #expect(resets.withLock { $0 } == 1)
  }
}
