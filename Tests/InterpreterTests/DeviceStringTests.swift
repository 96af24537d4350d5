import KVMEngine
import Synchronization
import Testing

@testable import Interpreter

/// Repeated string instructions on memory of a device.
@Suite struct DeviceStringTests {
  /// Remembers stores, and answers a load with what it loads from.
  private final class Recorder: MemoryDevice {
    let stores = Mutex<[[UInt64]]>([])

    func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 { offset }
    func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
      stores.withLock { $0.append([offset, UInt64(width.bytes), value]) }
    }
  }

  /// A device of 8 KiB behind RAM, which the instruction crosses into.
  private static let place: UInt64 = 16 << 20

  private func stores(_ code: [UInt8], count: UInt64, from: UInt64, to: UInt64) throws
    -> ([[UInt64]], Registers)
  {
    let rig = try Rig()
    let recorder = Recorder()
    try rig.space.bus.register(recorder, at: Self.place...(Self.place + 8191))
    rig.protected(code + [0xF4])
    rig.set {
      $0.rcx = count
      $0.rsi = from
      $0.rdi = to
      $0.rax = 0x1122_3344
    }
    while rig.processor.run() != .halted {}
    return (recorder.stores.withLock { $0 }, rig.processor.registers())
  }

  @Test func everyStoreOfAFillReachesTheDeviceInOrder() throws {
    // REP STOSD over the end of RAM, a page's end, and the device's end.
    let (stores, registers) = try stores(
      [0xF3, 0xAB], count: 2100, from: 0, to: Self.place - 8)
    let expected: [[UInt64]] = (UInt64(0)..<2048).map { [$0 * 4, 4, 0x1122_3344] }
    #expect(stores == expected)
    #expect(registers.rcx == 0 && registers.rdi == Self.place - 8 + 2100 * 4)
  }

  @Test func everyElementOfACopyIsLoadedAndStored() throws {
    // REP MOVSW from inside the device to inside it.
    let (stores, registers) = try stores(
      [0xF3, 0x66, 0xA5], count: 1500, from: Self.place + 2, to: Self.place + 4000)
    let expected: [[UInt64]] = (UInt64(0)..<1500).map { [4000 + $0 * 2, 2, 2 + $0 * 2] }
    #expect(stores == expected)
    #expect(registers.rcx == 0 && registers.rsi == Self.place + 3002)
  }

  @Test func backwardsGoesBackwards() throws {
    let (stores, registers) = try stores(
      [0xFD, 0xF3, 0xAA], count: 3, from: 0, to: Self.place + 2)
    let expected: [[UInt64]] = [[2, 1, 0x44], [1, 1, 0x44], [0, 1, 0x44]]
    #expect(stores == expected)
    #expect(registers.rdi == Self.place - 1)
  }
}
