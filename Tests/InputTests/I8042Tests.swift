import DeviceTestKit
import Input
import KVMEngine
import Testing

@Suite struct I8042Tests {
  @Test func selfTestAnswers55AndSetsTheSystemFlag() {
    let guest = GuestHost(commandByte: nil)
    #expect(guest.status & 0x04 == 0)
    guest.command(0xAA)
    #expect(guest.drain() == [0x55])
    #expect(guest.status & 0x04 != 0)
  }

  @Test func interfaceTestsPass() {
    let guest = GuestHost()
    for command in [UInt8(0xAB), 0xA9] {
      guest.command(command)
      #expect(guest.drain() == [0x00])
    }
  }

  @Test func noPasswordIsInstalledAndLoadingOneSwallowsItsBytes() {
    let guest = GuestHost()
    guest.command(0xA4)
    #expect(guest.drain() == [0xF1])
    guest.command(0xA5)
    for byte in [UInt8(0x1E), 0x30, 0x00] { guest.write(byte) }
    #expect(guest.drain() == [])
    guest.write(0xEE)
    #expect(guest.drain() == [0xEE])
  }

  @Test func memoryIsWrittenAndRead() {
    let guest = GuestHost()
    for index in UInt8(1)..<32 {
      guest.command(0x60 + index)
      guest.write(index &* 7)
    }
    for index in UInt8(1)..<32 {
      guest.command(0x20 + index)
      #expect(guest.drain() == [index &* 7])
    }
  }

  @Test func commandByteEnablesAndDisables() {
    let guest = GuestHost(commandByte: 0x44)
    guest.command(0xAD)
    guest.command(0xA7)
    guest.command(0x20)
    #expect(guest.drain() == [0x74])
    guest.command(0xAE)
    guest.command(0xA8)
    guest.command(0x20)
    #expect(guest.drain() == [0x44])
  }

  @Test func statusTellsCommandFromData() {
    let guest = GuestHost()
    guest.command(0xA8)
    #expect(guest.status & 0x08 != 0)
    guest.write(0xEE)
    #expect(guest.status & 0x08 == 0)
    #expect(guest.status & 0x01 != 0)
    #expect(guest.status & 0x20 == 0)
  }

  @Test func outputPortDrivesA20AndReset() {
    let guest = GuestHost()
    guest.command(0xD1)
    guest.write(0xDD)
    #expect(guest.recorder.a20 == [false])
    guest.command(0xD0)
    #expect(guest.drain()[0] & 0x03 == 0x01)
    guest.command(0xDF)
    guest.command(0xDD)
    #expect(guest.recorder.a20 == [false, true, false])
    #expect(guest.recorder.resets == 0)
    guest.command(0xD1)
    guest.write(0xDE)
    #expect(guest.recorder.resets == 1)
    guest.command(0xFE)
    #expect(guest.recorder.resets == 2)
    guest.command(0xFF)
    #expect(guest.recorder.resets == 2)
  }

  @Test func inputPortIsReadAndPolled() {
    let guest = GuestHost()
    guest.command(0xC0)
    let port = guest.drain()[0]
    #expect(port & 0xA0 == 0xA0)
    guest.command(0xC2)
    #expect(guest.status & 0xF0 == port & 0xF0)
    guest.command(0xC1)
    #expect(guest.status & 0xF0 == port << 4)
    guest.command(0xE0)
    #expect(guest.drain() == [0x03])
  }

  @Test func bytesCanBeMadeUpAsIfFromADevice() {
    let guest = GuestHost(commandByte: 0x03)
    guest.command(0xD2)
    guest.write(0x1C)
    #expect(guest.status & 0x21 == 0x01)
    #expect(guest.lines.level(1))
    #expect(guest.read() == 0x1C)
    guest.command(0xD3)
    guest.write(0x5A)
    #expect(guest.status & 0x21 == 0x21)
    #expect(guest.lines.level(12))
    #expect(guest.read() == 0x5A)
    #expect(!guest.lines.level(12))
  }

  // MARK: Interrupts and the cable

  @Test func everyByteGivesOneEdge() {
    let guest = GuestHost(commandByte: 0x41)
    guest.press(.up)
    #expect(guest.lines.level(1))
    #expect(guest.lines.risingEdges(1) == 1)
    #expect(guest.read() == 0xE0)
    #expect(!guest.lines.level(1))
    #expect(guest.status & 1 == 0)
    guest.clock.advance(700_000)
    #expect(guest.lines.risingEdges(1) == 2)
    #expect(guest.read() == 0x48)
    guest.clock.advance(10_000_000)
    #expect(!guest.lines.level(1))
    #expect(guest.lines.risingEdges(1) == 2)
  }

  @Test func aChainedHandlerReadsTheSameByte() {
    let guest = GuestHost(commandByte: 0x41)
    guest.press(.a)
    guest.press(.b)
    #expect(guest.read() == 0x1E)
    #expect(guest.read() == 0x1E)
    guest.clock.advance(700_000)
    #expect(guest.read() == 0x30)
  }

  @Test func aHostThatPollsNeedNotWait() {
    let guest = GuestHost(commandByte: 0x40)
    guest.press(.a, .b, .c)
    var bytes: [UInt8] = []
    while guest.status & 1 != 0 { bytes.append(guest.read()) }
    #expect(bytes == [0x1E, 0x30, 0x2E])
    #expect(guest.lines.risingEdges(1) == 0)
  }

  @Test func readingTheStatusBringsWhatIsDue() {
    let host = GuestHost(commandByte: 0x41)
    host.press(.a, .b)
    _ = host.read()
    #expect(host.status & 1 == 0)
    host.clock.advance(659_999)
    #expect(host.status & 1 == 0)
    host.clock.advance(1)
    #expect(host.status & 1 == 1)
  }

  @Test func enablingTheInterruptRaisesItForAByteThatWaits() {
    let guest = GuestHost(commandByte: 0x40)
    guest.press(.a)
    #expect(!guest.lines.level(1))
    guest.setCommandByte(0x41)
    #expect(guest.lines.level(1))
  }

  @Test func bytesStayInTheDeviceWhileItsInterfaceIsDisabled() {
    let guest = GuestHost(commandByte: 0x41)
    guest.command(0xAD)
    guest.press(.a)
    guest.clock.advance(50_000_000)
    #expect(guest.status & 1 == 0)
    guest.command(0xAE)
    #expect(guest.lines.level(1))
    #expect(guest.read() == 0x1E)
  }

  @Test func anAnswerWaitsBehindTheByteInTheBuffer() {
    let guest = GuestHost(commandByte: 0x40)
    guest.press(.a)
    guest.command(0x20)
    #expect(guest.read() == 0x1E)
    #expect(guest.read() == 0x40)
  }

  @Test func aCommandToADisabledKeyboardEnablesIt() {
    let guest = GuestHost(commandByte: 0x50)
    guest.write(0xEE)
    #expect(guest.drain() == [0xEE])
    guest.command(0x20)
    #expect(guest.drain() == [0x40])
  }

  @Test func anAnswerDoesNotInterruptWhileTheKeyboardIsDisabled() {
    let guest = GuestHost(commandByte: 0x41)
    guest.command(0xAD)
    guest.command(0x20)
    #expect(guest.status & 1 == 1)
    #expect(!guest.lines.level(1))
    #expect(guest.read() == 0x51)
  }

  @Test func mouseAndKeyboardShareTheBufferByTurns() {
    let guest = GuestHost(commandByte: 0x00)
    guest.mouseCommand(0xF4)
    #expect(guest.drain() == [0xFA])
    guest.press(.a, .b, .c)
    guest.controller.moveMouse(right: 5, down: -2, wheel: 0, buttons: [.left])
    var keyboard: [UInt8] = []
    var mouse: [UInt8] = []
    for _ in 0..<6 {
      let fromMouse = guest.status & 0x20 != 0
      if fromMouse { mouse.append(guest.read()) } else { keyboard.append(guest.read()) }
    }
    #expect(keyboard == [0x1C, 0x32, 0x21])
    #expect(mouse == [0x08, 5, 2])
  }

  @Test func aGuestThatNeverReadsAnswersLosesNothingElse() {
    let guest = GuestHost(commandByte: 0x40)
    for _ in 0..<1000 { guest.command(0x20) }
    guest.press(.a)
    let bytes = guest.drain()
    #expect(bytes.count <= 20)
    #expect(bytes.last == 0x1E)
  }

  // MARK: State

  @Test func resetDropsWhatWaitsAndLowersTheLines() {
    let guest = GuestHost(commandByte: 0x43)
    guest.press(.a)
    #expect(guest.lines.level(1))
    guest.controller.reset()
    #expect(!guest.lines.level(1))
    #expect(guest.status & 1 == 0)
    #expect(guest.recorder.a20 == [true])
    guest.command(0x20)
    #expect(guest.drain() == [0x70])
  }

  @Test func restoreGoesOnWhereTheOtherStopped() throws {
    let guest = GuestHost(commandByte: 0x41)
    guest.press(.up)
    #expect(guest.read() == 0xE0)
    let other = GuestHost(commandByte: nil)
    other.clock.advance(123_456_789_000)
    try other.controller.restore(guest.controller.save())
    #expect(other.controller.save() == guest.controller.save())
    #expect(other.status & 1 == 0)
    other.clock.advance(700_000)
    #expect(other.lines.level(1))
    #expect(other.read() == 0x48)
    // The key is still down and repeats half a second after it was pressed.
    other.clock.advance(700_000_000)
    #expect(other.lines.level(1))
  }

  @Test func theControllerConforms() {
    let clock = ManualClock()
    let lines = LineRecorder()
    var random = SplitMix64(seed: 7)
    var suite = DeviceConformance(
      make: {
        I8042(
          clock: clock, irq1: lines.line(1), irq12: lines.line(12),
          outputs: I8042.Outputs(a20Changed: { _ in }, resetRequested: {}))
      },
      ports: { [($0.dataPort, 0x60...0x60), ($0.commandPort, 0x64...0x64)] })
    suite.between = { device in
      let keys = PhysicalKey.allCases
      let value = random.next()
      let key = keys[Int(value % UInt64(keys.count))]
      device.strokes([KeyStroke(key, pressed: value & 1 << 40 != 0)])
      device.moveMouse(
        right: Int(value >> 8 & 0x3FF) - 512, down: Int(value >> 20 & 0x3FF) - 512,
        wheel: Int(value >> 30 & 3) - 1, buttons: MouseButtons(rawValue: UInt8(value >> 50 & 31)))
      if value & 7 == 0 { clock.advance(value >> 36 & 0xFFFFFF) }
    }
    #expect(suite.violations(seed: 42) == [])
  }
}
