import KVMEngine
import Synchronization

/// PCI bus 0 and its configuration mechanism 1 (PCI Local Bus Specification 3.0, 3.2.2.3.2): the
/// address register at CF8h and the data at CFCh. There is no other bus.
///
/// The functions are constant once the machine is built.
public final class PCIBus: Device, @unchecked Sendable {
  // SAFETY: `functions` and `attached` change only while the machine is built; `address` is atomic.
  /// The address register.
  public struct SavedState: Codable, Equatable, Sendable {
    var address: UInt32 = 0
  }

  private static let slots = 32
  private static let functionsPerSlot = 8
  /// Functions that a bus takes: interrupt wires tell them apart by a bit each.
  private static let maximumFunctions = 64
  /// Bits of the address register: enable, bus, device, function, register.
  private static let addressBits: UInt32 = 0x80FF_FFFC
  private static let enable: UInt32 = 0x8000_0000

  public let name = "pci"
  /// Memory that functions have.
  public let memory: PCIMemory
  /// Ports that functions have.
  public let ports: PCIPorts
  let interrupts: PCIInterrupts
  private var functions = [PCIFunction?](repeating: nil, count: slots * functionsPerSlot)
  /// The functions and where they sit, in the order of their numbers.
  private(set) var attached: [(slot: Int, number: Int, function: PCIFunction)] = []
  private let address = Atomic<UInt32>(0)

  public init(memory: PCIMemory, ports: PCIPorts, interrupts: PCIInterrupts) {
    self.memory = memory
    self.ports = ports
    self.interrupts = interrupts
  }

  /// Puts `function` on the bus as function `number` (0 to 7) of slot `slot` (0 to 31). Only while
  /// the machine is built; function 0 of a slot first.
  public func attach(_ function: PCIFunction, slot: Int, number: Int = 0) throws(BusError) {
    let index = slot * Self.functionsPerSlot + number
    guard functions.indices.contains(index), attached.count < Self.maximumFunctions else {
      throw .full
    }
    guard functions[index] == nil else { throw .occupied(UInt64(index)) }
    try function.attach(to: self, slot: slot, number: attached.count)
    functions[index] = function
    attached.append((slot, number, function))
    attached.sort { ($0.slot, $0.number) < ($1.slot, $1.number) }
    if number > 0 { functions[slot * Self.functionsPerSlot]?.markMultifunction() }
  }

  /// Function `number` of slot `slot` on bus `bus`.
  func function(bus: Int, slot: Int, number: Int) -> PCIFunction? {
    guard bus == 0, 0..<Self.slots ~= slot, 0..<Self.functionsPerSlot ~= number else { return nil }
    return functions[slot * Self.functionsPerSlot + number]
  }

  // MARK: Mechanism 1

  /// CF8h as a doubleword.
  var addressRegister: UInt32 {
    get { address.load(ordering: .relaxed) }
    set { address.store(newValue & Self.addressBits, ordering: .relaxed) }
  }

  private var selected: (function: PCIFunction, register: Int)? {
    let address = addressRegister
    guard address & Self.enable != 0,
      let function = function(
        bus: Int(address >> 16 & 0xFF), slot: Int(address >> 11 & 31),
        number: Int(address >> 8 & 7))
    else { return nil }
    return (function, Int(address & 0xFC))
  }

  public func reset() { addressRegister = 0 }

  public func save() -> SavedState { SavedState(address: addressRegister) }

  public func restore(_ state: SavedState) throws(RestoreError) {
    guard state.address & ~Self.addressBits == 0 else {
      throw RestoreError(device: name, problem: "the address register has bits that it lacks")
    }
    addressRegister = state.address
  }
}

/// Ports CFCh to CFFh: four bytes of the register that CF8h selects. What nobody has reads as all
/// ones.
extension PCIBus: PortDevice {
  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    let first = Int(offset & 3)
    guard let place = selected else { return UInt32(truncatingIfNeeded: width.mask) }
    guard first + width.bytes <= 4 else {
      // An access that runs out of the doubleword: its bytes beyond are nobody's.
      let inside = place.function.read(place.register, width: .dword) >> UInt32(first * 8)
      return inside | UInt32(truncatingIfNeeded: UInt64.max << UInt64((4 - first) * 8))
    }
    return place.function.read(place.register + first, width: width)
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let first = Int(offset & 3)
    guard let place = selected else { return }
    guard first + width.bytes > 4 else {
      return place.function.write(place.register + first, width: width, value: value)
    }
    for index in 0..<(4 - first) {
      place.function.write(
        place.register + first + index, width: .byte, value: value >> UInt32(index * 8) & 0xFF)
    }
  }
}

/// Ports CF8h to CFBh: a 32-bit access is PCI's configuration address, and must not be mistaken for
/// a byte written to the reset register at CF9h inside it.
final class ConfigurationAddressPorts: PortDevice {
  private let reset: ResetControl
  private let bus: PCIBus
  private static let resetOffset: UInt16 = 1

  init(reset: ResetControl, bus: PCIBus) {
    self.reset = reset
    self.bus = bus
  }

  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    if offset == 0, width == .dword { return bus.addressRegister }
    guard offset == Self.resetOffset, width == .byte else {
      return UInt32(truncatingIfNeeded: width.mask)
    }
    return reset.readPort(0, width: .byte)
  }

  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    if offset == 0, width == .dword { bus.addressRegister = value }
    guard offset == Self.resetOffset, width == .byte else { return }
    reset.writePort(0, width: .byte, value: value)
  }
}
