import KVMEngine
import Synchronization
import Testing

private final class Probe: MemoryDevice {
  let writes = Mutex<[[UInt64]]>([])
  let value: UInt64

  init(_ value: UInt64) { self.value = value }

  func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 { value &+ offset }

  func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    writes.withLock { $0.append([offset, UInt64(width.bytes), value]) }
  }

  var seen: [[UInt64]] { writes.withLock { $0 } }
}

@Suite struct MemoryBusTests {
  @Test func accessReachesItsDevice() throws {
    let bus = MemoryBus()
    let high = Probe(0xFFFF_FF00)
    let low = Probe(0x10)
    try bus.register(high, at: 0xFEC0_0000...0xFEC0_0FFF)
    try bus.register(low, at: 0xA0000...0xBFFFF)
    #expect(bus.read(0xA0005, width: .byte) == 0x15)
    #expect(bus.read(0xBFFFF, width: .qword) == 0x2000F)
    #expect(bus.read(0xFEC0_0010, width: .byte) == 0x10)
    bus.write(0xFEC0_0FFF, width: .word, value: 0x12_3456)
    #expect(high.seen == [[0xFFF, 2, 0x3456]])
    #expect(low.seen.isEmpty)
  }

  @Test func emptyAddressReadsAsOnes() throws {
    let bus = MemoryBus()
    try bus.register(Probe(0), at: 0x1000...0x1FFF)
    #expect(bus.read(0xFFF, width: .byte) == 0xFF)
    #expect(bus.read(0x2000, width: .dword) == 0xFFFF_FFFF)
    #expect(bus.read(.max, width: .qword) == .max)
    bus.write(0x2000, width: .dword, value: 1)
  }

  @Test func occupiedAddressIsRefused() throws {
    let bus = MemoryBus()
    try bus.register(Probe(0), at: 0x1000...0x1FFF)
    #expect(throws: BusError.occupied(0x1800)) {
      try bus.register(Probe(0), at: 0x1800...0x2800)
    }
  }
}
