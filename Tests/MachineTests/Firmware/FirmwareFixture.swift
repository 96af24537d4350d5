import DeviceTestKit
import KVMEngine
import Synchronization

@testable import Machine

/// All ports of a PC as plain latches, with CMOS memory behind 70h and an i8042 that is told what
/// to answer.
final class PortsDouble: PortDevice {
  struct State {
    var latches = [UInt8](repeating: 0xFF, count: 0x10000)
    var cmos = [UInt8](repeating: 0, count: 128)
    var cmosIndex: UInt8 = 0
    var log: [(port: UInt16, value: UInt8)] = []
    /// Bytes for the processor, with whether the auxiliary device sent them.
    var output: [(UInt8, Bool)] = []
    var commandByte: UInt8 = 0
    var lastCommand: UInt8 = 0
    var hasController = true
  }
  let state = Mutex(State())

  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    state.withLock { state in
      switch offset {
      case 0x60:
        guard !state.output.isEmpty else { return 0 }
        return UInt32(state.output.removeFirst().0)
      case 0x64:
        guard state.hasController else { return 0xFF }
        guard let first = state.output.first else { return 0 }
        return first.1 ? 0x21 : 0x01
      case 0x71: return UInt32(state.cmos[Int(state.cmosIndex & 0x7F)])
      default: return UInt32(state.latches[Int(offset)])
      }
    }
  }

  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let byte = UInt8(truncatingIfNeeded: value)
    state.withLock { state in
      state.log.append((offset, byte))
      switch offset {
      case 0x60: Self.controllerData(byte, &state)
      case 0x64:
        state.lastCommand = byte
        if byte == 0x20 { state.output.append((state.commandByte, false)) }
      case 0x70: state.cmosIndex = byte
      case 0x71: state.cmos[Int(state.cmosIndex & 0x7F)] = byte
      case 0x3F8...0x3FF, 0x20, 0x21, 0xA0, 0xA1, 0x92: state.latches[Int(offset)] = byte
      default: break
      }
    }
  }

  private static func controllerData(_ byte: UInt8, _ state: inout State) {
    switch state.lastCommand {
    case 0x60: state.commandByte = byte
    case 0xD4:
      state.output.append((0xFA, true))
      if byte == 0xFF { state.output += [(0xAA, true), (0x00, true)] }
      if byte == 0xE9 { state.output += [(0x20, true), (0x02, true), (0x64, true)] }
    default: break
    }
    state.lastCommand = 0
  }

  func writes(to port: UInt16) -> [UInt8] {
    state.withLock { $0.log.filter { $0.port == port }.map(\.value) }
  }
}

/// Disks that answer what a test wants.
final class DiskDouble: FirmwareService, BootLoader {
  let results: [BootDevice: BootResult]
  let drives: DriveInventory

  init(_ results: [BootDevice: BootResult] = [:], drives: DriveInventory = DriveInventory()) {
    self.results = results
    self.drives = drives
  }

  func serve(_ call: inout FirmwareCall) -> FirmwareOutcome {
    call.ax = 0x1313
    return .done
  }
  func prepareForBoot() -> DriveInventory { drives }
  func bootTitle(_ device: BootDevice) -> String? {
    results[device] == nil ? nil : "a \(device.rawValue)"
  }
  func loadBootCode(from device: BootDevice) -> BootResult {
    results[device] ?? .failed("\(device.rawValue): no medium.")
  }
}

final class VideoDouble: FirmwareService {
  func serve(_ call: inout FirmwareCall) -> FirmwareOutcome {
    call.ax = 0x1010
    return .done
  }
}

/// A firmware over 18 MiB of memory, with a caller whose stack is at 0000:7000.
struct FirmwareFixture {
  let space: AddressSpace
  let ports = PortsDouble()
  let clock = ManualClock()
  let firmware: Firmware
  var data: BIOSDataArea { BIOSDataArea(space) }

  static let stack: UInt16 = 0x7000

  init(
    disk: DiskDouble = DiskDouble(), configuration: FirmwareConfiguration? = nil, post: Bool = true
  ) throws {
    space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    let size = 18 << 20
    let memory = try MemoryBlock(name: "ram", size: size)
    try space.map(memory, size: 0xA0000, at: 0)
    try space.map(memory, offset: 1 << 20, size: size - 1 << 20, at: 1 << 20)
    let rom = try MemoryBlock(name: "rom", size: ROMImage.size)
    if let bytes = rom.bytes(at: 0, count: ROMImage.size) { bytes.copyBytes(from: ROMImage.bytes) }
    try space.map(rom, size: ROMImage.size, at: ROMImage.address, readOnly: true)
    let bus = PortBus()
    try bus.register(ports, at: 0...0xFFFF)
    let clock = clock
    firmware = Firmware(
      configuration: configuration ?? FirmwareConfiguration(ramBelow4G: UInt64(size)),
      space: space, ports: bus, clock: clock, video: VideoDouble(), disk: disk,
      pause: { clock.advance($0) })
    if post { _ = call(0xF0) }
  }

  /// A call's registers and outcome.
  struct Result {
    var call: FirmwareCall
    var outcome: FirmwareOutcome
  }

  /// Traps as the ROM's slot does; FLAGS on the caller's stack are 0202h.
  @discardableResult
  func call(
    _ slot: UInt8, flags: UInt16 = 0x0202, stack: UInt16 = Self.stack,
    _ prepare: (inout FirmwareCall) -> Void = { _ in }
  ) -> Result {
    var registers = Registers()
    registers.rsp = UInt64(stack)
    space.store(UInt16(0x1234), at: UInt64(stack))
    space.store(UInt16(0x0800), at: UInt64(stack) + 2)
    space.store(flags, at: UInt64(stack) + 4)
    var system = SystemRegisters()
    system.cs.selector = 0xF000
    system.cs.base = 0xF0000
    var call = FirmwareCall(registers: registers, system: system, space: space)
    prepare(&call)
    let outcome = firmware.serve(slot: slot, call: &call)
    return Result(call: call, outcome: outcome)
  }

  /// Feeds a scan code to the second half of INT 09h; the answer is its action.
  @discardableResult
  func scan(_ codes: UInt8...) -> UInt16 {
    var action: UInt16 = 0
    for code in codes { action = call(0xF1) { $0.al = code }.call.ax }
    return action
  }

  /// What INT 16h AH=`function` reads, or nil where it waits.
  func key(_ function: UInt8 = 0x10) -> UInt16? {
    let result = call(0x16) { $0.ah = function }
    return result.outcome == .wait ? nil : result.call.ax
  }
}
