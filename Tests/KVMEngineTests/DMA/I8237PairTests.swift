import DeviceTestKit
import Testing

@testable import KVMEngine

@Suite struct I8237PairTests {
  let space: AddressSpace
  let pair: I8237Pair
  let bytes: any PortDevice
  let words: any PortDevice
  let pages: any PortDevice

  init() throws {
    space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    let ram = try MemoryBlock(name: "test", size: 1 << 20)
    try space.map(ram, size: 1 << 20, at: 0)
    pair = I8237Pair(space: space)
    bytes = pair.bytePorts
    words = pair.wordPorts
    pages = pair.pagePorts
  }

  func out(_ port: any PortDevice, _ offset: UInt16, _ value: UInt8) {
    port.writePort(offset, width: .byte, value: UInt32(value))
  }
  func read(_ port: any PortDevice, _ offset: UInt16) -> UInt8 {
    UInt8(truncatingIfNeeded: port.readPort(offset, width: .byte))
  }

  /// Sets channel 2 as a floppy driver does.
  func program(_ mode: UInt8, page: UInt8, address: UInt16, count: UInt16) {
    out(bytes, 10, 6)
    out(bytes, 12, 0)
    out(bytes, 11, mode)
    out(bytes, 4, UInt8(truncatingIfNeeded: address))
    out(bytes, 4, UInt8(truncatingIfNeeded: address >> 8))
    out(pages, 0, page)
    out(bytes, 5, UInt8(truncatingIfNeeded: count))
    out(bytes, 5, UInt8(truncatingIfNeeded: count >> 8))
    out(bytes, 10, 2)
  }

  func give(_ data: [UInt8], channel: Int = 2) -> (Int, Bool) {
    var data = data
    let moved = data.withUnsafeMutableBytes {
      pair.transfer(channel: channel, toMemory: true, $0)
    }
    return (moved.count, moved.reachedEnd)
  }

  @Test func aDeviceGivesUpToTheTerminalCount() {
    program(0x46, page: 2, address: 0x1000, count: 511)
    let data = (0..<700).map { UInt8(truncatingIfNeeded: $0) }
    #expect(give(Array(data.prefix(300))) == (300, false))
    #expect(read(bytes, 8) & 0x04 == 0)
    #expect(give(Array(data.suffix(400))) == (212, true))
    #expect(space.bytes(at: 0x21000, count: 512) == Array(data.prefix(512)))
    #expect(read(bytes, 8) & 0x0F == 0x04)
    #expect(read(bytes, 8) & 0x0F == 0)
    #expect(give([1]) == (0, false))
    out(bytes, 12, 0)
    #expect(read(bytes, 5) == 0xFF && read(bytes, 5) == 0xFF)
  }

  @Test func aDeviceTakesFromMemory() {
    space.write(0x30000, bytes: [1, 2, 3, 4])
    program(0x4A, page: 3, address: 0, count: 3)
    var data = [UInt8](repeating: 0, count: 8)
    let moved = data.withUnsafeMutableBytes {
      pair.transfer(channel: 2, toMemory: false, $0)
    }
    #expect(moved == (4, true) && data == [1, 2, 3, 4, 0, 0, 0, 0])
  }

  @Test func addressesWrapWithinTheirPageAndCanGoDown() {
    program(0x46, page: 1, address: 0xFFFE, count: 3)
    #expect(give([1, 2, 3, 4]) == (4, true))
    #expect(space.bytes(at: 0x1FFFE, count: 2) == [1, 2])
    #expect(space.bytes(at: 0x10000, count: 2) == [3, 4])
    program(0x66, page: 1, address: 0x0002, count: 2)
    #expect(give([9, 8, 7]) == (3, true))
    #expect(space.bytes(at: 0x10000, count: 3) == [7, 8, 9])
  }

  @Test func autoinitializeBeginsAnew() {
    program(0x56, page: 1, address: 0x10, count: 1)
    #expect(give([1, 2]) == (2, true))
    #expect(give([3, 4]) == (2, true))
    #expect(space.bytes(at: 0x10010, count: 2) == [3, 4])
  }

  @Test func verifyAndWrongDirectionsMoveNothing() {
    program(0x42, page: 1, address: 0, count: 1)
    #expect(give([1, 2]) == (2, true))
    program(0x4A, page: 1, address: 0, count: 1)
    #expect(give([1, 2]) == (2, true))
    #expect(space.bytes(at: 0x10000, count: 2) == [0, 0])
    program(0x46, page: 1, address: 0, count: 1)
    out(bytes, 8, 4)
    #expect(give([1, 2]) == (0, false))
  }

  @Test func wideChannelsCountWords() {
    out(words, 0x1A, 0)
    out(words, 0x16, 0x45)
    out(words, 0x04, 0x00)
    out(words, 0x04, 0x08)
    out(words, 0x06, 1)
    out(words, 0x06, 0)
    out(pages, 0x8B - 0x81, 2)
    out(words, 0x14, 1)
    #expect(give([1, 2, 3, 4, 5], channel: 5) == (4, true))
    #expect(space.bytes(at: 0x21000, count: 4) == [1, 2, 3, 4])
  }

  @Test func conforms() {
    let space = self.space
    #expect(
      conformanceViolations(
        make: { I8237Pair(space: space) },
        ports: {
          [
            ($0.bytePorts, 0x00...0x0F), ($0.wordPorts, 0xC0...0xDF), ($0.pagePorts, 0x81...0x8F),
          ]
        }
      ).isEmpty)
  }
}
