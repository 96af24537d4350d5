import Synchronization

/// The 82093AA I/O APIC with 24 inputs (82093AA datasheet, 290566-001), at version 0x20, whose EOI
/// register later chipsets added (ICH datasheets, "I/O APIC EOI register").
///
/// Inputs carry "asserted" or not, so the polarity bit is kept but does not act. Delivery is
/// immediate: the delivery status bit reads 0. An edge on a masked input is lost, as the datasheet
/// says. Entries in ExtINT mode deliver nothing: the 8259 pair drives the processor itself.
///
/// Lock order: device, then this, then whoever `deliver` and `routesChanged` reach; both are called
/// with the lock held and must not call back.
public final class IOAPIC: Device, MemoryDevice {
  /// Inputs of the chip.
  public static let pinCount = 24

  /// Registers and input levels.
  public struct SavedState: Codable, Equatable, Sendable {
    /// IOREGSEL.
    var selected: UInt8 = 0
    /// IOAPICID bits 24 to 27.
    var identifier: UInt8 = 0
    /// IOREDTBL, as the guest reads it.
    var entries = [RedirectionEntry](repeating: RedirectionEntry(), count: IOAPIC.pinCount)
    /// Levels of the inputs, bit n for pin n.
    var lines: UInt32 = 0
  }

  /// Offsets in the chip's page.
  private enum Offset {
    static let select: UInt64 = 0x00
    static let window: UInt64 = 0x10
    static let endOfInterrupt: UInt64 = 0x40
  }

  /// Indices that IOREGSEL takes.
  private enum Index {
    static let identifier: UInt8 = 0
    static let version: UInt8 = 1
    static let arbitration: UInt8 = 2
    static let table: UInt8 = 0x10
  }

  private static let version: UInt32 = 0x20 | UInt32(pinCount - 1) << 16

  private struct Guarded {
    var registers = SavedState()
    /// What `routesChanged` was last told.
    var routes = [MessageSignalledInterrupt?](repeating: nil, count: IOAPIC.pinCount)
  }

  private let state = Mutex(Guarded())
  private let deliver: @Sendable (MessageSignalledInterrupt) -> Void
  private let routesChanged: @Sendable ([MessageSignalledInterrupt?]) -> Void

  public let name = "ioapic"

  /// - Parameters:
  ///   - deliver: sends one interrupt.
  ///   - routesChanged: what each pin would send, one entry a pin, after a guest changed an entry.
  ///     Nil where the entry is masked and nothing of it is in service, or sends nothing: an entry
  ///     masked while its level interrupt is in service stays, so that its EOI is still told.
  public init(
    deliver: @escaping @Sendable (MessageSignalledInterrupt) -> Void,
    routesChanged: @escaping @Sendable ([MessageSignalledInterrupt?]) -> Void
  ) {
    self.deliver = deliver
    self.routesChanged = routesChanged
  }

  /// Drives pin `pin` (0 to 23).
  public func setLine(_ pin: Int, asserted: Bool) {
    guard (0..<Self.pinCount).contains(pin) else { return }
    let bit: UInt32 = 1 << UInt32(pin)
    state.withLock { state in
      let rises = asserted && state.registers.lines & bit == 0
      if asserted {
        state.registers.lines |= bit
      } else {
        state.registers.lines &= ~bit
      }
      if state.registers.entries[pin].waitsForEOI {
        serveLevel(pin, &state.registers)
      } else if rises, !state.registers.entries[pin].isMasked {
        send(state.registers.entries[pin])
      }
    }
  }

  /// A local APIC ended the service of a level-triggered `vector`: pins that are still asserted
  /// interrupt again.
  public func endOfInterrupt(vector: UInt8) {
    state.withLock { endService(vector, &$0.registers) }
  }

  public func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    let register = state.withLock { read(offset & ~3, $0.registers) }
    return UInt64(register) >> ((offset & 3) * 8)
  }

  public func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    let shift = (offset & 3) * 8
    state.withLock { state in
      // Byte enables: what the access does not cover keeps its value.
      let old = UInt64(read(offset & ~3, state.registers))
      let merged = (old & ~(width.mask << shift)) | (value << shift)
      write(offset & ~3, UInt32(truncatingIfNeeded: merged), &state)
    }
  }

  public func reset() {
    state.withLock { state in
      let lines = state.registers.lines
      state.registers = SavedState()
      state.registers.lines = lines
      tellRoutes(&state)
    }
  }

  public func save() -> SavedState { state.withLock { $0.registers } }

  public func restore(_ state: SavedState) throws(RestoreError) {
    guard state.entries.count == Self.pinCount else {
      throw RestoreError(device: name, problem: "\(state.entries.count) entries instead of 24")
    }
    guard state.identifier < 16, state.lines < 1 << UInt32(Self.pinCount),
      state.entries.allSatisfy(\.isPossible)
    else { throw RestoreError(device: name, problem: "a register has bits that it lacks") }
    self.state.withLock { guarded in
      guarded.registers = state
      tellRoutes(&guarded)
    }
  }
}

extension IOAPIC {
  private func read(_ offset: UInt64, _ state: SavedState) -> UInt32 {
    switch offset {
    case Offset.select: UInt32(state.selected)
    case Offset.window: readSelected(state)
    default: 0
    }
  }

  private func readSelected(_ state: SavedState) -> UInt32 {
    switch state.selected {
    case Index.identifier, Index.arbitration: return UInt32(state.identifier) << 24
    case Index.version: return Self.version
    default:
      guard let pin = pin(of: state.selected) else { return 0 }
      let entry = state.entries[pin].rawValue
      return UInt32(truncatingIfNeeded: state.selected & 1 == 0 ? entry : entry >> 32)
    }
  }

  private func pin(of index: UInt8) -> Int? {
    guard index >= Index.table else { return nil }
    let pin = Int(index - Index.table) / 2
    return pin < Self.pinCount ? pin : nil
  }

  private func write(_ offset: UInt64, _ value: UInt32, _ state: inout Guarded) {
    switch offset {
    case Offset.select: state.registers.selected = UInt8(truncatingIfNeeded: value)
    case Offset.window: writeSelected(value, &state)
    case Offset.endOfInterrupt:
      endService(UInt8(truncatingIfNeeded: value), &state.registers)
    default: break
    }
  }

  private func writeSelected(_ value: UInt32, _ state: inout Guarded) {
    let index = state.registers.selected
    if index == Index.identifier {
      state.registers.identifier = UInt8(truncatingIfNeeded: value >> 24 & 0xF)
    }
    guard let pin = pin(of: index) else { return }
    if index & 1 == 0 {
      state.registers.entries[pin].setLow(value)
    } else {
      state.registers.entries[pin].setHigh(value)
    }
    tellRoutes(&state)
    serveLevel(pin, &state.registers)
  }

  /// Sends a level interrupt where the pin is asserted, open, and not in service.
  private func serveLevel(_ pin: Int, _ state: inout SavedState) {
    let entry = state.entries[pin]
    guard entry.waitsForEOI, !entry.isMasked, !entry.remoteIRR,
      state.lines & (1 << UInt32(pin)) != 0
    else { return }
    state.entries[pin].remoteIRR = true
    send(entry)
  }

  private func send(_ entry: RedirectionEntry) {
    if let message = entry.message { deliver(message) }
  }

  private func endService(_ vector: UInt8, _ state: inout SavedState) {
    for pin in state.entries.indices {
      let entry = state.entries[pin]
      guard entry.remoteIRR, entry.vector == vector, entry.waitsForEOI else { continue }
      state.entries[pin].remoteIRR = false
      serveLevel(pin, &state)
    }
  }

  private func tellRoutes(_ state: inout Guarded) {
    let routes = state.registers.entries.map { entry in
      entry.isMasked && !entry.remoteIRR ? nil : entry.message
    }
    guard routes != state.routes else { return }
    state.routes = routes
    routesChanged(routes)
  }
}
