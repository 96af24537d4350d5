import DeviceTestKit
import Input
import KVMEngine
import Testing

/// The absolute pointer as a driver uses it.
@Suite struct VMwarePointerTests {
  private let guest = GuestHost(commandByte: 0x40)
  private let hub: InputHub

  init() { hub = InputHub(guest.controller) }

  private func call(_ command: UInt32, _ argument: UInt32 = 0) -> VMwareCall {
    var call = VMwareCall()
    call.eax = 0x564D_5868
    call.ebx = argument
    call.ecx = command
    guest.controller.serve(&call)
    return call
  }

  private var status: UInt32 { call(40).eax }

  /// What Linux' driver does at start.
  private func enable(absolute: Bool = true) {
    _ = call(41, 0x4541_4552)
    #expect(status == 1)
    #expect(call(39, 1).eax == 0x3442_554A)
    _ = call(86, 1)
    _ = call(41, absolute ? 0x5342_4152 : 0x4C45_5252)
    guest.mouseCommand(0xF4)
    #expect(guest.drain().last == 0xFA)
  }

  private func point(_ x: Int, _ y: Int, _ buttons: UInt16 = 0, viewer: UInt64 = 1) {
    hub.pointer(viewer: viewer, x: x, y: y, buttons: buttons, width: 1024, height: 768)
  }

  private func packet() -> [UInt32] {
    let answer = call(39, 4)
    return [answer.eax, answer.ebx, answer.ecx, answer.edx]
  }

  @Test func itSaysThatItIsThere() {
    let answer = call(10)
    #expect(answer.ebx == 0x564D_5868)
    #expect(answer.eax != .max)
    #expect(call(20).eax == .max)
    #expect(status == 0xFFFF_0000)
  }

  @Test func thePointerIsWhereTheViewersIs() {
    enable()
    point(0, 0)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0])
    #expect(status == 4)
    #expect(packet() == [0, 0, 0, 0])
    point(1023, 767)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0])
    #expect(packet() == [0, 0xFFFF, 0xFFFF, 0])
    #expect(status == 0)
    #expect(guest.drain(waiting: 11_000_000) == [])
  }

  @Test func movementsMergeAndClicksNeverDo() {
    enable()
    for x in 0..<100 { point(x, 5) }
    point(100, 5, 1)
    point(100, 5)
    point(100, 5, 1)
    point(100, 5)
    for x in 0..<100 { point(x, 767) }
    #expect(status == 4 * 6)
    #expect(packet()[1] == UInt32(99 * 0xFFFF / 1023))
    for buttons in [UInt32(0x20), 0, 0x20, 0] {
      #expect(packet()[0] == buttons)
    }
    #expect(packet() == [0, UInt32(99 * 0xFFFF / 1023), 0xFFFF, 0])
    // However many packets wait, one interrupt has told of them.
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0])
  }

  @Test func buttonsAndWheel() {
    enable()
    point(5, 5)
    _ = packet()
    for (mask, bits) in [(UInt16(1), UInt32(0x20)), (2, 0x08), (4, 0x10), (7, 0x38)] {
      point(5, 5, mask)
      #expect(packet()[0] == bits)
      point(5, 5)
      #expect(packet()[0] == 0)
    }
    point(5, 5, 1 << 3)
    #expect(packet()[3] == .max)
    point(5, 5)
    point(5, 5, 1 << 4)
    #expect(packet()[3] == 1)
  }

  @Test func sideButtonsComeWithTheMousesPacket() {
    for rate in [UInt8(200), 200, 80] {
      guest.mouseCommand(0xF3)
      guest.mouseCommand(rate)
    }
    enable()
    let masks: [UInt16] = [0, 0x80, 0x101, 0x001]
    for mask in masks { point(5, 5, mask) }
    #expect(
      guest.drain(waiting: 13_000_000) == [
        0x08, 0, 0, 0, 0x08, 0, 0, 0x10, 0x08, 0, 0, 0x20, 0x08, 0, 0, 0,
      ])
    #expect([packet()[0], packet()[0], packet()[0]] == [0, 0x20, 0x20])
  }

  @Test func relativeModeTellsMovements() {
    enable(absolute: false)
    point(100, 100)
    _ = packet()
    point(110, 95, 1)
    #expect(packet() == [0x1_0020, 10, 5, 0])
  }

  @Test func withoutTheDriverTheMouseMoves() {
    guest.mouseCommand(0xF4)
    _ = guest.drain()
    point(1, 1)
    point(2, 1)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 1, 0])
    enable()
    _ = call(41, 0xF5)
    #expect(status == 0xFFFF_0000)
    point(3, 1)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 1, 0])
  }

  @Test func aHeldButtonIsLetGoWhereTheDriverGoes() {
    enable()
    point(5, 5, 1)
    _ = guest.drain(waiting: 11_000_000)
    _ = call(41, 0xF5)
    point(6, 5, 1)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 1, 0, 0x09, 0, 0])
  }

  @Test func aViewerThatLeavesLetsItsButtonGo() {
    enable()
    point(5, 5, 1)
    hub.viewerGone(1)
    #expect(packet()[0] == 0x20)
    #expect(packet()[0] == 0)
  }

  @Test func readingWhatIsNotThereTurnsItOff() {
    for argument in [UInt32(0), 5, 7, .max] {
      enable()
      point(Int(argument & 63), 5)
      #expect(call(39, argument).eax == .max)
      #expect(status == 0xFFFF_0000)
    }
  }

  @Test func aGuestThatNeverReadsDoesNotMakeItGrow() {
    enable()
    for index in 0..<2000 { point(5, 5, UInt16(index & 1)) }
    #expect(status == 1024)
    for _ in 0..<255 { _ = packet() }
    #expect(packet()[0] == 0x20)
  }

  @Test func aResetTurnsItOffAndASnapshotKeepsIt() throws {
    enable()
    point(1023, 0, 1)
    let saved = guest.controller.save()
    let other = GuestHost(commandByte: 0x40)
    try other.controller.restore(saved)
    var call = VMwareCall()
    (call.ebx, call.ecx) = (4, 39)
    other.controller.serve(&call)
    #expect([call.eax, call.ebx, call.ecx, call.edx] == [0x20, 0xFFFF, 0, 0])
    guest.controller.reset()
    #expect(status == 0xFFFF_0000)
  }

  @Test func randomCallsLeaveItUsable() {
    var random = SplitMix64(seed: 3)
    for _ in 0..<20_000 {
      let value = random.next()
      let commands: [UInt32] = [10, 39, 39, 39, 40, 41, 41, 86, UInt32(value >> 40 & 0xFF)]
      let arguments: [UInt32] = [0x4541_4552, 0xF5, 0x4C45_5252, 0x5342_4152, 1, 4, 6, .max]
      _ = call(
        commands[Int(value & 0xFF) % commands.count],
        arguments[Int(value >> 8 & 0xFF) % arguments.count])
      point(Int(value >> 16 & 1023), 5, UInt16(value >> 32 & 0x1FF))
    }
    _ = guest.drain(waiting: 11_000_000)
    enable()
    point(0, 0)
    #expect(packet() == [0, 0, 0, 0])
  }
}
