import KVMEngine
import Testing

@testable import Machine

@Suite struct TimeBIOSTests {
  @Test func ticksAreReadAndOverflowCleared() throws {
    let fixture = try FirmwareFixture()
    fixture.call(0x1A) {
      $0.ah = 1
      $0.cx = 0x0012
      $0.dx = 0x3456
    }
    fixture.data.set(0x70, byte: 1)
    let call = fixture.call(0x1A) { $0.ah = 0 }.call
    #expect(call.cx == 0x12 && call.dx == 0x3456 && call.al == 1)
    #expect(fixture.call(0x1A) { $0.ah = 0 }.call.al == 0)
  }

  @Test func clockIsSetAndRead() throws {
    let fixture = try FirmwareFixture()
    fixture.call(0x1A) {
      $0.ah = 3
      $0.cx = 0x2359
      $0.dx = 0x5801
    }
    fixture.call(0x1A) {
      $0.ah = 5
      $0.cx = 0x2026
      $0.dx = 0x1122
    }
    let time = fixture.call(0x1A) { $0.ah = 2 }.call
    #expect(time.cx == 0x2359 && time.dx == 0x5801 && !time.carry)
    let date = fixture.call(0x1A) { $0.ah = 4 }.call
    #expect(date.cx == 0x2026 && date.dx == 0x1122 && !date.carry)
    #expect(fixture.ports.state.withLock { $0.cmos[0x0B] } & 0x80 == 0)
  }

  @Test func clockThatNeverSettlesIsAnError() throws {
    let fixture = try FirmwareFixture()
    fixture.ports.state.withLock { $0.cmos[0x0A] = 0x80 }
    #expect(fixture.call(0x1A) { $0.ah = 2 }.call.carry)
  }

  @Test func alarmIsSetOnce() throws {
    let fixture = try FirmwareFixture()
    func set() -> Bool {
      fixture.call(0x1A) {
        $0.ah = 6
        $0.cx = 0x0615
      }.call.carry
    }
    #expect(!set())
    #expect(fixture.ports.state.withLock { $0.cmos[5] } == 0x06)
    #expect(fixture.ports.state.withLock { $0.cmos[0x0B] } & 0x20 != 0)
    #expect(set())
    fixture.call(0x1A) { $0.ah = 7 }
    #expect(!set())
  }

}

@Suite struct SerialPrinterBIOSTests {
  @Test func characterGoesOut() throws {
    let fixture = try FirmwareFixture()
    fixture.ports.state.withLock { $0.latches[0x3FD] = 0x60 }
    let call = fixture.call(0x14) {
      $0.ah = 1
      $0.al = 0x41
    }.call
    #expect(call.ah == 0x60 && fixture.ports.writes(to: 0x3F8).last == 0x41)
  }

  @Test func initializingSetsRateAndFormat() throws {
    let fixture = try FirmwareFixture()
    fixture.call(0x14) {
      $0.ah = 0
      $0.al = 0xE3
    }
    #expect(fixture.ports.writes(to: 0x3F8).last == 12)
    #expect(fixture.ports.writes(to: 0x3FB) == [0x80, 0x03])
  }

  @Test func receiveTimesOut() throws {
    let fixture = try FirmwareFixture()
    fixture.ports.state.withLock { $0.latches[0x3FD] = 0x60 }
    func receive() -> FirmwareFixture.Result { fixture.call(0x14) { $0.ah = 2 } }
    var waits = 0
    var result = receive()
    while result.outcome == .wait && waits < 100 {
      waits += 1
      fixture.clock.advance(55_000_000)
      result = receive()
    }
    #expect(result.call.ah & 0x80 != 0)
    #expect(waits == 19)  // 1 s of timer ticks
  }

  @Test func receivedByteComes() throws {
    let fixture = try FirmwareFixture()
    fixture.ports.state.withLock {
      $0.latches[0x3FD] = 0x61
      $0.latches[0x3F8] = 0x42
    }
    let call = fixture.call(0x14) { $0.ah = 2 }.call
    #expect(call.al == 0x42 && call.ah == 0)
  }

  @Test func absentPortsTimeOut() throws {
    let fixture = try FirmwareFixture()
    #expect(
      fixture.call(0x14) {
        $0.ah = 3; $0.dx = 1
      }.call.ah == 0x80)
    #expect(fixture.call(0x17) { $0.ah = 2 }.call.ah == 0x01)
    #expect(
      fixture.call(0x17) {
        $0.ah = 2; $0.dx = 0xFFFF
      }.outcome == .done)
  }
}
