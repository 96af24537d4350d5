import KVMEngine
import Testing

@testable import Machine

@Suite struct SystemBIOSTests {
  private func ranges(
    _ fixture: FirmwareFixture, size: UInt32 = 20
  ) -> [MemoryRange] {
    var result: [MemoryRange] = []
    var next: UInt32 = 0
    repeat {
      let call = fixture.call(0x15) {
        $0.eax = 0xE820
        $0.edx = 0x534D_4150
        $0.ecx = size
        $0.ebx = next
        $0.setES(0x2000)
        $0.di = 0x10
      }.call
      guard !call.carry, call.eax == 0x534D_4150, call.ecx == size else { return result }
      let kind = MemoryRange.Kind(rawValue: fixture.space.load(0x20020, as: UInt32.self))
      result.append(
        MemoryRange(
          start: fixture.space.load(0x20010, as: UInt64.self),
          length: fixture.space.load(0x20018, as: UInt64.self), kind: kind ?? .reserved))
      next = call.ebx
    } while next != 0 && result.count < 100
    return result
  }

  @Test func memoryMapCoversRAMWithoutOverlap() throws {
    let configuration = FirmwareConfiguration(ramBelow4G: 3 << 30, ramAbove4G: 5 << 30)
    let fixture = try FirmwareFixture(configuration: configuration)
    let map = ranges(fixture)
    #expect(map == configuration.memoryMap)
    #expect(map == ranges(fixture, size: 24))
    #expect(fixture.space.load(0x20024, as: UInt32.self) == 1)
    for (lower, upper) in zip(map, map.dropFirst()) {
      #expect(lower.start + lower.length <= upper.start)
    }
    let usable = map.filter { $0.kind == .usable }
    #expect(usable.map(\.start) == [0, 1 << 20, 1 << 32])
    let lengths: [UInt64] = [0x9FC00, 0xBFF0_0000, 0x1_4000_0000]
    #expect(usable.map(\.length) == lengths)
  }

  @Test func memoryMapRefusesBadCalls() throws {
    let fixture = try FirmwareFixture()
    func call(_ index: UInt32, _ signature: UInt32, _ size: UInt32) -> FirmwareCall {
      fixture.call(0x15) {
        $0.eax = 0xE820
        $0.ebx = index
        $0.edx = signature
        $0.ecx = size
      }.call
    }
    #expect(call(0, 0x534D_4150, 20).carry == false)
    #expect(call(0, 0x534D_4151, 20).carry)
    #expect(call(0, 0x534D_4150, 19).carry)
    #expect(call(99, 0x534D_4150, 20).carry)
    #expect(call(.max, 0x534D_4150, 20).ah == 0x86)
  }

  @Test func olderMemoryCallsAgree() throws {
    let configuration = FirmwareConfiguration(ramBelow4G: 256 << 20)
    let fixture = try FirmwareFixture(configuration: configuration)
    #expect(fixture.call(0x15) { $0.ah = 0x88 }.call.ax == 0xFC00)
    let e801 = fixture.call(0x15) { $0.ax = 0xE801 }.call
    #expect(e801.ax == 0x3C00 && e801.bx == 240 * 16 && e801.cx == e801.ax && e801.dx == e801.bx)
    let small = try FirmwareFixture(configuration: FirmwareConfiguration(ramBelow4G: 8 << 20))
    #expect(small.call(0x15) { $0.ah = 0x88 }.call.ax == 7 * 1024)
    #expect(small.call(0x15) { $0.ax = 0xE801 }.call.bx == 0)
  }

  @Test func blockMoveCopiesExtendedMemory() throws {
    let fixture = try FirmwareFixture()
    fixture.space.write(0x110000, bytes: [1, 2, 3, 4, 5, 6])
    fixture.space.store(UInt64(0x0000_9311_0000_FFFF), at: 0x30010)
    fixture.space.store(UInt64(0x0100_9300_1000_FFFF), at: 0x30018)
    let call = fixture.call(0x15) {
      $0.ah = 0x87
      $0.cx = 2
      $0.setES(0x3000)
      $0.si = 0
    }.call
    #expect(!call.carry && call.ah == 0)
    #expect(fixture.space.bytes(at: 0x0100_1000, count: 6) == [1, 2, 3, 4, 0, 0])
    let long = fixture.call(0x15) {
      $0.ah = 0x87
      $0.cx = 0x8001
      $0.setES(0x3000)
    }.call
    #expect(long.carry && long.ah == 2)
  }

  @Test func a20GoesThroughPort92() throws {
    let fixture = try FirmwareFixture()
    fixture.call(0x15) { $0.ax = 0x2400 }
    #expect(fixture.ports.writes(to: 0x92).last == 0x00)
    #expect(fixture.call(0x15) { $0.ax = 0x2402 }.call.al == 0)
    fixture.call(0x15) { $0.ax = 0x2401 }
    #expect(fixture.ports.writes(to: 0x92).last == 0x02)
    #expect(fixture.call(0x15) { $0.ax = 0x2402 }.call.al == 1)
    #expect(fixture.call(0x15) { $0.ax = 0x2403 }.call.bx == 3)
    #expect(fixture.call(0x15) { $0.ax = 0x2404 }.call.carry)
  }

  @Test func waitLastsExactlyAsLongAsAsked() throws {
    let fixture = try FirmwareFixture()
    func wait() -> FirmwareFixture.Result {
      fixture.call(0x15) {
        $0.ah = 0x86
        $0.cx = 0
        $0.dx = 10_000
      }
    }
    let start = fixture.clock.now()
    #expect(wait().outcome == .wait)
    #expect(fixture.ports.state.withLock { $0.cmos[0x0B] } & 0x40 != 0)
    #expect(fixture.ports.writes(to: 0xA1).last.map { $0 & 1 } == 0)
    var outcome = FirmwareOutcome.wait
    while outcome == .wait {
      fixture.clock.advance(976_562)
      outcome = wait().outcome
    }
    #expect(fixture.clock.now() - start == 10_000_000)
    #expect(fixture.ports.state.withLock { $0.cmos[0x0B] } & 0x40 == 0)
    #expect(fixture.data.byte(0xA0) == 0)
  }

  @Test func shortWaitIsSlept() throws {
    let fixture = try FirmwareFixture()
    let start = fixture.clock.now()
    let result = fixture.call(0x15) {
      $0.ah = 0x86
      $0.dx = 250
    }
    #expect(result.outcome == .done && !result.call.carry)
    #expect(fixture.clock.now() - start == 250_000)
  }

  @Test func secondWaiterIsRefused() throws {
    let fixture = try FirmwareFixture()
    let first = fixture.call(0x15) {
      $0.ax = 0x8300
      $0.cx = 1
      $0.setES(0x2000)
      $0.bx = 4
    }.call
    #expect(!first.carry)
    #expect(fixture.data.dword(0x98) == 0x2000_0004 && fixture.data.dword(0x9C) == 0x10000)
    #expect(fixture.call(0x15) { $0.ax = 0x8300 }.call.carry)
    #expect(
      fixture.call(0x15) {
        $0.ah = 0x86; $0.cx = 1
      }.call.carry)
    fixture.call(0x15) { $0.ax = 0x8301 }
    #expect(!fixture.call(0x15) { $0.ax = 0x8300 }.call.carry)
  }

  @Test func abandonedWaitDoesNotShortenTheNext() throws {
    let fixture = try FirmwareFixture()
    func wait() -> FirmwareOutcome {
      fixture.call(0x15) {
        $0.ah = 0x86
        $0.cx = 0x10
      }.outcome
    }
    #expect(wait() == .wait)
    fixture.data.set(0xA0, byte: 0)  // INT 70h counted it out meanwhile
    fixture.clock.advance(5_000_000_000)
    #expect(wait() == .wait)
  }

  @Test func configurationTableIsFound() throws {
    let call = try FirmwareFixture().call(0x15) { $0.ah = 0xC0 }.call
    #expect(call.es == 0xF000 && call.bx == 0xE6F5 && !call.carry && call.ah == 0)
    #expect(call.memory.load(0xFE6F5, as: UInt16.self) == 8)
  }

  @Test func extendedDataAreaIsFound() throws {
    let call = try FirmwareFixture().call(0x15) { $0.ah = 0xC1 }.call
    #expect(call.es == 0x9FC0 && !call.carry)
  }

  @Test func unknownFunctionsFail() throws {
    let fixture = try FirmwareFixture()
    for function: UInt8 in [0x00, 0x54, 0x84, 0xD8, 0xFF] {
      let call = fixture.call(0x15) { $0.ah = function }.call
      #expect(call.carry && call.ah == 0x86)
    }
    #expect(!fixture.call(0x15, flags: 0x0203) { $0.ah = 0x90 }.call.carry)
  }

  @Test func protectedModeGetsItsControllersAndCodeSegment() throws {
    let fixture = try FirmwareFixture()
    fixture.call(0xF5) {
      $0.bx = 0x2028
      $0.setES(0x3000)
    }
    #expect(fixture.ports.writes(to: 0x21).suffix(4) == [0x20, 0x04, 0x01, 0xFF])
    #expect(fixture.ports.writes(to: 0xA1).suffix(4) == [0x28, 0x02, 0x01, 0xFF])
    #expect(fixture.space.load(0x30038, as: UInt64.self) == 0x0000_9B0F_0000_FFFF)
  }
}

@Suite struct PointerBIOSTests {
  private func c2(
    _ fixture: FirmwareFixture, _ function: UInt8, bh: UInt8 = 0
  ) -> FirmwareCall {
    fixture.call(0x15) {
      $0.ah = 0xC2
      $0.al = function
      $0.bh = bh
    }.call
  }

  private func setHandler(_ fixture: FirmwareFixture) {
    fixture.call(0x15) {
      $0.ax = 0xC207
      $0.setES(0x3000)
      $0.bx = 0x0100
    }
  }

  @Test func resetTellsTheDevice() throws {
    let fixture = try FirmwareFixture()
    let call = c2(fixture, 0x01)
    #expect(!call.carry && call.ah == 0 && call.bl == 0xAA && call.bh == 0)
  }

  @Test func statusHasThreeBytes() throws {
    let call = c2(try FirmwareFixture(), 0x06)
    #expect(call.bl == 0x20 && call.cl == 0x02 && call.dl == 0x64)
  }

  @Test func enablingNeedsAHandler() throws {
    let fixture = try FirmwareFixture()
    #expect(c2(fixture, 0x00, bh: 1).ah == 5)
    setHandler(fixture)
    #expect(fixture.space.load(0x9FC22, as: UInt32.self) == 0x3000_0100)
    #expect(c2(fixture, 0x00, bh: 1).ah == 0)
    #expect(fixture.ports.writes(to: 0x60).contains(0xF4))
    #expect(fixture.ports.state.withLock { $0.commandByte } & 0x33 == 0x03)
    #expect(fixture.ports.writes(to: 0xA1).last.map { $0 & 0x10 } == 0)
  }

  @Test func invalidInputIsNamed() throws {
    let fixture = try FirmwareFixture()
    #expect(c2(fixture, 0x02, bh: 7).ah == 2)
    #expect(c2(fixture, 0x05, bh: 9).ah == 2)
    #expect(c2(fixture, 0x77).ah == 1 && c2(fixture, 0x77).carry)
  }

  @Test func silentDeviceIsAnInterfaceError() throws {
    let fixture = try FirmwareFixture()
    fixture.ports.state.withLock { $0.hasController = false }
    #expect(c2(fixture, 0x01).ah == 3)
  }

  @Test func keystrokeInTheWayIsNotLost() throws {
    let fixture = try FirmwareFixture()
    fixture.ports.state.withLock { $0.output = [(0x1E, false)] }
    #expect(c2(fixture, 0x01).ah == 0)
    #expect(fixture.key() == 0x1E61)
  }

  @Test func packetReachesTheHandler() throws {
    let fixture = try FirmwareFixture()
    setHandler(fixture)
    var call = fixture.call(0xF2).call
    #expect(call.ax == 0)
    for byte: UInt8 in [0x09, 0x05] {
      fixture.ports.state.withLock { $0.output = [(byte, true)] }
      #expect(fixture.call(0xF2).call.ax == 0)
    }
    fixture.ports.state.withLock { $0.output = [(0xFD, true)] }
    call = fixture.call(0xF2) { $0.si = 0x7777 }.call
    #expect(call.ax == 1 && call.bx == 0x09 && call.cx == 0x05 && call.dx == 0xFD && call.si == 0)
  }

  @Test func keyboardByteIsLeftToTheKeyboard() throws {
    let fixture = try FirmwareFixture()
    setHandler(fixture)
    fixture.ports.state.withLock { $0.output = [(0x1E, false)] }
    #expect(fixture.call(0xF2).call.ax == 0)
    #expect(fixture.ports.state.withLock { $0.output.count } == 1)
  }
}
