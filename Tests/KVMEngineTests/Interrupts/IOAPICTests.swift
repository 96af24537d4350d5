import DeviceTestKit
import Synchronization
import Testing

@testable import KVMEngine

/// An I/O APIC with what it sent.
private final class Bench: Sendable {
  private let sent = Mutex<[MessageSignalledInterrupt]>([])
  private let told = Mutex<[[MessageSignalledInterrupt?]]>([])
  private let chip = Mutex<IOAPIC?>(nil)

  init() {
    let chip = IOAPIC(
      deliver: { [weak self] message in self?.sent.withLock { $0.append(message) } },
      routesChanged: { [weak self] routes in self?.told.withLock { $0.append(routes) } })
    self.chip.withLock { $0 = chip }
  }

  var ioapic: IOAPIC {
    chip.withLock { $0 } ?? IOAPIC(deliver: { _ in }, routesChanged: { _ in })
  }
  var vectors: [UInt8] { sent.withLock { $0.map(\.vector) } }
  var messages: [MessageSignalledInterrupt] { sent.withLock { $0 } }
  var routes: [MessageSignalledInterrupt?] { told.withLock { $0.last } ?? [] }
  var timesTold: Int { told.withLock { $0.count } }

  func read(_ index: UInt8) -> UInt64 {
    ioapic.writeMemory(0, width: .dword, value: UInt64(index))
    return ioapic.readMemory(0x10, width: .dword)
  }
  func write(_ index: UInt8, _ value: UInt32) {
    ioapic.writeMemory(0, width: .dword, value: UInt64(index))
    ioapic.writeMemory(0x10, width: .dword, value: UInt64(value))
  }
  func program(_ pin: Int, _ low: UInt32, high: UInt32 = 0) {
    write(UInt8(0x11 + 2 * pin), high)
    write(UInt8(0x10 + 2 * pin), low)
  }
}

private let level: UInt32 = 0x8000
private let masked: UInt32 = 0x1_0000

@Suite struct IOAPICTests {
  @Test func identifiesItself() {
    let bench = Bench()
    #expect(bench.read(1) == 0x0017_0020)
    bench.write(0, 0xFFFF_FFFF)
    #expect(bench.read(0) == 0x0F00_0000)
    #expect(bench.read(2) == 0x0F00_0000)
  }

  @Test func resetMasksEverything() {
    let bench = Bench()
    for pin in 0..<24 {
      #expect(bench.read(UInt8(0x10 + 2 * pin)) == 0x1_0000)
      bench.ioapic.setLine(pin, asserted: true)
    }
    #expect(bench.messages.isEmpty)
  }

  @Test func edgeIsSentOnce() {
    let bench = Bench()
    bench.program(4, 0x34)
    bench.ioapic.setLine(4, asserted: true)
    bench.ioapic.setLine(4, asserted: true)
    #expect(bench.vectors == [0x34])
    bench.ioapic.setLine(4, asserted: false)
    bench.ioapic.setLine(4, asserted: true)
    #expect(bench.vectors == [0x34, 0x34])
  }

  @Test func edgeOnMaskedPinIsLost() {
    let bench = Bench()
    bench.program(4, 0x34 | masked)
    bench.ioapic.setLine(4, asserted: true)
    bench.program(4, 0x34)
    #expect(bench.messages.isEmpty)
  }

  @Test func levelIsSentAgainAfterEOI() {
    let bench = Bench()
    bench.program(10, 0x60 | level)
    bench.ioapic.setLine(10, asserted: true)
    #expect(bench.vectors == [0x60])
    #expect(bench.read(0x24) & 0x4000 != 0)
    bench.ioapic.setLine(10, asserted: false)
    bench.ioapic.setLine(10, asserted: true)
    #expect(bench.vectors == [0x60])
    bench.ioapic.endOfInterrupt(vector: 0x61)
    #expect(bench.vectors == [0x60])
    bench.ioapic.endOfInterrupt(vector: 0x60)
    #expect(bench.vectors == [0x60, 0x60])
    bench.ioapic.setLine(10, asserted: false)
    bench.ioapic.endOfInterrupt(vector: 0x60)
    #expect(bench.vectors == [0x60, 0x60])
    #expect(bench.read(0x24) & 0x4000 == 0)
  }

  @Test func levelWaitsForUnmasking() {
    let bench = Bench()
    bench.program(10, 0x60 | level | masked)
    bench.ioapic.setLine(10, asserted: true)
    #expect(bench.messages.isEmpty)
    bench.program(10, 0x60 | level)
    #expect(bench.vectors == [0x60])
  }

  @Test func eoiRegisterEndsService() {
    let bench = Bench()
    bench.program(10, 0x60 | level)
    bench.ioapic.setLine(10, asserted: true)
    bench.ioapic.writeMemory(0x40, width: .dword, value: 0x60)
    #expect(bench.vectors == [0x60, 0x60])
  }

  @Test func switchToEdgeForgetsService() {
    let bench = Bench()
    bench.program(10, 0x60 | level)
    bench.ioapic.setLine(10, asserted: true)
    bench.program(10, 0x60 | masked)
    bench.program(10, 0x60 | level)
    #expect(bench.vectors == [0x60, 0x60])
  }

  @Test func entryBecomesMessage() {
    let bench = Bench()
    // Lowest priority, logical destination 0x3C, level.
    bench.program(20, 0x51 | 0x100 | 0x800 | level, high: 0x3C00_0000)
    let expected = MessageSignalledInterrupt(address: 0xFEE3_C004, data: 0xC151)
    #expect(bench.routes[20] == expected)
    bench.ioapic.setLine(20, asserted: true)
    #expect(bench.messages == [expected])
    #expect(expected.vector == 0x51 && expected.destination == 0x3C)
    #expect(expected.isLogical && expected.isLevelTriggered)
  }

  @Test func routesAreToldOnChangeOnly() {
    let bench = Bench()
    bench.program(3, 0x33)
    let before = bench.timesTold
    bench.program(3, 0x33)
    #expect(bench.timesTold == before)
    bench.program(3, 0x33 | masked)
    #expect(bench.timesTold == before + 1)
    #expect(bench.routes[3] == nil)
  }

  @Test func routeOfMaskedEntryInServiceStays() {
    let bench = Bench()
    bench.program(3, 0x33 | level)
    bench.ioapic.setLine(3, asserted: true)
    bench.program(3, 0x33 | level | masked)
    #expect(bench.routes[3]?.vector == 0x33)
    bench.ioapic.endOfInterrupt(vector: 0x33)
    #expect(bench.vectors == [0x33])
    bench.program(3, 0x33 | level)
    #expect(bench.vectors == [0x33, 0x33])
  }

  @Test func externalEntrySendsNothing() {
    let bench = Bench()
    bench.program(0, 0x0700)
    bench.ioapic.setLine(0, asserted: true)
    #expect(bench.messages.isEmpty)
    #expect(bench.timesTold == 0)
  }

  @Test func statusBitsAreReadOnly() {
    let bench = Bench()
    bench.program(7, 0xFFFF_FFFF, high: 0xFFFF_FFFF)
    #expect(bench.read(0x1E) == 0x1_AFFF)
    #expect(bench.read(0x1F) == 0xFF00_0000)
  }

  @Test func byteAccessesCarryTheirPart() {
    let bench = Bench()
    bench.program(5, 0x1_0042)
    bench.ioapic.writeMemory(0, width: .byte, value: 0x1A)
    #expect(bench.ioapic.readMemory(0x10, width: .byte) & 0xFF == 0x42)
    #expect(bench.ioapic.readMemory(0x12, width: .byte) & 0xFF == 0x01)
  }

  @Test func restoredChipTellsItsRoutes() throws {
    let bench = Bench()
    bench.program(9, 0x49 | level)
    bench.ioapic.setLine(9, asserted: true)
    let other = Bench()
    try other.ioapic.restore(bench.ioapic.save())
    #expect(other.routes[9]?.vector == 0x49)
    other.ioapic.endOfInterrupt(vector: 0x49)
    #expect(other.vectors == [0x49])
  }

  @Test func conforms() {
    var suite = DeviceConformance(
      make: { IOAPIC(deliver: { _ in }, routesChanged: { _ in }) },
      memories: { [($0, 4096)] })
    let count = Mutex(0)
    suite.between = { chip in
      let step = count.withLock { count in
        count += 1
        return count
      }
      chip.setLine(step % 26 - 1, asserted: step % 3 == 0)
      chip.endOfInterrupt(vector: UInt8(truncatingIfNeeded: step))
    }
    #expect(suite.violations(seed: 82093) == [])
  }
}

@Suite struct ISAInterruptsTests {
  @Test func wiresReachBothControllers() {
    let bench = Bench()
    let pair = I8259Pair { _ in }
    for (offset, value) in [(0, 0x11), (1, 0x08), (1, 0x04), (1, 0x01)] {
      pair.master.writePort(UInt16(offset), width: .byte, value: UInt32(value))
    }
    bench.program(2, 0x30)
    bench.program(1, 0x31)
    bench.program(17, 0x41)
    let wires = ISAInterrupts(pair: pair, ioapic: bench.ioapic)
    wires.line(0).pulse()
    #expect(bench.vectors == [0x30])
    #expect(pair.interruptPending && pair.acknowledge() == 0x08)
    wires.line(1).set(true)
    #expect(bench.vectors == [0x30, 0x31])
    wires.line(2).set(true)
    wires.line(17).set(true)
    #expect(bench.vectors == [0x30, 0x31, 0x41])
    wires.line(24).set(true)
    wires.line(-1).set(true)
    #expect(bench.vectors.count == 3)
  }
}
