/// How a device hangs on the port bus.
public enum PortWiring: Sendable {
  /// An 8-bit device: a wider access is split into byte accesses on consecutive ports, lowest
  /// first, as the ISA bus does.
  case bytes
  /// The device sees each access at its own width.
  case native
}

/// The 64 Ki ports of the PC.
///
/// Devices are registered while the machine is built; after that the bus never changes, so vCPU
/// threads read it without a lock. A port that nobody owns reads as all ones and swallows writes.
public final class PortBus: @unchecked Sendable {
  // SAFETY: `owner` has 65,536 entries and is indexed by UInt16 only; every entry is an index into
  // `slots`, which `register` alone grows, before any vCPU thread runs. Devices are retained by
  // `devices` for as long as the bus lives.
  private struct Slot {
    unowned(unsafe) let device: any PortDevice
    let first: UInt16
    let wiring: PortWiring
  }

  private let owner: UnsafeMutablePointer<UInt8>
  private let slots: UnsafeMutablePointer<Slot?>
  private var slotCount = 1
  private var devices: [any PortDevice] = []

  private static let maximumSlots = 256

  public init() {
    owner = .allocate(capacity: 65_536)
    owner.initialize(repeating: 0, count: 65_536)
    slots = .allocate(capacity: Self.maximumSlots)
    slots.initialize(repeating: nil, count: Self.maximumSlots)
  }

  deinit {
    owner.deallocate()
    slots.deinitialize(count: Self.maximumSlots)
    slots.deallocate()
  }

  /// Gives `device` the ports of `range`. Only while the machine is built.
  /// - Throws: ``BusError`` where a port has an owner already or the bus is full.
  public func register(
    _ device: any PortDevice, at range: ClosedRange<UInt16>, wiring: PortWiring = .bytes
  ) throws(BusError) {
    guard slotCount < Self.maximumSlots else { throw .full }
    for port in range where owner[Int(port)] != 0 { throw .occupied(UInt64(port)) }
    slots[slotCount] = Slot(device: device, first: range.lowerBound, wiring: wiring)
    for port in range { owner[Int(port)] = UInt8(slotCount) }
    slotCount += 1
    devices.append(device)
  }

  /// Gives `device` all ports of `range` that nobody has, as native ones; the offsets that it is
  /// given are port numbers. Only while the machine is built, after every other device.
  public func registerRest(
    _ device: any PortDevice, in range: ClosedRange<UInt16>
  ) throws(BusError) {
    guard slotCount < Self.maximumSlots else { throw .full }
    slots[slotCount] = Slot(device: device, first: 0, wiring: .native)
    for port in range where owner[Int(port)] == 0 { owner[Int(port)] = UInt8(slotCount) }
    slotCount += 1
    devices.append(device)
  }

  /// IN. An unowned port reads as all ones.
  public func read(_ port: UInt16, width: AccessWidth) -> UInt32 {
    guard let slot = slots[Int(owner[Int(port)])] else {
      return width == .byte ? 0xFF : readBytes(port, count: width.bytes)
    }
    if slot.wiring == .bytes && width != .byte { return readBytes(port, count: width.bytes) }
    return slot.device.readPort(port &- slot.first, width: width)
  }

  /// OUT. A write to an unowned port is lost.
  public func write(_ port: UInt16, width: AccessWidth, value: UInt32) {
    let masked = value & UInt32(truncatingIfNeeded: width.mask)
    guard let slot = slots[Int(owner[Int(port)])] else {
      if width != .byte { writeBytes(port, count: width.bytes, value: masked) }
      return
    }
    if slot.wiring == .bytes && width != .byte {
      writeBytes(port, count: width.bytes, value: masked)
    } else {
      slot.device.writePort(port &- slot.first, width: width, value: masked)
    }
  }

  private func readBytes(_ port: UInt16, count: Int) -> UInt32 {
    var result: UInt32 = 0
    for index in 0..<count {
      let address = port &+ UInt16(index)
      var byte: UInt32 = 0xFF
      if let slot = slots[Int(owner[Int(address)])] {
        byte = slot.device.readPort(address &- slot.first, width: .byte) & 0xFF
      }
      result |= byte << UInt32(index * 8)
    }
    return result
  }

  private func writeBytes(_ port: UInt16, count: Int, value: UInt32) {
    for index in 0..<count {
      let address = port &+ UInt16(index)
      guard let slot = slots[Int(owner[Int(address)])] else { continue }
      slot.device.writePort(
        address &- slot.first, width: .byte, value: (value >> UInt32(index * 8)) & 0xFF)
    }
  }
}

/// A machine that was wired wrongly. A guest can't cause one.
public enum BusError: Error, CustomStringConvertible, Sendable, Equatable {
  case occupied(UInt64)
  case full

  public var description: String {
    switch self {
    case .occupied(let address): "address 0x\(String(address, radix: 16)) has a device already"
    case .full: "the bus has no room for another device"
    }
  }
}
