import Synchronization

/// The PC's two cascaded 8259A interrupt controllers with their edge/level control registers
/// (8259A datasheet; ELCR: 82371SB PIIX3 datasheet, 2.5.3).
///
/// The slave's INT output is the master's input 2, and both change in one moment, so that a slave's
/// request withdrawn too late is a spurious input 7 of the master. Not modelled: what ``I8259``
/// names. The output closure is called with the pair's lock held and must not call back.
public final class I8259Pair: Device {
  /// Both chips.
  public struct SavedState: Codable, Equatable, Sendable {
    var master = I8259()
    var slave = I8259()
  }

  /// The master's input that the slave drives.
  static let cascadeInput: UInt8 = 2
  /// Inputs that ELCR can make level-triggered; IRQ 0, 1, 2, 8 and 13 are edges always.
  static let switchableInputs: (master: UInt8, slave: UInt8) = (0xF8, 0xDE)

  private let wires: Wires

  public let name = "i8259"
  /// The master's two ports, 0x20 in a PC.
  public let master: any PortDevice
  /// The slave's two ports, 0xA0 in a PC.
  public let slave: any PortDevice
  /// ELCR1 and ELCR2, 0x4D0 in a PC.
  public let elcr: any PortDevice

  /// - Parameter output: the master's INT wire went high or low.
  public init(output: @escaping @Sendable (Bool) -> Void) {
    wires = Wires(output: output)
    master = ChipPorts(wires: wires, isMaster: true)
    slave = ChipPorts(wires: wires, isMaster: false)
    elcr = ELCRPorts(wires: wires)
  }

  /// Drives IRQ `irq` (0 to 15; 2 is the cascade and has no wire).
  public func setLine(_ irq: Int, asserted: Bool) {
    guard (0...15).contains(irq), irq != Int(Self.cascadeInput) else { return }
    let input = UInt8(truncatingIfNeeded: irq & 7)
    wires.change { state in
      if irq < 8 {
        state.master.setLine(input, asserted: asserted)
      } else {
        state.slave.setLine(input, asserted: asserted)
      }
    }
  }

  /// INTR as the processor samples it, without a lock.
  public var interruptPending: Bool { wires.sample() }

  /// The processor's INTA cycle.
  /// - Returns: the vector. Where the request went away after the processor saw INTR, that is the
  ///   vector of the chip's input 7, with nothing in service. Nil where INTR was not seen high.
  public func acknowledge() -> UInt8? { wires.acknowledge() }

  public func reset() {
    wires.change { state in
      let lines = (state.master.lines & ~(1 << Self.cascadeInput), state.slave.lines)
      state = SavedState()
      state.master.lines = lines.0
      state.slave.lines = lines.1
    }
  }

  public func save() -> SavedState { wires.state }

  public func restore(_ state: SavedState) throws(RestoreError) {
    for chip in [state.master, state.slave] {
      if let problem = chip.problem { throw RestoreError(device: name, problem: problem) }
    }
    wires.replace(state)
  }
}

/// The chips behind their lock, and INTR.
private final class Wires: Sendable {
  private let chips = Mutex(I8259Pair.SavedState())
  /// The level that was last told to `output`.
  private let intr = Atomic(false)
  /// Whether the processor's last look at INTR found it high.
  private let sampled = Atomic(false)
  private let output: @Sendable (Bool) -> Void

  init(output: @escaping @Sendable (Bool) -> Void) { self.output = output }

  var state: I8259Pair.SavedState { chips.withLock { $0 } }

  func sample() -> Bool {
    let level = intr.load(ordering: .acquiring)
    sampled.store(level, ordering: .relaxed)
    return level
  }

  func change<Result: Sendable>(
    _ body: (inout I8259Pair.SavedState) -> Result
  ) -> Result {
    chips.withLock { state in
      let result = body(&state)
      settle(&state)
      return result
    }
  }

  func replace(_ new: I8259Pair.SavedState) {
    chips.withLock { state in
      state = new
      settle(&state)
      output(state.master.output)
    }
  }

  func acknowledge() -> UInt8? {
    let wasSampled = sampled.exchange(false, ordering: .relaxed)
    return chips.withLock { state -> UInt8? in
      defer { settle(&state) }
      guard let input = state.master.acknowledge() else {
        return wasSampled ? state.master.vectorBase | 7 : nil
      }
      guard input == I8259Pair.cascadeInput, state.master.cascade & (1 << input) != 0 else {
        return state.master.vectorBase | input
      }
      let slaveInput = state.slave.acknowledge() ?? 7
      // The slave drops INT in the INTA cycle, so that a further request is a new edge.
      state.master.setLine(I8259Pair.cascadeInput, asserted: false)
      return state.slave.vectorBase | slaveInput
    }
  }

  /// Carries the slave's INT to the master and the master's to the processor.
  private func settle(_ state: inout I8259Pair.SavedState) {
    state.master.setLine(I8259Pair.cascadeInput, asserted: state.slave.output)
    let level = state.master.output
    if intr.exchange(level, ordering: .acquiringAndReleasing) != level { output(level) }
  }
}

/// The two ports of one chip.
private final class ChipPorts: PortDevice {
  private let wires: Wires
  private let isMaster: Bool

  init(wires: Wires, isMaster: Bool) {
    self.wires = wires
    self.isMaster = isMaster
  }

  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    let odd = offset & 1 != 0
    return UInt32(
      wires.change { isMaster ? $0.master.read(odd: odd) : $0.slave.read(odd: odd) })
  }

  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let odd = offset & 1 != 0
    let byte = UInt8(truncatingIfNeeded: value)
    wires.change { state in
      if isMaster { state.master.write(odd: odd, byte) } else { state.slave.write(odd: odd, byte) }
    }
  }
}

/// ELCR1 at offset 0 and ELCR2 at offset 1.
private final class ELCRPorts: PortDevice {
  private let wires: Wires

  init(wires: Wires) { self.wires = wires }

  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    let state = wires.state
    return UInt32(offset & 1 == 0 ? state.master.levelInputs : state.slave.levelInputs)
  }

  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let byte = UInt8(truncatingIfNeeded: value)
    wires.change { state in
      if offset & 1 == 0 {
        state.master.levelInputs = byte & I8259Pair.switchableInputs.master
      } else {
        state.slave.levelInputs = byte & I8259Pair.switchableInputs.slave
      }
    }
  }
}
