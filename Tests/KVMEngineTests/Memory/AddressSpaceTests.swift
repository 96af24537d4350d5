import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

/// Slots that are written down.
private final class SlotRecorder: MemorySlots {
  let calls = Mutex<[String]>([])
  let dirty = Mutex<UInt64>(0)

  func setSlot(
    _ index: UInt32, guestAddress: UInt64, host: UnsafeMutableRawPointer, size: Int,
    options: SlotOptions
  ) throws(HostError) {
    let place = String(guestAddress, radix: 16)
    calls.withLock { $0.append("set \(index) \(place) \(size) \(options.rawValue)") }
  }

  func removeSlot(_ index: UInt32) throws(HostError) {
    calls.withLock { $0.append("remove \(index)") }
  }

  func takeDirtyPages(_ index: UInt32, into bitmap: UnsafeMutableBufferPointer<UInt64>) {
    if !bitmap.isEmpty { bitmap[0] |= dirty.exchange(0) }
  }

  var seen: [String] { calls.withLock { $0 } }
}

extension Mutex where Value == UInt64 {
  fileprivate borrowing func exchange(_ new: UInt64) -> UInt64 {
    withLock { value in
      let old = value
      value = new
      return old
    }
  }
}

private final class Register: MemoryDevice {
  let bytes = Mutex<[UInt64: UInt64]>([:])
  func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 { 0xA0 &+ offset }
  func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    bytes.withLock { $0[offset] = value }
  }
}

@Suite struct AddressSpaceTests {
  private func makeSpace() throws -> (AddressSpace, MemoryBlock, SlotRecorder, Register) {
    let bus = MemoryBus()
    let register = Register()
    try bus.register(register, at: 0x4000...0x4FFF)
    let slots = SlotRecorder()
    let space = AddressSpace(bus: bus, slots: slots)
    let block = try MemoryBlock(name: "ram", size: 0x4000)
    try space.map(block, size: 0x4000, at: 0)
    return (space, block, slots, register)
  }

  @Test func storesAreLittleEndian() throws {
    let (space, _, _, _) = try makeSpace()
    space.store(UInt32(0x1122_3344), at: 0x10)
    #expect(space.bytes(at: 0x10, count: 4) == [0x44, 0x33, 0x22, 0x11])
    #expect(space.load(0x11, as: UInt16.self) == 0x2233)
  }

  @Test func blockBeyondItsEndIsRefused() throws {
    let (space, block, _, _) = try makeSpace()
    #expect(throws: HostError.self) {
      try space.map(block, offset: 0x3000, size: 0x2000, at: 0x10_0000)
    }
  }

  @Test func readCrossesFromMemoryToDevice() throws {
    let (space, _, _, _) = try makeSpace()
    space.write(0x3FFE, bytes: [1, 2])
    #expect(space.bytes(at: 0x3FFE, count: 4) == [1, 2, 0xA0, 0xA1])
    #expect(space.bytes(at: 0x4FFF, count: 2) == [0x9F, 0xFF])
  }

  @Test func writeCrossesFromMemoryToDevice() throws {
    let (space, _, _, register) = try makeSpace()
    space.write(0x3FFF, bytes: [7, 8])
    #expect(space.load(0x3FFF, as: UInt8.self) == 7)
    #expect(register.bytes.withLock { $0 } == [0: 8])
  }

  @Test func addressesWrapAtTheTop() throws {
    let (space, _, _, _) = try makeSpace()
    space.write(0, bytes: [0x5A])
    #expect(space.bytes(at: .max, count: 2) == [0xFF, 0x5A])
  }

  @Test func romKeepsItsBytes() throws {
    let (space, _, slots, _) = try makeSpace()
    let rom = try MemoryBlock(name: "rom", size: 4096)
    rom.base.storeBytes(of: 0x55, as: UInt8.self)
    try space.map(rom, size: 4096, at: 0xF0000, readOnly: true)
    space.write(0xF0000, bytes: [1])
    #expect(space.load(0xF0000, as: UInt8.self) == 0x55)
    #expect(slots.seen == ["set 0 0 16384 0", "set 1 f0000 4096 2"])
  }

  @Test func windowComesMovesAndGoes() throws {
    let (space, _, slots, _) = try makeSpace()
    let block = try MemoryBlock(name: "video", size: 0x10000)
    let window = space.makeWindow(block)
    #expect(space.load(0xE000_0000, as: UInt8.self) == 0xFF)
    try window.map(at: 0xE000_0000, offset: 0x1000, size: 0x2000)
    space.write(0xE000_0000, bytes: [9])
    #expect(block.bytes(at: 0x1000, count: 1)?[0] == 9)
    try window.map(at: 0xE000_0000, offset: 0x1000, size: 0x2000)
    try window.map(at: 0xD000_0000, offset: 0x1000, size: 0x2000)
    #expect(space.load(0xE000_0000, as: UInt8.self) == 0xFF)
    #expect(space.load(0xD000_0000, as: UInt8.self) == 9)
    try window.unmap()
    try window.unmap()
    #expect(space.load(0xD000_0000, as: UInt8.self) == 0xFF)
    #expect(
      Array(slots.seen.dropFirst()) == [
        "set 1 e0000000 8192 1", "remove 1", "set 1 d0000000 8192 1", "remove 1",
      ])
  }

  @Test func windowRefusesWhatItHasNot() throws {
    let (space, _, _, _) = try makeSpace()
    let window = space.makeWindow(try MemoryBlock(name: "video", size: 0x4000))
    for (address, offset, size) in [
      (0x100, 0, 0x1000), (0x1000, 0x3000, 0x2000), (0, 0x100, 0x1000), (0, 0, 0), (0, -4096, 4096),
    ] {
      #expect(throws: HostError.self) {
        try window.map(at: UInt64(address), offset: offset, size: size)
      }
    }
  }

  @Test func windowRemembersPagesOfGuestAndHost() throws {
    let (space, _, slots, _) = try makeSpace()
    let window = space.makeWindow(try MemoryBlock(name: "video", size: 0x8000))
    var words: [UInt64] = [0]
    #expect(!words.withUnsafeMutableBufferPointer { window.takeDirtyPages(into: $0) })
    try window.map(at: 0xE000_0000, offset: 0, size: 0x8000)
    slots.dirty.withLock { $0 = 0b1000_0000 }
    space.write(0xE000_1FFF, bytes: [1, 2])
    _ = space.load(0xE000_4000, as: UInt8.self)
    #expect(words.withUnsafeMutableBufferPointer { window.takeDirtyPages(into: $0) })
    #expect(words == [0b1000_0110])
    words = [0]
    #expect(words.withUnsafeMutableBufferPointer { window.takeDirtyPages(into: $0) })
    #expect(words == [0])
    #expect(!window.takeDirtyPages(into: UnsafeMutableBufferPointer(start: nil, count: 0)))
  }

  @Test func blockChecksItsBounds() throws {
    let block = try MemoryBlock(name: "block", size: 5000)
    #expect(block.size == 8192)
    #expect(block.bytes(at: 8192, count: 0) != nil)
    #expect(block.bytes(at: 8192, count: 1) == nil)
    #expect(block.bytes(at: -1, count: 1) == nil)
    #expect(block.bytes(at: 0, count: -1) == nil)
    #expect(block.bytes(at: 1, count: .max) == nil)
    #expect(throws: HostError.self) { try MemoryBlock(name: "none", size: 0) }
  }
}
