import DeviceTestKit
import KVMEngine
import Testing

@testable import Storage

/// A controller with one 1.44 MB diskette, driven as a guest drives it.
private final class FloppyRig {
  let clock = ManualClock()
  let lines = LineRecorder()
  let space: AddressSpace
  let dma: I8237Pair
  let controller: FloppyController
  let worker = DiskWorker(name: "floppy-test")
  let ports: any PortDevice
  let last: any PortDevice

  init(_ drives: [Drive]) throws {
    space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    let ram = try MemoryBlock(name: "test", size: 1 << 20)
    try space.map(ram, size: 1 << 20, at: 0)
    dma = I8237Pair(space: space)
    controller = FloppyController(
      drives: drives, clock: clock, irq: lines.line(6), dma: dma, worker: worker)
    ports = controller.ports
    last = controller.rateAndChangePort
  }

  convenience init(_ image: TestImage) throws {
    let geometry = CHSGeometry(cylinders: 80, heads: 2, sectors: 18)
    try self.init([
      Drive(.floppy, medium: Medium(path: "test", image: image, geometry: geometry))
    ])
  }

  func out(_ offset: UInt16, _ value: UInt8) {
    if offset == 7 {
      last.writePort(0, width: .byte, value: UInt32(value))
    } else {
      ports.writePort(offset, width: .byte, value: UInt32(value))
    }
  }
  func input(_ offset: UInt16) -> UInt8 {
    UInt8(
      truncatingIfNeeded: offset == 7
        ? last.readPort(0, width: .byte) : ports.readPort(offset, width: .byte))
  }
  func send(_ bytes: UInt8...) {
    for byte in bytes {
      #expect(input(4) & 0xC0 == 0x80)
      out(5, byte)
    }
  }
  func wait() { clock.advance(1_000_000) }
  func result() -> [UInt8] {
    var bytes: [UInt8] = []
    while input(4) & 0xC0 == 0xC0, bytes.count < 16 { bytes.append(input(5)) }
    return bytes
  }

  /// Out of reset with the motor on, as every driver begins.
  func start() {
    out(2, 0x00)
    out(2, 0x1C)
    wait()
    #expect(lines.level(6))
    for drive in 0..<4 as Range<UInt8> {
      send(0x08)
      #expect(result() == [0xC0 | drive, 0])
    }
    #expect(!lines.level(6))
    send(0x03, 0xDF, 0x02)
    out(7, 0)
  }

  func setDMA(_ mode: UInt8, address: UInt32, count: Int) {
    let bytes = dma.bytePorts
    let values: [(UInt16, Int)] = [
      (10, 6), (12, 0), (11, Int(mode)), (4, Int(address)), (4, Int(address >> 8)),
      (5, count - 1), (5, (count - 1) >> 8),
    ]
    for (port, value) in values {
      bytes.writePort(port, width: .byte, value: UInt32(truncatingIfNeeded: value & 0xFF))
    }
    dma.pagePorts.writePort(0, width: .byte, value: address >> 16)
    bytes.writePort(10, width: .byte, value: 2)
  }
}

@Suite struct FloppyControllerTests {
  let image = TestImage(sectors: 2880)

  func pattern(_ range: Range<UInt64>) -> [UInt8] { range.flatMap { TestImage.pattern($0) } }

  @Test func saysWhatItIs() throws {
    let rig = try FloppyRig(image)
    rig.start()
    rig.send(0x10)
    #expect(rig.result() == [0x90])
    rig.send(0x18)
    #expect(rig.result() == [0x01])
    rig.send(0x1F)
    #expect(rig.result() == [0x80])
    rig.send(0x08)
    #expect(rig.result() == [0x80])
    rig.send(0x13, 0, 0x57, 0)
    rig.send(0x94)
    #expect(rig.result() == [0x10])
    rig.send(0x0E)
    #expect(rig.result() == [0, 0, 0, 0, 0xDF, 2, 0, 0x80, 0x57, 0])
    rig.send(0x04, 0)
    #expect(rig.result() == [0x38])
  }

  @Test func seeksAndReadsByDMA() throws {
    let rig = try FloppyRig(image)
    rig.start()
    rig.send(0x07, 0)
    rig.wait()
    rig.send(0x08)
    #expect(rig.result() == [0x20, 0])
    rig.send(0x0F, 0x04, 3)
    #expect(rig.input(4) & 1 == 1)
    rig.wait()
    #expect(rig.lines.level(6))
    rig.send(0x08)
    #expect(rig.result() == [0x24, 3])
    rig.send(0x4A, 0x04)
    rig.wait()
    #expect(rig.result() == [0x04, 0, 0, 3, 1, 1, 2])
    rig.setDMA(0x46, address: 0x18000, count: 3 * 512)
    rig.send(0xE6, 0x04, 3, 1, 5, 2, 18, 0x1B, 0xFF)
    #expect(rig.lines.level(6))
    #expect(rig.result() == [0x04, 0, 0, 3, 1, 8, 2])
    #expect(!rig.lines.level(6))
    let first: UInt64 = (3 * 2 + 1) * 18 + 4
    #expect(rig.space.bytes(at: 0x18000, count: 1536) == pattern(first..<(first + 3)))
  }

  @Test func multiTrackTransfersGoOverToTheOtherSide() throws {
    let rig = try FloppyRig(image)
    rig.start()
    rig.setDMA(0x46, address: 0x10000, count: 36 * 512)
    rig.send(0xC6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    #expect(rig.result() == [0, 0, 0, 1, 0, 1, 2])
    #expect(rig.space.bytes(at: 0x10000, count: 36 * 512) == pattern(0..<36))
    // More than there is: the end of the cylinder comes before the terminal count.
    rig.setDMA(0x46, address: 0x10000, count: 40 * 512)
    rig.send(0x46, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF)
    #expect(rig.result() == [0x40, 0x80, 0, 1, 0, 1, 2])
  }

  @Test func writesAndFormatsByDMA() throws {
    let rig = try FloppyRig(image)
    rig.start()
    rig.space.write(0x10000, bytes: (0..<700).map { UInt8(truncatingIfNeeded: $0 &* 3) })
    rig.setDMA(0x4A, address: 0x10000, count: 700)
    rig.send(0x45, 0, 0, 0, 2, 2, 18, 0x1B, 0xFF)
    #expect(rig.result() == [0, 0, 0, 0, 0, 4, 2])
    let written = image.contents(1) + image.contents(2)
    #expect(Array(written.prefix(700)) == (0..<700).map { UInt8(truncatingIfNeeded: $0 &* 3) })
    #expect(written.dropFirst(700).allSatisfy { $0 == 0 })
    let ids = (1...18).flatMap { [0, 1, UInt8($0), 2] as [UInt8] }
    rig.space.write(0x10000, bytes: ids)
    rig.setDMA(0x4A, address: 0x10000, count: ids.count)
    rig.send(0x4D, 0x04, 2, 18, 0x54, 0xF6)
    #expect(rig.result().first == 0x04)
    #expect((18..<36).allSatisfy { image.contents($0) == [UInt8](repeating: 0xF6, count: 512) })
  }

  @Test func theHostMovesBytesWithoutDMA() throws {
    let rig = try FloppyRig(image)
    rig.start()
    rig.send(0x03, 0xDF, 0x03)
    rig.send(0x46, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF)
    var data: [UInt8] = []
    while rig.input(4) & 0xE0 == 0xE0 { data.append(rig.input(5)) }
    #expect(data == pattern(16..<18))
    #expect(rig.result() == [0x40, 0x80, 0, 1, 0, 1, 2])
    rig.send(0x45, 0, 0, 0, 18, 2, 18, 0x1B, 0xFF)
    var given = 0
    while rig.input(4) & 0xE0 == 0xA0 {
      rig.out(5, 0x77)
      given += 1
    }
    #expect(given == 512 && image.contents(17) == [UInt8](repeating: 0x77, count: 512))
    #expect(rig.result().prefix(2) == [0x40, 0x80])
  }

  @Test func whatCannotBeReadIsRefused() throws {
    let rig = try FloppyRig(image)
    rig.start()
    rig.setDMA(0x46, address: 0x10000, count: 512)
    rig.send(0x46, 0, 5, 0, 1, 2, 18, 0x1B, 0xFF)
    rig.wait()
    #expect(rig.result().prefix(3) == [0x40, 0x04, 0x10])
    rig.send(0x46, 0, 0, 0, 19, 2, 18, 0x1B, 0xFF)
    rig.wait()
    #expect(rig.result().prefix(2) == [0x40, 0x04])
    rig.out(7, 2)
    rig.send(0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    rig.wait()
    #expect(rig.result().prefix(2) == [0x40, 0x01])
    rig.out(7, 0)
    image.state.withLock { $0.bad = [2] }
    rig.send(0x46, 0, 0, 0, 3, 2, 18, 0x1B, 0xFF)
    #expect(rig.result().prefix(3) == [0x40, 0x20, 0x20])
    let fixed = try FloppyRig(TestImage(sectors: 2880, readOnly: true))
    fixed.start()
    fixed.send(0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    fixed.wait()
    #expect(fixed.result().prefix(2) == [0x40, 0x02])
  }

  @Test func theChangeLineFallsWithAStep() throws {
    let files = TemporaryImages()
    let drive = try Drive(
      DriveDescription(kind: .floppy, path: files.make("a.img", size: 1440 << 10)))
    let rig = try FloppyRig([drive])
    rig.start()
    #expect(rig.input(7) & 0x80 == 0)
    try drive.insert(path: files.make("b.img", size: 720 << 10))
    #expect(rig.input(7) & 0x80 != 0 && rig.input(7) & 0x80 != 0)
    rig.send(0x0F, 0, 1)
    rig.wait()
    rig.send(0x08)
    _ = rig.result()
    #expect(rig.input(7) & 0x80 == 0)
    try drive.eject()
    #expect(rig.input(7) & 0x80 != 0)
  }

  @Test func savesBetweenTwoBytes() throws {
    let rig = try FloppyRig(image)
    rig.start()
    rig.send(0x03, 0xDF, 0x03)
    rig.send(0x46, 0, 0, 0, 18, 2, 18, 0x1B, 0xFF)
    var data = (0..<100).map { _ in rig.input(5) }
    let twin = try FloppyRig(image)
    try twin.controller.restore(rig.controller.save())
    while twin.input(4) & 0xE0 == 0xE0 { data.append(twin.input(5)) }
    #expect(data == pattern(17..<18))
  }

  @Test func conforms() throws {
    let image = self.image
    for seed in 1...3 as ClosedRange<UInt64> {
      let clock = ManualClock()
      let rig = try FloppyRig(image)
      var conformance = DeviceConformance(
        make: {
          FloppyController(
            drives: [
              Drive(
                .floppy,
                medium: Medium(
                  path: "test", image: image,
                  geometry: CHSGeometry(cylinders: 80, heads: 2, sectors: 18)))
            ], clock: clock, irq: rig.lines.line(6), dma: rig.dma,
            worker: DiskWorker(name: "floppy-test"))
        },
        ports: { [($0.ports, 0x3F0...0x3F5), ($0.rateAndChangePort, 0x3F7...0x3F7)] })
      conformance.between = { _ in clock.advance(100_000) }
      #expect(conformance.violations(seed: seed).isEmpty)
    }
  }
}
