import KVMEngine
import Synchronization

/// Which part of an address space a device answers, where that changes while the guest runs: a base
/// address register, or a block that a register of the chipset moves.
///
/// The set of parts is constant once the machine is built and each part's place is one atomic, so
/// that vCPUs look an address up without a lock and nothing grows however often a guest moves it.
public final class PCIDecoder: @unchecked Sendable {
  // SAFETY: `count`, `sizes` and `devices` change only while the machine is built; `bases` has
  // `capacity` atomics from init to deinit.
  private static let capacity = 128
  private static let nowhere = UInt64.max

  private let bases: UnsafeMutablePointer<Atomic<UInt64>>
  private let sizes: UnsafeMutablePointer<UInt64>
  private var count = 0

  init() {
    bases = .allocate(capacity: Self.capacity)
    sizes = .allocate(capacity: Self.capacity)
    for index in 0..<Self.capacity {
      (bases + index).initialize(to: Atomic(Self.nowhere))
      (sizes + index).initialize(to: 0)
    }
  }

  deinit {
    bases.deinitialize(count: Self.capacity)
    bases.deallocate()
    sizes.deallocate()
  }

  /// Makes a part of `size` addresses that is nowhere yet. Only while the machine is built.
  /// - Returns: its number.
  func add(size: UInt64) throws(BusError) -> Int {
    guard count < Self.capacity else { throw .full }
    sizes[count] = size
    count += 1
    return count - 1
  }

  /// Puts part `index` to `base`, or nowhere. Any thread.
  func place(_ index: Int, at base: UInt64?) {
    guard 0..<count ~= index else { return }
    bases[index].store(base ?? Self.nowhere, ordering: .releasing)
  }

  /// The part that answers `address`, and how far in it that is; the first where several do.
  @inline(__always)
  func find(_ address: UInt64) -> (index: Int, offset: UInt64)? {
    for index in 0..<count {
      let base = bases[index].load(ordering: .acquiring)
      let offset = address &- base
      if offset < sizes[index], base != Self.nowhere { return (index, offset) }
    }
    return nil
  }
}

/// Memory between RAM and the interrupt controllers: whatever PCI function has it at the moment.
public final class PCIMemory: MemoryDevice, @unchecked Sendable {
  // SAFETY: `targets` and `devices` change only while the machine is built.
  private struct Target { unowned(unsafe) let device: any MemoryDevice }

  /// The addresses that functions can have.
  public let hole: ClosedRange<UInt64>
  private let decoder = PCIDecoder()
  private var targets: [Target] = []
  private var devices: [any MemoryDevice] = []

  /// - Parameter hole: what the memory bus gives PCI.
  public init(hole: ClosedRange<UInt64>) { self.hole = hole }

  /// Gives `device` a part of `size` bytes that is nowhere yet. Only while the machine is built.
  /// - Returns: what moves the part.
  func add(_ device: any MemoryDevice, size: UInt64) throws(BusError) -> @Sendable (UInt64?) -> Void
  {
    let index = try decoder.add(size: size)
    targets.append(Target(device: device))
    devices.append(device)
    return { [decoder] in decoder.place(index, at: $0) }
  }

  /// Whether `size` bytes at `base` lie in the hole.
  func holds(_ base: UInt64, size: UInt64) -> Bool {
    base >= hole.lowerBound && base <= hole.upperBound && hole.upperBound - base >= size &- 1
  }

  public func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    guard let place = decoder.find(hole.lowerBound &+ offset) else { return width.mask }
    return targets[place.index].device.readMemory(place.offset, width: width)
  }

  public func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    guard let place = decoder.find(hole.lowerBound &+ offset) else { return }
    targets[place.index].device.writeMemory(place.offset, width: width, value: value)
  }
}

/// The ports that no device of the board has: whatever PCI function has them at the moment. Offsets
/// are ports.
public final class PCIPorts: PortDevice, @unchecked Sendable {
  // SAFETY: `targets` and `devices` change only while the machine is built.
  private struct Target {
    unowned(unsafe) let device: any PortDevice
    let wiring: PortWiring
  }

  private let decoder = PCIDecoder()
  private var targets: [Target] = []
  private var devices: [any PortDevice] = []

  public init() {}

  /// Gives `device` a part of `size` ports that is nowhere yet. Only while the machine is built.
  /// - Returns: what moves the part.
  func add(
    _ device: any PortDevice, size: UInt64, wiring: PortWiring
  ) throws(BusError) -> @Sendable (UInt64?) -> Void {
    let index = try decoder.add(size: size)
    targets.append(Target(device: device, wiring: wiring))
    devices.append(device)
    return { [decoder] in decoder.place(index, at: $0) }
  }

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    guard let place = decoder.find(UInt64(offset)) else {
      return UInt32(truncatingIfNeeded: width.mask)
    }
    let target = targets[place.index]
    let first = UInt16(truncatingIfNeeded: place.offset)
    guard target.wiring == .bytes, width != .byte else {
      return target.device.readPort(first, width: width)
    }
    var value: UInt32 = 0
    for index in 0..<UInt16(truncatingIfNeeded: width.bytes) {
      value |= (readPort(offset &+ index, width: .byte) & 0xFF) << (UInt32(index) * 8)
    }
    return value
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    guard let place = decoder.find(UInt64(offset)) else { return }
    let target = targets[place.index]
    guard target.wiring == .bytes, width != .byte else {
      let first = UInt16(truncatingIfNeeded: place.offset)
      return target.device.writePort(first, width: width, value: value)
    }
    for index in 0..<UInt16(truncatingIfNeeded: width.bytes) {
      writePort(offset &+ index, width: .byte, value: (value >> (UInt32(index) * 8)) & 0xFF)
    }
  }
}
