import DeviceTestKit
import KVMEngine
import Testing

@testable import Machine

struct FirmwareConfigurationDeviceTests {
  private let space = AddressSpace(bus: MemoryBus(), slots: NoSlots())

  init() throws {
    try space.map(MemoryBlock(name: "ram", size: 1 << 20), size: 1 << 20, at: 0)
  }

  private func make() -> FirmwareConfigurationDevice {
    FirmwareConfigurationDevice(
      processors: 3, files: [("etc/b", [4, 5]), ("etc/a", [1, 2, 3])], memory: space)
  }

  private func read(_ device: FirmwareConfigurationDevice, _ item: UInt32, _ count: Int) -> [UInt8]
  {
    device.selectorPorts.writePort(0, width: .word, value: item)
    return (0..<count).map { _ in
      UInt8(truncatingIfNeeded: device.selectorPorts.readPort(1, width: .byte))
    }
  }

  @Test func itemsAreReadAByteAtATimeAndEndInZeroes() {
    let device = make()
    #expect(read(device, 0, 5) == Array("QEMU".utf8) + [0])
    #expect(read(device, 5, 2) == [3, 0])
    #expect(read(device, 0x19, 4) == [0, 0, 0, 2])
    let directory = read(device, 0x19, 4 + 64)
    #expect(Array(directory[4..<8]) == [0, 0, 0, 3])
    #expect(Array(directory[8..<10]) == [0, 0x20])
    #expect(Array(directory[12..<17]) == Array("etc/a".utf8))
    #expect(read(device, 0x21, 3) == [4, 5, 0])
    #expect(read(device, 0x3333, 1) == [0])
    // An architecture's own items are others: none here.
    #expect(read(device, 0x8000, 2) == [0, 0])
  }

  @Test func dmaMovesAnItem() {
    let device = make()
    let request: UInt64 = 0x1000
    space.store((UInt32(0x20) << 16 | 8 | 2).bigEndian, at: request)
    space.store(UInt32(3).bigEndian, at: request + 4)
    space.store(UInt64(0x2000).bigEndian, at: request + 8)
    device.dmaPorts.writePort(4, width: .dword, value: UInt32(request).byteSwapped)
    #expect(space.load(request, as: UInt32.self) == 0)
    #expect(space.bytes(at: 0x2000, count: 4) == [1, 2, 3, 0])
    // Items can't be written.
    space.store((UInt32(0x20) << 16 | 8 | 16).bigEndian, at: request)
    device.dmaPorts.writePort(4, width: .dword, value: UInt32(request).byteSwapped)
    #expect(space.load(request, as: UInt32.self) == UInt32(1).bigEndian)
    #expect(device.dmaPorts.readPort(0, width: .dword) == 0x554D_4551)
    #expect(device.dmaPorts.readPort(4, width: .dword) == 0x4746_4320)
  }

  @Test func conforms() {
    var conformance = DeviceConformance(
      make: make, ports: { [($0.selectorPorts, 0...1), ($0.dmaPorts, 0...7)] })
    conformance.accesses = 5_000
    #expect(conformance.violations(seed: 7) == [])
    let debug = conformanceViolations(
      make: { FirmwareDebugPort(log: { _ in }) }, ports: { [($0, 0...0)] })
    #expect(debug == [])
  }
}
