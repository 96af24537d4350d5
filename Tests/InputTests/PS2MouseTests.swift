import DeviceTestKit
import Input
import KVMEngine
import Testing

@Suite struct PS2MouseTests {
  private func enabledMouse(knock: [UInt8] = []) -> GuestHost {
    let guest = GuestHost()
    for rate in knock {
      guest.mouseCommand(0xF3)
      guest.mouseCommand(rate)
    }
    guest.mouseCommand(0xF3)
    guest.mouseCommand(100)
    guest.mouseCommand(0xF4)
    let answers = guest.drain()
    #expect(answers.allSatisfy { $0 == 0xFA })
    return guest
  }

  private func send(_ bytes: [UInt8], to guest: GuestHost) -> [UInt8] {
    for byte in bytes { guest.mouseCommand(byte) }
    return guest.drain()
  }

  private struct Packet: Equatable {
    var x = 0
    var y = 0
    var buttons: UInt8 = 0
  }

  private func packets(_ bytes: [UInt8]) -> [Packet] {
    stride(from: 0, to: bytes.count - 2, by: 3).map { start in
      let first = bytes[start]
      #expect(first & 0xC8 == 0x08, "no overflow, and bit 3 set")
      return Packet(
        x: Int(bytes[start + 1]) - (first & 0x10 != 0 ? 256 : 0),
        y: Int(bytes[start + 2]) - (first & 0x20 != 0 ? 256 : 0), buttons: first & 7)
    }
  }

  @Test func commandsAreAnswered() {
    let guest = GuestHost()
    #expect(send([0xFF], to: guest) == [0xFA, 0xAA, 0x00])
    #expect(send([0xF2], to: guest) == [0xFA, 0x00])
    #expect(send([0xE8, 0x03], to: guest) == [0xFA, 0xFA])
    #expect(send([0xF3, 0x28], to: guest) == [0xFA, 0xFA])
    #expect(send([0xE7], to: guest) == [0xFA])
    #expect(send([0xF4], to: guest) == [0xFA])
    #expect(send([0xE9], to: guest) == [0xFA, 0x30, 0x03, 0x28])
    #expect(send([0xFE], to: guest) == [0xFA, 0x30, 0x03, 0x28])
    #expect(send([0xF6], to: guest) == [0xFA])
    #expect(send([0xE9], to: guest) == [0xFA, 0x00, 0x02, 0x64])
    #expect(send([0x42], to: guest) == [0xFE])
    #expect(send([0x42], to: guest) == [0xFC])
    #expect(send([0xE8, 0x04], to: guest) == [0xFA, 0xFE])
    #expect(send([0xF5], to: guest) == [0xFA])
  }

  @Test func wrapModeEchoes() {
    let guest = GuestHost()
    #expect(send([0xEE], to: guest) == [0xFA])
    #expect(send([0xF4, 0x12, 0xF2], to: guest) == [0xF4, 0x12, 0xF2])
    #expect(send([0xEC, 0xF2], to: guest) == [0xFA, 0xFA, 0x00])
  }

  @Test func statusShowsButtons() {
    let guest = enabledMouse()
    guest.controller.moveMouse(right: 0, down: 0, wheel: 0, buttons: [.right, .left])
    _ = guest.drain()
    #expect(send([0xE9], to: guest) == [0xFA, 0x25, 0x02, 0x64])
  }

  @Test func nothingIsReportedBeforeItIsEnabled() {
    let guest = GuestHost()
    guest.controller.moveMouse(right: 9, down: 9, wheel: 1, buttons: [.left])
    #expect(guest.drain() == [])
    _ = send([0xF4], to: guest)
    guest.controller.moveMouse(right: 1, down: 0, wheel: 0, buttons: [.left])
    #expect(guest.drain() == [0x09, 1, 0])
  }

  @Test func aMovementIsReportedAtOnceWithIRQ12() {
    let guest = enabledMouse()
    guest.setCommandByte(0x02)
    guest.clock.advance(20_000_000)
    guest.controller.moveMouse(right: 3, down: 4, wheel: 0, buttons: [])
    #expect(guest.lines.level(12))
    #expect(guest.status & 0x21 == 0x21)
    #expect(guest.drain() == [0x28, 3, 0xFC])
    #expect(guest.lines.risingEdges(12) == 3)
  }

  @Test func movementCollectsBetweenSamples() {
    let guest = enabledMouse()
    guest.clock.advance(20_000_000)
    for _ in 0..<10 { guest.controller.moveMouse(right: 2, down: 1, wheel: 0, buttons: []) }
    #expect(packets(guest.drain(waiting: 0)) == [Packet(x: 2, y: -1)])
    guest.clock.advance(9_000_000)
    #expect(guest.drain(waiting: 0) == [])
    guest.clock.advance(2_000_000)
    #expect(packets(guest.drain(waiting: 0)) == [Packet(x: 18, y: -9)])
  }

  @Test func theSampleRateIsKept() {
    let guest = enabledMouse()
    _ = send([0xF3, 200], to: guest)
    var count = 0
    for _ in 0..<1000 {
      guest.controller.moveMouse(right: 1, down: 0, wheel: 0, buttons: [])
      guest.clock.advance(1_000_000)
      count += guest.drain(waiting: 0).count
    }
    #expect((199...201).contains(count / 3))
  }

  @Test func largeMovementsAreSplitAndNothingIsLost() {
    let guest = enabledMouse()
    guest.controller.moveMouse(right: 1000, down: -777, wheel: 0, buttons: [])
    let packets = packets(guest.drain(waiting: 11_000_000))
    #expect(packets.count == 4)
    #expect(packets.reduce(0) { $0 + $1.x } == 1000)
    #expect(packets.reduce(0) { $0 + $1.y } == 777)
  }

  @Test func fastDoubleClicksArriveWhole() {
    let guest = enabledMouse()
    for _ in 0..<2 {
      guest.controller.moveMouse(right: 0, down: 0, wheel: 0, buttons: [.left])
      guest.controller.moveMouse(right: 0, down: 0, wheel: 0, buttons: [])
    }
    let packets = packets(guest.drain(waiting: 11_000_000))
    #expect(packets.map(\.buttons) == [1, 0, 1, 0])
  }

  @Test func aClickComesAfterTheMovementBeforeIt() {
    let guest = enabledMouse()
    guest.controller.moveMouse(right: 400, down: 0, wheel: 0, buttons: [.right])
    guest.controller.moveMouse(right: 5, down: 0, wheel: 0, buttons: [.right])
    let packets = packets(guest.drain(waiting: 11_000_000))
    #expect(
      packets == [
        Packet(x: 255), Packet(x: 145), Packet(buttons: 2), Packet(x: 5, buttons: 2),
      ])
  }

  @Test func clicksBeyondAllMeasureEndInTheRightState() {
    let guest = enabledMouse()
    for _ in 0..<5000 {
      guest.controller.moveMouse(right: 1, down: 0, wheel: 0, buttons: [.left])
      guest.controller.moveMouse(right: 1, down: 0, wheel: 0, buttons: [])
    }
    let packets = packets(guest.drain(waiting: 11_000_000))
    #expect(packets.last?.buttons == 0)
    #expect(packets.reduce(0) { $0 + $1.x } == 10_000)
  }

  @Test func scaling2To1FollowsTheTable() {
    let guest = enabledMouse()
    _ = send([0xE7], to: guest)
    var got: [Int] = []
    for count in [1, 2, 3, 4, 5, 6, -3, 127] {
      guest.clock.advance(11_000_000)
      guest.controller.moveMouse(right: count, down: 0, wheel: 0, buttons: [])
      got += packets(guest.drain(waiting: 0)).map(\.x)
    }
    #expect(got == [1, 1, 3, 6, 9, 12, -3, 254])
  }

  @Test func remoteModeReportsWhenAsked() {
    let guest = enabledMouse()
    #expect(send([0xF0], to: guest) == [0xFA])
    guest.controller.moveMouse(right: 7, down: 0, wheel: 0, buttons: [])
    guest.controller.moveMouse(right: 7, down: 1, wheel: 0, buttons: [])
    #expect(guest.drain() == [])
    #expect(send([0xEB], to: guest) == [0xFA, 0x28, 14, 0xFF])
    #expect(send([0xEB], to: guest) == [0xFA, 0x08, 0, 0])
    #expect(send([0xEA], to: guest) == [0xFA])
    guest.controller.moveMouse(right: 1, down: 0, wheel: 0, buttons: [])
    #expect(guest.drain() == [0x08, 1, 0])
  }

  @Test func theKnockMakesAWheel() {
    let guest = enabledMouse(knock: [200, 100, 80])
    #expect(send([0xF2], to: guest) == [0xFA, 0x03])
    guest.controller.moveMouse(right: 0, down: 0, wheel: -1, buttons: [])
    #expect(guest.drain() == [0x08, 0, 0, 0xFF])
    guest.controller.moveMouse(right: 0, down: 0, wheel: 12, buttons: [])
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0, 7, 0x08, 0, 0, 5])
    #expect(send([0xFF], to: guest) == [0xFA, 0xAA, 0x00])
    #expect(send([0xF2], to: guest) == [0xFA, 0x00])
  }

  @Test func theSecondKnockMakesFiveButtons() {
    let guest = enabledMouse(knock: [200, 100, 80, 200, 200, 80])
    #expect(send([0xF2], to: guest) == [0xFA, 0x04])
    guest.controller.moveMouse(right: 0, down: 0, wheel: -1, buttons: [])
    #expect(guest.drain() == [0x08, 0, 0, 0x0F])
    guest.controller.moveMouse(right: 0, down: 0, wheel: 0, buttons: [.fourth])
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0, 0x10])
    guest.controller.moveMouse(right: 0, down: 0, wheel: 0, buttons: [.fifth, .middle])
    #expect(guest.drain(waiting: 11_000_000) == [0x0C, 0, 0, 0x20])
  }

  @Test func aMouseWithoutWheelDropsItsTurns() {
    let guest = enabledMouse()
    guest.controller.moveMouse(right: 0, down: 0, wheel: 3, buttons: [])
    #expect(guest.drain(waiting: 11_000_000) == [])
  }

  @Test func aCommandEndsAPacketAndWhatWasUnsentStays() {
    let guest = enabledMouse()
    guest.command(0xA7)
    guest.controller.moveMouse(right: 42, down: 0, wheel: 0, buttons: [])
    #expect(send([0xF3, 60], to: guest) == [0xFA, 0xFA, 0x08, 42, 0])
    guest.clock.advance(50_000_000)
    guest.controller.moveMouse(right: 1, down: 0, wheel: 0, buttons: [])
    #expect(guest.read() == 0x08)
    // One byte of the packet is in the buffer; the rest goes.
    guest.mouseCommand(0xF2)
    #expect(guest.read() == 1)
    #expect(guest.drain() == [0xFA, 0x00])
  }
}
