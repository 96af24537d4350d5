import KVMEngine
import Testing

@testable import Machine

/// INT 15h AH=53h.
@Suite struct PowerBIOSTests {
  private func call(
    _ fixture: FirmwareFixture, _ function: UInt8, bx: UInt16 = 0, cx: UInt16 = 0
  ) -> FirmwareCall {
    fixture.call(0x15) {
      $0.ax = 0x5300 | UInt16(function)
      $0.bx = bx
      $0.cx = cx
    }.call
  }

  @Test func itIsThereWithoutProtectedModeInterfaces() throws {
    let fixture = try FirmwareFixture()
    let check = call(fixture, 0x00)
    #expect(!check.carry && check.ax == 0x0102 && check.bx == 0x504D && check.cx == 4)
    #expect(call(fixture, 0x00, bx: 1).ah == 0x09)
    #expect(call(fixture, 0x02).carry && call(fixture, 0x02).ah == 0x06)
    #expect(call(fixture, 0x03).ah == 0x08)
  }

  @Test func functionsNeedAConnection() throws {
    let fixture = try FirmwareFixture()
    let refused = call(fixture, 0x05)
    #expect(refused.carry && refused.ah == 0x03)
    #expect(!call(fixture, 0x01).carry)
    #expect(call(fixture, 0x01).ah == 0x02, "connected already")
    #expect(!call(fixture, 0x05).carry && !call(fixture, 0x06).carry)
    let version = call(fixture, 0x0E, cx: 0x0101)
    #expect(!version.carry && version.ax == 0x0101)
    #expect(call(fixture, 0x0E, cx: 0x0105).ax == 0x0102, "the lower of both")
    let power = call(fixture, 0x0A, bx: 1)
    #expect(power.bx == 0x01FF && power.cx == 0x80FF && power.dx == 0xFFFF)
    #expect(call(fixture, 0x0B).ah == 0x80, "no event")
    #expect(call(fixture, 0x55).ah == 0x0A)
    #expect(!call(fixture, 0x04).carry)
    #expect(call(fixture, 0x0A, bx: 1).ah == 0x03)
  }

  @Test func powerOffGoesThroughTheChipset() throws {
    let fixture = try FirmwareFixture()
    _ = call(fixture, 0x01)
    #expect(call(fixture, 0x07, bx: 1, cx: 2).ah == 0x60, "there is no suspend")
    #expect(fixture.ports.writes(to: 0x605) == [])
    #expect(!call(fixture, 0x07, bx: 1, cx: 3).carry)
    #expect(fixture.ports.writes(to: 0x605) == [0x20])
  }
}
