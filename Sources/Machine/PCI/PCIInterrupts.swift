import KVMEngine
import Synchronization

/// Interrupt wires that several sources share: a wire is high while any of its sources drives it
/// (wired OR). Lock order: after every device, before the interrupt controllers.
public final class SharedInterrupts: InterruptSink {
  private static let wires = 16
  private let levels = Mutex([UInt32](repeating: 0, count: SharedInterrupts.wires))
  private let sink: any InterruptSink

  /// - Parameter sink: where wires 0 to 15 end.
  public init(sink: any InterruptSink) { self.sink = sink }

  /// Wire `number` (0 to 15) as source `source` (0 to 31) drives it.
  public func line(_ number: Int, source: Int) -> InterruptLine {
    InterruptLine(sink: self, number: number | source << 4)
  }

  public func setLine(_ number: Int, asserted: Bool) {
    let wire = number & 15
    let bit: UInt32 = 1 << UInt32(truncatingIfNeeded: number >> 4 & 31)
    levels.withLock { levels in
      let before = levels[wire]
      levels[wire] = asserted ? before | bit : before & ~bit
      if (before != 0) != (levels[wire] != 0) { sink.setLine(wire, asserted: !(before != 0)) }
    }
  }
}

/// The four PCI interrupt wires and where the ISA bridge sends them (82371SB PIIX3 datasheet, 2.2.8
/// "PIRQRC"): to an ISA interrupt each, which both the 8259 pair and the I/O APIC see.
///
/// Pin INTA# of the functions in slot s is PIRQ (s - 1) mod 4, INTB# the next. A wire is level
/// triggered and shared. Lock order: after every device and function, before ``SharedInterrupts``.
public final class PCIInterrupts: Sendable {
  /// Wires PIRQA to PIRQD.
  static let wires = 4
  /// Of a routing register: the wire goes nowhere.
  static let unrouted: UInt8 = 0x80

  private struct State {
    /// For each wire the functions that drive it, bit n for function n of the bus.
    var sources = [UInt64](repeating: 0, count: PCIInterrupts.wires)
    var routes = [UInt8](repeating: PCIInterrupts.unrouted, count: PCIInterrupts.wires)
    /// ISA interrupts that are high.
    var driven: UInt16 = 0
  }

  private let state = Mutex(State())
  private let shared: SharedInterrupts
  private let source: Int
  private let message: @Sendable (MessageSignalledInterrupt) -> Void

  /// - Parameters:
  ///   - source: the number by which the shared wires know PCI.
  ///   - message: takes the messages of functions that interrupt by writing one.
  public init(
    shared: SharedInterrupts, source: Int,
    message: @escaping @Sendable (MessageSignalledInterrupt) -> Void
  ) {
    self.shared = shared
    self.source = source
    self.message = message
  }

  /// Sends a function's message to the local APICs.
  func send(_ message: MessageSignalledInterrupt) { self.message(message) }

  /// Which wire pin `pin` (0 for INTA#) of slot `slot` is.
  static func wire(slot: Int, pin: Int) -> Int { (slot &- 1 &+ pin) & 3 }

  /// Function number `function` (0 to 63) drives wire `wire`.
  func set(function: Int, wire: Int, asserted: Bool) {
    let bit: UInt64 = 1 << UInt64(truncatingIfNeeded: function & 63)
    state.withLock { state in
      if asserted { state.sources[wire & 3] |= bit } else { state.sources[wire & 3] &= ~bit }
      drive(&state)
    }
  }

  /// The routing registers changed.
  func setRoutes(_ routes: [UInt8]) {
    guard routes.count == Self.wires else { return }
    state.withLock { state in
      state.routes = routes
      drive(&state)
    }
  }

  private func drive(_ state: inout State) {
    var wanted: UInt16 = 0
    for wire in 0..<Self.wires where state.sources[wire] != 0 {
      if state.routes[wire] & Self.unrouted == 0 { wanted |= 1 << UInt16(state.routes[wire] & 15) }
    }
    let changed = wanted ^ state.driven
    state.driven = wanted
    for irq in 0..<16 where changed >> UInt16(irq) & 1 != 0 {
      shared.line(irq, source: source).set(wanted >> UInt16(irq) & 1 != 0)
    }
  }
}
