import DeviceTestKit
import Display
import KVMEngine
import Synchronization
import Testing

@Suite struct LinearModeTests {
  let kit: AdapterKit
  let base: UInt64

  init() throws {
    kit = try AdapterKit()
    base = kit.adapter.linearAddress ?? 0
    kit.loadColors()
  }

  private func setMode(_ width: UInt16, _ height: UInt16, _ bpp: UInt16, flags: UInt16 = 0x41) {
    kit.dispi(4, 0)
    kit.dispi(1, width)
    kit.dispi(2, height)
    kit.dispi(3, bpp)
    kit.dispi(4, flags)
    _ = kit.input(0x3DA)
    kit.out(0x3C0, 0x20)
  }

  @Test func thirtyTwoBitPixelsLoseTheirTopByte() {
    setMode(1024, 768, 32)
    #expect(kit.update().resized)
    #expect(kit.frame.size == FrameSize(width: 1024, height: 768))
    kit.space.store(0xFF12_3456 as UInt32, at: base + 4 * (1024 * 700 + 130))
    #expect(kit.update().damage == [FrameRect(x: 128, y: 700, width: 16, height: 1)])
    #expect(kit.pixel(130, 700) == 0x12_3456)
    #expect(kit.update().damage == [])
  }

  @Test(arguments: [
    (UInt16(8), UInt32(0x3F), UInt32(0xFF_FFFF)), (15, 0x7C1F, 0xFF_00FF),
    (16, 0x07E0, 0x00_FF00), (16, 0x8410, 0x84_8284), (24, 0x12_3456, 0x12_3456),
  ])
  func pixelsOfEveryDepth(bpp: UInt16, value: UInt32, pixel: UInt32) {
    setMode(640, 480, bpp)
    let bytes = UInt64(bpp + 7) / 8
    for index in 0..<bytes {
      kit.poke(base + bytes * 641 + index, UInt8(truncatingIfNeeded: value >> UInt32(8 * index)))
    }
    kit.update()
    #expect(kit.pixel(1, 1) == pixel)
    #expect(kit.pixel(0, 1) == 0 && kit.pixel(2, 1) == 0)
  }

  @Test func fourBitModesArePlanar() {
    kit.adapter.loadRegisters(Modes.mode12)
    setMode(800, 600, 4)
    kit.sequencer(2, 0b0110)
    kit.poke(0xA0000 + 100 * 599, 0x80)
    kit.update()
    #expect(kit.frame.size == FrameSize(width: 800, height: 600))
    #expect(kit.pixel(0, 599) == AdapterKit.gray(6))
  }

  @Test func theBankedWindowShowsItsBank() {
    kit.adapter.loadRegisters(Modes.mode13)
    setMode(1024, 768, 8, flags: 1)
    kit.dispi(5, 3)
    for _ in 0..<8 { kit.poke(0xA0010, 0x2A) }
    #expect(kit.peek(base + 3 * 0x10000 + 0x10) == 0x2A)
    kit.dispi(5, 4)
    #expect(kit.peek(0xA0010) == 0)
    kit.update()
    #expect(kit.pixel(16, 192) == AdapterKit.gray(0x2A))
  }

  @Test func theIdentifierAndLimitsRead() {
    #expect(kit.dispi(0) == 0xB0C5)
    kit.dispi(0, 0xB0C2)
    #expect(kit.dispi(0) == 0xB0C2)
    kit.dispi(0, 0x1234)
    #expect(kit.dispi(0) == 0xB0C2)
    kit.dispi(4, 2)
    #expect(kit.dispi(1) == 2560 && kit.dispi(2) == 1600 && kit.dispi(3) == 32)
    #expect(kit.dispi(10) == 256)
  }

  @Test func aModeThatIsTooLargeStaysOff() {
    setMode(0, 0, 32)
    #expect(kit.dispi(4) & 1 == 0)
    setMode(9999, 9999, 32)
    #expect(kit.dispi(1) == 2560 && kit.dispi(2) == 1600)
    #expect(kit.dispi(4) & 1 == 1)
    #expect(!kit.adapter.dispiMode(width: 2561, height: 1, bpp: 32, linear: true, clear: true))
    #expect(!kit.adapter.dispiMode(width: 640, height: 480, bpp: 7, linear: true, clear: true))
  }

  @Test func sizesChangeOnlyWhileOff() {
    setMode(640, 480, 32)
    kit.dispi(1, 800)
    #expect(kit.dispi(1) == 640)
  }

  @Test func virtualScreensPan() {
    setMode(640, 480, 32)
    kit.dispi(6, 1000)
    #expect(kit.dispi(6) == 1000)
    #expect(kit.dispi(7) == UInt16((16 << 20) / 4000))
    kit.space.store(0xABCDEF as UInt32, at: base + 4 * (1000 * 50 + 300))
    kit.dispi(8, 300)
    kit.dispi(9, 50)
    kit.update()
    #expect(kit.pixel(0, 0) == 0xABCDEF)
    kit.dispi(8, 0xFFFF)
    kit.dispi(9, 0xFFFF)
    #expect(kit.dispi(8) == 360)
    #expect(kit.dispi(9) == UInt16((16 << 20) / 4000 - 480))
  }

  @Test func memoryIsClearedUnlessAsked() {
    kit.poke(base, 0x55)
    setMode(640, 480, 32, flags: 0xC1)
    #expect(kit.peek(base) == 0x55)
    setMode(640, 480, 32)
    #expect(kit.peek(base) == 0)
  }

  @Test func wideColoursReachTheDAC() {
    setMode(640, 480, 8, flags: 0x61)
    kit.out(0x3C8, 0)
    for value in [0x12, 0x34, 0xFF] as [UInt8] { kit.out(0x3C9, value) }
    kit.update()
    #expect(kit.pixel(0, 0) == 0x12_34FF)
  }

  @Test func leavingALinearModeShowsTheTextModeAgain() {
    kit.setTextMode()
    setMode(640, 480, 32)
    kit.update()
    kit.adapter.disableDispi()
    #expect(kit.update().resized)
    #expect(kit.frame.size == FrameSize(width: 720, height: 400))
  }

  @Test func changesAreToldOnceUntilTheNextUpdate() {
    let counter = Counter()
    kit.adapter.setChangeHandler { counter.add() }
    kit.adapter.loadRegisters(Modes.mode12)
    kit.poke(0xA0000, 1)
    kit.poke(0xA0001, 1)
    #expect(counter.value == 1)
    kit.update()
    kit.poke(0xA0002, 1)
    #expect(counter.value == 2)
  }

  @Test func aHostThatMapsNothingIsServedThroughExits() throws {
    let complaints = Counter()
    let kit = try AdapterKit(slots: RefusingSlots(), log: { _ in complaints.add() })
    kit.setTextMode()
    kit.crtc(0x0A, 0x20)
    kit.update()
    kit.poke(0xB8000, 0x41)
    #expect(kit.peek(0xB8000) == 0x41)
    #expect(kit.update().damage == [FrameRect(x: 0, y: 0, width: 9, height: 16)])
    #expect(kit.adapter.dispiMode(width: 640, height: 480, bpp: 32, linear: true, clear: true))
    kit.poke(base + 4, 0xFF)
    kit.update()
    #expect(kit.pixel(1, 0) == 0xFF)
    #expect(complaints.value == 1)
  }
}

/// A number that any thread may count up.
final class Counter: Sendable {
  private let count = Mutex(0)
  func add() { count.withLock { $0 += 1 } }
  var value: Int { count.withLock { $0 } }
}

/// A host that maps nothing.
final class RefusingSlots: MemorySlots {
  func setSlot(
    _ index: UInt32, guestAddress: UInt64, host: UnsafeMutableRawPointer, size: Int,
    options: SlotOptions
  ) throws(HostError) {
    throw HostError("map a slot")
  }
  func removeSlot(_ index: UInt32) throws(HostError) {}
  func takeDirtyPages(_ index: UInt32, into bitmap: UnsafeMutableBufferPointer<UInt64>) {}
}
