import KVMEngine
import Synchronization
import Testing

/// A device that remembers its writes and answers reads with its first port's number and the offset.
private final class Probe: PortDevice {
  struct Access: Equatable {
    let offset: UInt16
    let width: AccessWidth
    let value: UInt32
  }
  let writes = Mutex<[Access]>([])
  let base: UInt32

  init(base: UInt32) { self.base = base }

  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { base &+ UInt32(offset) }

  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    writes.withLock { $0.append(Access(offset: offset, width: width, value: value)) }
  }

  var seen: [Access] { writes.withLock { $0 } }
}

@Suite struct PortBusTests {
  @Test func emptyPortReadsAsOnes() {
    let bus = PortBus()
    #expect(bus.read(0x123, width: .byte) == 0xFF)
    #expect(bus.read(0x123, width: .word) == 0xFFFF)
    #expect(bus.read(0xFFFF, width: .dword) == 0xFFFF_FFFF)
    bus.write(0xFFFF, width: .dword, value: 1)
  }

  @Test func wideAccessIsSplitIntoBytes() throws {
    let bus = PortBus()
    let probe = Probe(base: 0x10)
    try bus.register(probe, at: 0x60...0x63)
    #expect(bus.read(0x60, width: .dword) == 0x1312_1110)
    #expect(bus.read(0x62, width: .dword) == 0xFFFF_1312)
    bus.write(0x61, width: .word, value: 0xDEAD_BEEF)
    #expect(
      probe.seen == [
        Probe.Access(offset: 1, width: .byte, value: 0xEF),
        Probe.Access(offset: 2, width: .byte, value: 0xBE),
      ])
  }

  @Test func splitReachesNeighbours() throws {
    let bus = PortBus()
    let low = Probe(base: 0x10)
    let high = Probe(base: 0x80)
    try bus.register(low, at: 0x70...0x70)
    try bus.register(high, at: 0x71...0x71)
    #expect(bus.read(0x70, width: .word) == 0x8010)
    bus.write(0x6F, width: .dword, value: 0x4433_2211)
    #expect(low.seen.map(\.value) == [0x22])
    #expect(high.seen.map(\.value) == [0x33])
  }

  @Test func nativeDeviceSeesTheWholeAccess() throws {
    let bus = PortBus()
    let probe = Probe(base: 0xABCD_0000)
    try bus.register(probe, at: 0x1CE...0x1D0, wiring: .native)
    #expect(bus.read(0x1CF, width: .word) == 0xABCD_0001)
    bus.write(0x1D0, width: .dword, value: 0x1234_5678)
    bus.write(0x1CE, width: .byte, value: 0x1FF)
    #expect(
      probe.seen == [
        Probe.Access(offset: 2, width: .dword, value: 0x1234_5678),
        Probe.Access(offset: 0, width: .byte, value: 0xFF),
      ])
  }

  @Test func splitWrapsAtTheLastPort() throws {
    let bus = PortBus()
    let first = Probe(base: 0x42)
    try bus.register(first, at: 0...0)
    #expect(bus.read(0xFFFF, width: .word) == 0x42FF)
  }

  @Test func occupiedPortIsRefused() throws {
    let bus = PortBus()
    try bus.register(Probe(base: 0), at: 0x20...0x21)
    #expect(throws: BusError.occupied(0x21)) {
      try bus.register(Probe(base: 0), at: 0x21...0x22)
    }
    #expect(bus.read(0x22, width: .byte) == 0xFF)
  }

  @Test func fullBusIsRefused() throws {
    let bus = PortBus()
    for port in 0..<255 as Range<UInt16> { try bus.register(Probe(base: 0), at: port...port) }
    #expect(throws: BusError.full) { try bus.register(Probe(base: 0), at: 0x300...0x300) }
  }
}
