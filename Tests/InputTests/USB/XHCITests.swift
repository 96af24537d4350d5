import DeviceTestKit
import Glibc
import KVMEngine
import Synchronization
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
  }

  /// A driver sets every device up that it finds, and asks for reports once a program wants them.
  @Test func tabletIsInUseWhileItsReportsAreAskedFor() throws {
    let driver = try XHCIDriver()
    let slot = driver.address()
    #expect(driver.configure(slot))
    #expect(!driver.tablet.isInUse)
    driver.askForReport(slot)
    #expect(driver.tablet.isInUse)
    #expect(driver.command(XHCIType.stopEndpoint, slot: slot, bits: 3 << 16)?.code == 1)
    #expect(!driver.tablet.isInUse)
    driver.write(0x2000 + UInt64(slot) * 4, 3)
    #expect(driver.tablet.isInUse)
    driver.write(0x20, 0)
    #expect(!driver.tablet.isInUse)
  }

  @Test func messageTakesThePinsPlaceAndEndsWhatIsPending() throws {
    let sent = Counter()
    let driver = try XHCIDriver(message: {
      sent.add()
      return true
    })
    driver.start()
    #expect(sent.count == 1)
    #expect(!driver.wires.level(11))
    #expect(driver.read(0x1020) & 1 == 0)
    #expect(driver.command(XHCIType.noOperationCommand)?.code == 1)
    // The next one comes when the guest has said how far it has read.
    #expect(sent.count == 1)
    driver.acknowledge()
    #expect(driver.command(XHCIType.noOperationCommand)?.code == 1)
    #expect(sent.count == 2)
  }

  @Test func transfersWithoutEndAreServedInParts() throws {
    let driver = try XHCIDriver()
    let function = CountingFunction()
    let slot = driver.address()
    driver.controller.plug(function, port: 1)
    #expect(driver.address() == slot)
    var at = driver.controlAt
    let start = at
    let pieces = 400
    driver.put(&at, 0x0900, 8, XHCIType.setup << 10 | 1 << 6)
    for _ in 0..<pieces { driver.put(&at, XHCIDriver.buffer, 8, XHCIType.data << 10) }
    driver.put(&at, 0, 0, XHCIType.status << 10)
    driver.put(&at, start, 0, XHCIType.link << 10)
    driver.write(0x2000 + UInt64(slot) * 4, 1)
    #expect(function.controls == XHCI.transferBudget / (pieces + 3))
    #expect(function.mostBytes <= 4096)
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

  /// Rings, contexts and buffers that lie in the controller's own registers.
  @Test func controllerThatIsSentToItselfFindsNothing() throws {
    let driver = try XHCIDriver()
    driver.start()
    while driver.event() != nil {}
    let window = UInt32(XHCIDriver.window)
    driver.write(0x1030, window + 0x2000)
    driver.write(0x1034, 0)
    driver.write(0x38, window + 0x2001)
    driver.write(0x3C, 0)
    driver.write(0x50, window)
    driver.write(0x2000, 0)
    #expect(driver.event() == nil)
    // An event ring there: the controller would write its own doorbells.
    driver.start()
    while driver.event() != nil {}
    driver.memory.store(XHCIDriver.window + 0x2000, at: 0x1800)
    driver.write(0x1030, 0x1800)
    driver.write(0x1034, 0)
    _ = driver.command(XHCIType.noOperationCommand)
    #expect(driver.event() == nil)
    // It still works.
    driver.start()
    while driver.event() != nil {}
    #expect(driver.command(XHCIType.noOperationCommand)?.code == XHCICode.success)
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
    #expect(driver.tablet.isInUse)
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
    // Set up, but nobody reads it: the mouse goes on.
    hub.pointer(viewer: 1, x: 20, y: 20, buttons: 0, width: 1024, height: 768)
    #expect(driver.tablet.save().waiting.isEmpty)
    driver.askForReport(slot)
    hub.pointer(viewer: 1, x: 1023, y: 767, buttons: 1, width: 1024, height: 768)
    hub.pointer(viewer: 1, x: 0, y: 0, buttons: 1 | 1 << 6, width: 1024, height: 768)
    hub.viewerGone(1)
    let waiting = driver.tablet.save().waiting
    // The first is what was asked for.
    #expect(driver.report().prefix(3) == [1, 0xFF, 0x7F])
    #expect(waiting.map(\.x) == [0, 0])
    #expect(waiting.map(\.y) == [0, 0])
    #expect(waiting.map(\.buttons) == [1, 0])
    #expect(waiting.map(\.pan) == [1, 0])
  }

  @Test func inputWaitsWhileItIsHeld() throws {
    let driver = try XHCIDriver()
    let hub = InputHub(controller, tablet: driver.tablet)
    let slot = driver.address()
    #expect(driver.configure(slot))
    driver.askForReport(slot)
    driver.askForReport(slot)
    hub.hold()
    let moves = try Thread(name: "viewer") {
      hub.pointer(viewer: 1, x: 5, y: 5, buttons: 0, width: 1024, height: 768)
    }
    usleep(50_000)
    #expect(driver.event()?.type != XHCIType.transferEvent)
    hub.letIn()
    moves.join()
    #expect(driver.event()?.type == XHCIType.transferEvent)
  }
}

/// Counts what happens on any thread.
final class Counter: Sendable {
  private let value = Atomic(0)
  var count: Int { value.load(ordering: .relaxed) }
  func add() { value.wrappingAdd(1, ordering: .relaxed) }
}

/// A device that takes every control transfer and tells how many there were.
private final class CountingFunction: USBFunction {
  private let seen = Mutex((controls: 0, bytes: 0))
  var controls: Int { seen.withLock { $0.controls } }
  var mostBytes: Int { seen.withLock { $0.bytes } }
  func busReset() {}
  func control(_ setup: USBSetup, data: [UInt8]) -> USBAnswer {
    seen.withLock {
      $0.controls += 1
      $0.bytes = max($0.bytes, data.count)
    }
    return .data([])
  }
  func interruptIn(_ number: Int) -> [UInt8]? { nil }
  func interruptStopped(_ number: Int) {}
  func connect(ready: @escaping @Sendable () -> Void) {}
}
