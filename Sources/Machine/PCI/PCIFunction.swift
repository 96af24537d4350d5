import KVMEngine
import Synchronization

/// What the header of a PCI function says (PCI Local Bus Specification 3.0, 6.2.1).
public struct PCIIdentity: Sendable {
  public var vendor: UInt16
  public var device: UInt16
  public var revision: UInt8
  /// Class, subclass and programming interface, 24 bits.
  public var classCode: UInt32
  public var subsystemVendor: UInt16
  public var subsystem: UInt16
  /// The interrupt pin that the function uses, 0 for INTA#; nil for none.
  public var interruptPin: Int?
  /// The command register after reset.
  public var command: UInt16 = 0
  /// Bits of the command register that a guest can write.
  public var writableCommand = PCICommand.writable
  /// The status register after reset.
  public var status: UInt16 = PCIStatus.fastBackToBack | PCIStatus.mediumDecode

  public init(
    vendor: UInt16, device: UInt16, revision: UInt8 = 0, classCode: UInt32,
    subsystemVendor: UInt16 = 0, subsystem: UInt16 = 0, interruptPin: Int? = nil
  ) {
    self.vendor = vendor
    self.device = device
    self.revision = revision
    self.classCode = classCode
    self.subsystemVendor = subsystemVendor
    self.subsystem = subsystem
    self.interruptPin = interruptPin
  }
}

/// What a base address register gives addresses to.
public struct PCIRegion: Sendable {
  /// Who answers there.
  public enum Target: Sendable {
    case ports(any PortDevice, wiring: PortWiring)
    case memory(any MemoryDevice, isPrefetchable: Bool)
  }
  /// Who answers.
  public let target: Target
  /// Ports or bytes, a power of two: 4 ports or 4 KiB at least.
  public let size: UInt32
  /// Called with the region's new address, or nil where it is not decoded: for memory that is mapped
  /// into the guest. The function's lock is held.
  public let moved: (@Sendable (UInt64?) -> Void)?

  public init(
    _ target: Target, size: UInt32, moved: (@Sendable (UInt64?) -> Void)? = nil
  ) {
    self.target = target
    self.size = size
    self.moved = moved
  }
}

/// One function of a PCI device: its configuration space, its regions, its interrupt pin. The
/// device behind it is another object, which gets ``interruptLine``.
///
/// Lock order: the function's, then its device's (through `moved` and `changed`), then the interrupt
/// wires'. A device drives its wire with its own lock held; that takes none of the function's.
/// Not modelled: power management and parity errors.
public final class PCIFunction: Device, InterruptSink, @unchecked Sendable {
  // SAFETY: `regions`, the masks, `powerOn`, `messageCapability`, `changed` and `seat` change only while the machine is
  // built; everything else locks.
  /// The configuration space.
  public struct SavedState: Codable, Equatable, Sendable {
    var space = PCIConfigurationSpace()
  }

  /// Number of the region that the expansion ROM's base address register has.
  public static let romRegion = 6

  /// Where the function sits, once it is on a bus.
  private struct Seat {
    let interrupts: PCIInterrupts
    let number: Int
    let wire: Int
    var place: [@Sendable (UInt64?) -> Void]
    let memory: PCIMemory
  }

  private struct Guarded {
    var space: PCIConfigurationSpace
    /// Where each region is.
    var placed = [UInt64?](repeating: nil, count: PCIFunction.romRegion + 1)
  }

  private struct Wire {
    var asserted = false
    var disabled = false
    var driven = false
    /// What the guest had the function send instead of driving its pin.
    var messages = MessageCapability.Setting.off
  }

  public let name: String
  private var powerOn = PCIConfigurationSpace()
  private var writable = PCIConfigurationSpace()
  private var clearable = PCIConfigurationSpace()
  private var regions = [PCIRegion?](repeating: nil, count: PCIFunction.romRegion + 1)
  private var messageCapability: Int?
  private var changed: (@Sendable (PCIConfigurationSpace) -> Void)?
  private var seat: Seat?
  private let state: Mutex<Guarded>
  private let wire = Mutex(Wire())

  public init(name: String, _ identity: PCIIdentity) {
    self.name = name
    powerOn.set(word: identity.vendor, at: PCIRegister.vendor)
    powerOn.set(word: identity.device, at: PCIRegister.device)
    powerOn.set(word: identity.command, at: PCIRegister.command)
    powerOn.set(word: identity.status, at: PCIRegister.status)
    powerOn.set(
      dword: identity.classCode << 8 | UInt32(identity.revision), at: PCIRegister.revision)
    powerOn.set(word: identity.subsystemVendor, at: PCIRegister.subsystemVendor)
    powerOn.set(word: identity.subsystem, at: PCIRegister.subsystem)
    if let pin = identity.interruptPin {
      powerOn[PCIRegister.interruptPin] = UInt8(truncatingIfNeeded: pin & 3) + 1
    }
    writable.set(word: identity.writableCommand, at: PCIRegister.command)
    writable[PCIRegister.cacheLineSize] = 0xFF
    writable[PCIRegister.latencyTimer] = 0xFF
    writable[PCIRegister.interruptLine] = 0xFF
    clearable.set(word: PCIStatus.errors, at: PCIRegister.status)
    state = Mutex(Guarded(space: powerOn))
  }

  // MARK: Building

  /// Gives base address register `index` (0 to 5, or ``romRegion``) a region.
  public func setRegion(_ index: Int, _ region: PCIRegion) {
    guard regions.indices.contains(index) else { return }
    regions[index] = region
    let offset = Self.baseRegister(index)
    let mask = ~(region.size &- 1)
    switch region.target {
    case .ports:
      powerOn.set(dword: 1, at: offset)
      writable.set(dword: mask & ~3, at: offset)
    case .memory(_, let isPrefetchable):
      powerOn.set(dword: isPrefetchable ? 8 : 0, at: offset)
      writable.set(dword: index == Self.romRegion ? mask | 1 : mask & ~0xF, at: offset)
    }
    state.withLock { $0.space = powerOn }
  }

  /// Sets byte `offset` after reset to `value`, of which a guest can write the bits of `writable`
  /// and clear those of `clearable` by writing ones.
  public func define(
    _ offset: Int, _ value: UInt8, writable mask: UInt8 = 0, clearable clearMask: UInt8 = 0
  ) {
    powerOn[offset] = value
    writable[offset] = mask
    clearable[offset] = clearMask
    state.withLock { $0.space = powerOn }
  }

  /// Has `handler` told of every change of the configuration space, by guest, reset or restore. The
  /// function's lock is held.
  public func onChange(_ handler: @escaping @Sendable (PCIConfigurationSpace) -> Void) {
    changed = handler
  }

  /// The function's interrupt pin, for the device behind it. It goes nowhere before the function
  /// is on a bus, or where the function has no pin.
  public var interruptLine: InterruptLine { InterruptLine(sink: self, number: 0) }

  /// Gives the function message-signalled interrupts, with the capability at `offset` (40h on, a
  /// multiple of 4). One capability is all a function has.
  public func addMessages(at offset: Int) {
    powerOn[PCIRegister.capabilities] = UInt8(truncatingIfNeeded: offset)
    powerOn.set(
      word: powerOn.word(PCIRegister.status) | PCIStatus.hasCapabilities, at: PCIRegister.status)
    for (index, byte) in MessageCapability.bytes.enumerated() {
      define(offset + index, byte.value, writable: byte.writable)
    }
    messageCapability = offset
  }

  /// Sends the function's message.
  /// - Returns: false where the guest has not turned messages on, and the pin counts.
  func sendMessage() -> Bool {
    wire.withLock { wire in
      guard case .on(let message) = wire.messages else { return false }
      if let message { seat?.interrupts.send(message) }
      return true
    }
  }

  /// Puts the function into a slot. Only while the machine is built.
  func attach(to bus: PCIBus, slot: Int, number: Int) throws(BusError) {
    var place: [@Sendable (UInt64?) -> Void] = []
    for region in regions {
      guard let region else {
        place.append { _ in }
        continue
      }
      switch region.target {
      case .ports(let device, let wiring):
        place.append(try bus.ports.add(device, size: UInt64(region.size), wiring: wiring))
      case .memory(let device, _):
        place.append(try bus.memory.add(device, size: UInt64(region.size)))
      }
    }
    let pin = max(0, Int(powerOn[PCIRegister.interruptPin]) - 1)
    seat = Seat(
      interrupts: bus.interrupts, number: number,
      wire: PCIInterrupts.wire(slot: slot, pin: pin), place: place, memory: bus.memory)
  }

  /// Says in the header that the device has further functions.
  func markMultifunction() {
    powerOn[PCIRegister.headerType] |= 0x80
    state.withLock { $0.space[PCIRegister.headerType] |= 0x80 }
  }

  /// The wire of the function's pin, 0 for PIRQA; nil without a pin.
  var interruptWire: Int? { powerOn[PCIRegister.interruptPin] == 0 ? nil : seat?.wire }

  /// Regions by number.
  var regionList: [(index: Int, region: PCIRegion)] {
    regions.indices.compactMap { index in regions[index].map { (index, $0) } }
  }

  static func baseRegister(_ index: Int) -> Int {
    index == romRegion ? PCIRegister.romBase : PCIRegister.firstBase + 4 * index
  }

  // MARK: The guest's accesses

  /// The bytes from `offset` on; beyond the space all ones.
  func read(_ offset: Int, width: AccessWidth) -> UInt32 {
    let space = state.withLock { $0.space }
    var value: UInt32 = 0
    for index in 0..<min(width.bytes, 4) {
      var byte = space[offset &+ index]
      if offset &+ index == PCIRegister.status, wire.withLock({ $0.asserted }) {
        byte |= UInt8(truncatingIfNeeded: PCIStatus.interrupt)
      }
      value |= UInt32(byte) << UInt32(index * 8)
    }
    return value
  }

  /// Writes what can be written of the bytes from `offset` on.
  func write(_ offset: Int, width: AccessWidth, value: UInt32) {
    state.withLock { state in
      let old = state.space
      for index in 0..<min(width.bytes, 4) {
        let at = offset &+ index
        guard 0..<PCIConfigurationSpace.size ~= at else { continue }
        let byte = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
        let mask = writable[at]
        state.space[at] = (old[at] & ~mask | byte & mask) & ~(byte & clearable[at])
      }
      if state.space != old { apply(&state) }
    }
  }

  /// What the space holds now.
  var space: PCIConfigurationSpace { state.withLock { $0.space } }

  // MARK: Device

  public func reset() {
    state.withLock { state in
      state.space = powerOn
      apply(&state)
    }
  }

  public func save() -> SavedState { SavedState(space: space) }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    guard let space = PCIConfigurationSpace(saved.space.bytes) else {
      throw RestoreError(device: name, problem: "the configuration space has another size")
    }
    for at in 0..<PCIConfigurationSpace.size {
      let constant = ~(writable[at] | clearable[at])
      guard (space[at] ^ powerOn[at]) & constant == 0 else {
        throw RestoreError(device: name, problem: "byte \(at) of the configuration space is fixed")
      }
    }
    state.withLock { state in
      state.space = space
      apply(&state)
    }
  }

  /// Carries the space's meaning to everyone concerned.
  private func apply(_ state: inout Guarded) {
    let command = state.space.word(PCIRegister.command)
    for (index, region) in regions.enumerated() {
      guard let region, let seat else { continue }
      let base = Self.decodedBase(state.space, index, region, command, seat.memory)
      guard base != state.placed[index] else { continue }
      state.placed[index] = base
      seat.place[index](base)
      region.moved?(base)
    }
    let messages = messageCapability.map { MessageCapability.setting(state.space, at: $0) } ?? .off
    drive {
      $0.disabled = command & PCICommand.interruptDisable != 0
      $0.messages = messages
    }
    changed?(state.space)
  }

  /// Where a region is decoded; nil where it is not, or lies where PCI has no addresses.
  private static func decodedBase(
    _ space: PCIConfigurationSpace, _ index: Int, _ region: PCIRegion, _ command: UInt16,
    _ memory: PCIMemory
  ) -> UInt64? {
    let register = space.dword(baseRegister(index))
    let base = UInt64(register & ~(region.size &- 1))
    switch region.target {
    case .ports:
      let fits = base > 0 && base + UInt64(region.size) <= 0x1_0000
      return command & PCICommand.ports != 0 && fits ? base : nil
    case .memory:
      if index == romRegion && register & 1 == 0 { return nil }
      let fits = memory.holds(base, size: UInt64(region.size))
      return command & PCICommand.memory != 0 && fits ? base : nil
    }
  }

  // MARK: The interrupt pin

  public func setLine(_ number: Int, asserted: Bool) { drive { $0.asserted = asserted } }

  private func drive(_ change: (inout Wire) -> Void) {
    wire.withLock { wire in
      change(&wire)
      let level = wire.asserted && !wire.disabled && wire.messages == .off
      guard level != wire.driven, let seat, powerOn[PCIRegister.interruptPin] != 0 else { return }
      wire.driven = level
      seat.interrupts.set(function: seat.number, wire: seat.wire, asserted: level)
    }
  }
}
