import DeviceTestKit
import KVMEngine

@testable import Input

/// As much of a driver as a test needs: it sets the rings up in guest memory, rings doorbells and
/// reads events, by the book.
final class XHCIDriver {
  struct Event: Equatable {
    var parameter: UInt64
    var status: UInt32
    var control: UInt32
    var type: UInt32 { control >> 10 & 0x3F }
    var code: UInt32 { status >> 24 }
    var slot: Int { Int(control >> 24) }
  }

  let controller: XHCI
  let tablet = USBTablet()
  let wires = LineRecorder()
  let memory: AddressSpace
  /// Where the controller's registers are in guest-physical memory.
  static let window: UInt64 = 0x4000_0000
  private var commandAt: UInt64 = 0x2000
  private var eventAt: UInt64 = 0x3000
  private var eventCycle: UInt32 = 1
  private(set) var controlAt: UInt64 = 0x6000
  private var reportAt: UInt64 = 0x7000
  static let eventRing: UInt64 = 0x3000
  static let eventEntries: UInt64 = 32
  static let buffer: UInt64 = 0x9000

  init(message: @escaping @Sendable () -> Bool = { false }) throws {
    let bus = MemoryBus()
    memory = AddressSpace(bus: bus, slots: NoSlots())
    try memory.map(MemoryBlock(name: "ram", size: 1 << 20), size: 1 << 20, at: 0)
    controller = XHCI(
      memory: memory, clock: ManualClock(), interrupt: wires.line(11), message: message)
    controller.plug(tablet, port: 1)
    try bus.register(controller, at: Self.window...(Self.window + UInt64(XHCI.windowBytes) - 1))
  }

  func read(_ offset: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: controller.readMemory(offset, width: .dword))
  }
  func write(_ offset: UInt64, _ value: UInt32) {
    controller.writeMemory(offset, width: .dword, value: UInt64(value))
  }

  /// Resets and starts the controller, as its specification says in 4.2.
  func start() {
    write(0x20, 2)
    write(0x58, 8)
    memory.write(0x1000, bytes: [UInt8](repeating: 0, count: 0x8000))
    write(0x50, 0x1000)
    write(0x54, 0)
    write(0x38, 0x2001)
    write(0x3C, 0)
    memory.store(Self.eventRing, at: 0x1800)
    memory.store(UInt32(Self.eventEntries), at: 0x1808)
    write(0x1028, 1)
    write(0x1038, UInt32(Self.eventRing))
    write(0x103C, 0)
    write(0x1030, 0x1800)
    write(0x1034, 0)
    write(0x1020, 2)
    write(0x20, 5)
    commandAt = 0x2000
    eventAt = Self.eventRing
    eventCycle = 1
  }

  /// The next event; nil where there is none.
  func event() -> Event? {
    let control = memory.load(eventAt + 12, as: UInt32.self)
    guard control & 1 == eventCycle else { return nil }
    let event = Event(
      parameter: memory.load(eventAt, as: UInt64.self),
      status: memory.load(eventAt + 8, as: UInt32.self), control: control & ~1)
    eventAt += 16
    if eventAt == Self.eventRing + Self.eventEntries * 16 {
      eventAt = Self.eventRing
      eventCycle ^= 1
    }
    return event
  }

  /// Says how far events were read, and ends the interrupt.
  func acknowledge() {
    write(0x1020, 3)
    write(0x1038, UInt32(eventAt) | 8)
    write(0x103C, 0)
  }

  func put(_ at: inout UInt64, _ parameter: UInt64, _ status: UInt32, _ control: UInt32) {
    memory.store(parameter, at: at)
    memory.store(status, at: at + 8)
    memory.store(control | 1, at: at + 12)
    at += 16
  }

  /// Runs a command and gives its completion.
  func command(_ type: UInt32, slot: Int = 0, _ parameter: UInt64 = 0, bits: UInt32 = 0) -> Event? {
    put(&commandAt, parameter, 0, type << 10 | UInt32(slot) << 24 | bits)
    write(0x2000, 0)
    while let event = event() {
      if event.type == XHCIType.commandCompletion { return event }
    }
    return nil
  }

  /// From power-on to an addressed device in a slot.
  func address() -> Int {
    start()
    write(0x420, 0x210)
    guard let slot = command(XHCIType.enableSlot)?.slot else { return 0 }
    let (input, output): (UInt64, UInt64) = (0x4000, 0x5000)
    memory.store(output, at: 0x1000 + UInt64(slot) * 8)
    memory.store(UInt32(3), at: input + 4)
    memory.store(UInt32(1 << 27 | 1 << 20), at: input + 0x20)
    memory.store(UInt32(1 << 16), at: input + 0x24)
    memory.store(UInt32(4 << 3 | 64 << 16 | 3 << 1), at: input + 0x44)
    memory.store(controlAt | 1, at: input + 0x48)
    return command(XHCIType.addressDevice, slot: slot, input)?.code == 1 ? slot : 0
  }

  /// A control transfer; nil where it stalled, else what came.
  func control(
    _ slot: Int, _ type: UInt8, _ request: UInt8, value: UInt16 = 0, index: UInt16 = 0,
    length: UInt16 = 0
  ) -> [UInt8]? {
    let setup =
      UInt64(type) | UInt64(request) << 8 | UInt64(value) << 16 | UInt64(index) << 32
      | UInt64(length) << 48
    put(&controlAt, setup, 8, XHCIType.setup << 10 | 1 << 6)
    if length > 0 {
      put(&controlAt, Self.buffer, UInt32(length), XHCIType.data << 10 | 1 << 16 | 1 << 2)
    }
    put(&controlAt, 0, 0, XHCIType.status << 10 | 1 << 5)
    write(0x2000 + UInt64(slot) * 4, 1)
    var missing = 0
    while let event = event() {
      guard event.type == XHCIType.transferEvent else { continue }
      if event.code == XHCICode.stall { return nil }
      if event.code == XHCICode.shortPacket { missing = Int(event.status & 0xFF_FFFF) }
    }
    return memory.bytes(at: Self.buffer, count: Int(length) - missing)
  }

  /// Configures the tablet and its interrupt endpoint.
  func configure(_ slot: Int) -> Bool {
    let input: UInt64 = 0x4000
    memory.store(UInt32(1 | 1 << 3), at: input + 4)
    memory.store(UInt32(3 << 27 | 1 << 20), at: input + 0x20)
    memory.store(UInt32(7 << 3 | 8 << 16 | 3 << 1), at: input + 0x20 * 4 + 4)
    memory.store(reportAt | 1, at: input + 0x20 * 4 + 8)
    guard command(XHCIType.configureEndpoint, slot: slot, input)?.code == 1 else { return false }
    return control(slot, 0x00, 9, value: 1) != nil
  }

  /// Asks for a report.
  func askForReport(_ slot: Int) {
    put(&reportAt, Self.buffer + 0x100, 8, XHCIType.normal << 10 | 1 << 5 | 1 << 2)
    write(0x2000 + UInt64(slot) * 4, 3)
  }

  func report() -> [UInt8] {
    memory.bytes(at: Self.buffer + 0x100, count: Int(TabletDescriptors.reportBytes))
  }
}
