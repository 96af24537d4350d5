import DeviceTestKit
import KVMEngine
import Testing

@testable import Machine

struct HPETTests {
  private let clock = ManualClock()
  private let lines = LineRecorder()
  private let legacy: LegacyReplacement

  init() { legacy = LegacyReplacement(timer: lines.line(0), clock: lines.line(8)) }

  private func make() -> HPET {
    HPET(clock: clock, wire: { [lines] in lines.line($0) }, legacy: legacy)
  }

  private func timer(_ index: UInt64, _ register: UInt64 = 0) -> UInt64 {
    0x100 + index * 0x20 + register
  }

  @Test func capabilitiesTellTheChip() {
    let chip = make()
    #expect(chip.readMemory(0, width: .dword) & 0xFFFF_FFFF == 0x8086_A201)
    #expect(chip.readMemory(4, width: .dword) == 10_000_000)
    // Periodic, 64 bits, wires 16 to 23.
    #expect(chip.readMemory(timer(2), width: .qword) == 0x00FF_0000_0000_0030)
  }

  @Test func counterRunsWhileItIsEnabledAndKeepsItsCountOtherwise() {
    let chip = make()
    clock.advance(1_000)
    #expect(chip.readMemory(0xF0, width: .qword) == 0)
    chip.writeMemory(0x10, width: .dword, value: 1)
    clock.advance(1_000)
    #expect(chip.readMemory(0xF0, width: .qword) == 100)
    chip.writeMemory(0x10, width: .dword, value: 0)
    clock.advance(1_000)
    #expect(chip.readMemory(0xF0, width: .qword) == 100)
    chip.writeMemory(0xF0, width: .qword, value: 0xFFFF_FFFF)
    chip.writeMemory(0x10, width: .dword, value: 1)
    clock.advance(10)
    #expect(chip.readMemory(0xF4, width: .dword) == 1)
  }

  @Test func oneShotEdgeFiresOnce() {
    let chip = make()
    chip.writeMemory(timer(2), width: .dword, value: 16 << 9 | 4)
    chip.writeMemory(timer(2, 8), width: .qword, value: 1_000)
    chip.writeMemory(0x10, width: .dword, value: 1)
    clock.advance(9_990)
    #expect(lines.risingEdges(16) == 0)
    clock.advance(10)
    #expect(lines.risingEdges(16) == 1)
    clock.advance(1_000_000)
    #expect(lines.risingEdges(16) == 1)
    #expect(chip.readMemory(0x20, width: .dword) == 0)
  }

  @Test func periodicTimerKeepsItsRhythm() {
    let chip = make()
    chip.writeMemory(timer(1), width: .dword, value: 17 << 9 | 0x40 | 8 | 4)
    chip.writeMemory(timer(1, 8), width: .qword, value: 1_000)
    chip.writeMemory(timer(1, 8), width: .qword, value: 500)
    chip.writeMemory(0x10, width: .dword, value: 1)
    clock.advance(10_000)
    #expect(lines.risingEdges(17) == 1)
    clock.advance(50_000)
    #expect(lines.risingEdges(17) == 11)
    #expect(chip.readMemory(timer(1, 8), width: .qword) == 6_500)
  }

  @Test func levelStaysUntilItsStatusIsCleared() {
    let chip = make()
    chip.writeMemory(timer(0), width: .dword, value: 18 << 9 | 4 | 2)
    chip.writeMemory(timer(0, 8), width: .qword, value: 100)
    chip.writeMemory(0x10, width: .dword, value: 1)
    clock.advance(5_000)
    #expect(lines.level(18))
    #expect(chip.readMemory(0x20, width: .dword) == 1)
    chip.writeMemory(0x20, width: .dword, value: 1)
    #expect(!lines.level(18))
  }

  @Test func timersReplaceTheOldInterrupts() {
    let chip = make()
    legacy.timer.set(true)
    #expect(lines.level(0))
    chip.writeMemory(timer(0), width: .dword, value: 4)
    chip.writeMemory(timer(0, 8), width: .qword, value: 100)
    chip.writeMemory(0x10, width: .dword, value: 3)
    #expect(!lines.level(0))
    let before = lines.risingEdges(0)
    legacy.timer.set(false)
    legacy.timer.set(true)
    #expect(lines.risingEdges(0) == before)
    clock.advance(1_000)
    #expect(lines.risingEdges(0) == before + 1)
    chip.writeMemory(0x10, width: .dword, value: 1)
    #expect(lines.level(0))
  }

  @Test func shortTimersIgnoreTheUpperHalf() {
    let chip = make()
    chip.writeMemory(0xF0, width: .qword, value: 0x5_FFFF_FF00)
    chip.writeMemory(timer(2), width: .dword, value: 16 << 9 | 0x100 | 4)
    chip.writeMemory(timer(2, 8), width: .qword, value: 0x10)
    chip.writeMemory(0x10, width: .dword, value: 1)
    clock.advance(0x10F * 10)
    #expect(lines.risingEdges(16) == 0)
    clock.advance(10)
    #expect(lines.risingEdges(16) == 1)
  }

  @Test func conforms() {
    var conformance = DeviceConformance(make: make, memories: { [($0, 1024)] })
    conformance.between = { [clock] _ in clock.advance(777) }
    #expect(conformance.violations(seed: 5) == [])
  }
}
