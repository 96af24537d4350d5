import DeviceTestKit
import KVMEngine
import Testing

@testable import Input

struct XHCITests {
  @Test func tabletIsEnumeratedAsTheSpecificationsSay() throws {
    let driver = try XHCIDriver()
    let slot = driver.address()
    #expect(slot == 1)
    #expect(
      driver.control(slot, 0x80, 6, value: 0x0100, length: 8)
        == Array(
          TabletDescriptors.device.prefix(8)))
    #expect(
      driver.control(slot, 0x80, 6, value: 0x0100, length: 64) == TabletDescriptors.device)
    let configuration = driver.control(slot, 0x80, 6, value: 0x0200, length: 255)
    #expect(configuration == TabletDescriptors.configuration)
    #expect(configuration?.count == Int(TabletDescriptors.configuration[2]))
    let product = driver.control(slot, 0x80, 6, value: 0x0302, index: 0x409, length: 255)
    #expect(product?.dropFirst(2).first == UInt8(ascii: "P"))
    #expect(
      driver.control(slot, 0x81, 6, value: 0x2200, length: 255) == TabletDescriptors.report)
    #expect(driver.configure(slot))
    #expect(driver.tablet.isInUse)
  }

  @Test func everyPortChangeIsToldOnceTheControllerRuns() throws {
    let driver = try XHCIDriver()
    driver.start()
    let first = driver.event()
    #expect(first?.type == XHCIType.portStatusChange)
    #expect(first?.parameter == 1 << 24)
    #expect(driver.read(0x420) & 0x20001 == 0x20001)
    #expect(driver.event() == nil)
    // The third port is of USB 3, and empty.
    #expect(driver.read(0x440) & 1 == 0)
  }

  @Test func reportsComeWhenThePointerMovesAndNotBefore() throws {
    let driver = try XHCIDriver()
    let slot = driver.address()
    #expect(driver.configure(slot))
    driver.acknowledge()
    driver.askForReport(slot)
    #expect(driver.event() == nil)
    #expect(!driver.wires.level(11))
    driver.tablet.point(x: 0x1234, y: 0x7FFF, wheel: 1, pan: 0, buttons: [.left])
    let event = driver.event()
    #expect(event?.code == XHCICode.shortPacket)
    #expect(event.map { $0.status & 0xFFFF } == 1)
    #expect(driver.report() == [1, 0x34, 0x12, 0xFF, 0x7F, 0xFF, 0])
    #expect(driver.wires.level(11))
    driver.acknowledge()
    #expect(!driver.wires.level(11))
  }

  @Test func movementsMergeAndClicksDoNot() throws {
    let driver = try XHCIDriver()
    let slot = driver.address()
    #expect(driver.configure(slot))
    for step in 1...10 {
      driver.tablet.point(x: step, y: 0, wheel: 0, pan: 0, buttons: [])
    }
    // A double click between two reports arrives as one.
    for buttons in [[.left], [], [.left], []] as [MouseButtons] {
      driver.tablet.point(x: 10, y: 0, wheel: 0, pan: 0, buttons: buttons)
    }
    var seen: [[UInt8]] = []
    for _ in 0..<5 {
      driver.askForReport(slot)
      guard driver.event() != nil else { break }
      seen.append(Array(driver.report().prefix(2)))
    }
    #expect(seen == [[0, 10], [1, 10], [0, 10], [1, 10], [0, 10]])
  }

  @Test func unknownRequestStallsAndTheEndpointComesBack() throws {
    let driver = try XHCIDriver()
    let slot = driver.address()
    #expect(driver.control(slot, 0x80, 6, value: 0x0600, length: 10) == nil)
    #expect(driver.memory.load(0x5020, as: UInt32.self) & 7 == 2)
    #expect(driver.command(XHCIType.resetEndpoint, slot: slot, bits: 1 << 16)?.code == 1)
    #expect(
      driver.command(XHCIType.setDequeue, slot: slot, driver.controlAt | 1, bits: 1 << 16)?.code
        == 1)
    #expect(driver.control(slot, 0x80, 8, length: 1) == [0])
  }

  /// A ring of 32 entries: more events than that wait until there is room, and none is lost.
  @Test func eventsWaitForRoom() throws {
    let driver = try XHCIDriver()
    driver.start()
    driver.acknowledge()
    for _ in 0..<2 { _ = driver.command(XHCIType.noOperationCommand) }
    var at: UInt64 = 0x2020
    for _ in 0..<60 { driver.put(&at, 0, 0, XHCIType.noOperationCommand << 10) }
    driver.write(0x2000, 0)
    var count = 0
    for _ in 0..<10 {
      while driver.event() != nil { count += 1 }
      driver.acknowledge()
    }
    #expect(count == 60)
  }

  @Test func ringThatRunsInCirclesEnds() throws {
    let driver = try XHCIDriver()
    driver.start()
    driver.memory.store(UInt64(0x2000), at: 0x2000)
    driver.memory.store(UInt32(0), at: 0x2008)
    driver.memory.store(XHCIType.link << 10 | 1, at: 0x200C)
    driver.write(0x2000, 0)
    // No-ops for ever, with a link that never toggles the cycle.
    driver.memory.store(XHCIType.noOperationCommand << 10 | 1, at: 0x200C)
    driver.memory.store(UInt64(0x2000), at: 0x2010)
    driver.memory.store(XHCIType.link << 10 | 1, at: 0x201C)
    driver.write(0x2000, 0)
    #expect(driver.read(0x24) & 1 == 0)
  }

  @Test func anyValueInAnyRegisterIsSurvived() throws {
    let driver = try XHCIDriver()
    let slot = driver.address()
    #expect(driver.configure(slot))
    var random = SplitMix64(seed: 77)
    for _ in 0..<20_000 {
      let offset = random.next() & 0x3FFF
      let width = AccessWidth.allCases[Int(random.next() & 3)]
      if random.next() & 1 == 0 {
        _ = driver.controller.readMemory(offset, width: width)
      } else {
        driver.controller.writeMemory(offset, width: width, value: random.next() & width.mask)
      }
      if random.next() & 63 == 0 {
        driver.memory.store(random.next(), at: random.next() & 0xFFF8)
        driver.tablet.point(
          x: Int(truncatingIfNeeded: random.next()), y: Int(truncatingIfNeeded: random.next()),
          wheel: Int(truncatingIfNeeded: random.next()), pan: 3, buttons: [.right])
      }
    }
    driver.start()
    #expect(driver.read(0x24) & 1 == 0)
  }

  @Test func stateSurvivesSavingAndRestoring() throws {
    let driver = try XHCIDriver()
    let slot = driver.address()
    #expect(driver.configure(slot))
    driver.askForReport(slot)
    let (controller, tablet) = (driver.controller.save(), driver.tablet.save())
    driver.controller.reset()
    driver.tablet.reset()
    #expect(!driver.tablet.isInUse)
    try driver.controller.restore(controller)
    try driver.tablet.restore(tablet)
    #expect(driver.controller.save() == controller)
    driver.tablet.point(x: 5, y: 6, wheel: 0, pan: 0, buttons: [])
    #expect(driver.event()?.type == XHCIType.transferEvent)
    #expect(driver.report() == [0, 5, 0, 6, 0, 0, 0])
    var damaged = controller
    damaged.ports = []
    #expect(throws: RestoreError.self) { try driver.controller.restore(damaged) }
  }
}

struct TabletHubTests {
  private let controller = I8042(
    clock: ManualClock(), irq1: LineRecorder().line(1), irq12: LineRecorder().line(12),
    outputs: I8042.Outputs(a20Changed: { _ in }, resetRequested: {}))

  /// The pointer goes to the tablet once a driver has set it up, and never to both.
  @Test func pointerMovesTheDeviceThatTheGuestUses() throws {
    let driver = try XHCIDriver()
    let hub = InputHub(controller, tablet: driver.tablet)
    hub.pointer(viewer: 1, x: 10, y: 10, buttons: 0, width: 1024, height: 768)
    let slot = driver.address()
    #expect(driver.configure(slot))
    #expect(driver.tablet.save().waiting.isEmpty)
    hub.pointer(viewer: 1, x: 1023, y: 767, buttons: 1, width: 1024, height: 768)
    hub.pointer(viewer: 1, x: 0, y: 0, buttons: 1 | 1 << 6, width: 1024, height: 768)
    hub.viewerGone(1)
    let waiting = driver.tablet.save().waiting
    #expect(waiting.map(\.x) == [32_767, 0, 0])
    #expect(waiting.map(\.y) == [32_767, 0, 0])
    #expect(waiting.map(\.buttons) == [1, 1, 0])
    #expect(waiting.map(\.pan) == [0, 1, 0])
  }
}
