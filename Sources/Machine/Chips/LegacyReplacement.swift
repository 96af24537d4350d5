import KVMEngine
import Synchronization

/// Who drives IRQ 0 and IRQ 8: the 8254 and the real-time clock, or the HPET's first two timers in
/// their place (IA-PC HPET specification 1.0a, 2.3.5). A leaf before the interrupt controllers.
public final class LegacyReplacement: InterruptSink {
  private struct State {
    var isReplaced = false
    /// Levels of the old sources and of the new, IRQ 0 and IRQ 8.
    var levels: [[Bool]] = [[false, false], [false, false]]
    var clockRang: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())
  private let outputs: [InterruptLine]

  /// - Parameters:
  ///   - timer: IRQ 0.
  ///   - clock: IRQ 8.
  public init(timer: InterruptLine, clock: InterruptLine) { outputs = [timer, clock] }

  /// IRQ 0 for the 8254.
  public var timer: InterruptLine { InterruptLine(sink: self, number: 0) }
  /// IRQ 8 for the real-time clock.
  public var clock: InterruptLine { InterruptLine(sink: self, number: 1) }
  /// IRQ 0 or IRQ 8 (`index` 0 or 1) for the HPET.
  func timerLine(_ index: Int) -> InterruptLine {
    InterruptLine(sink: self, number: 2 + (index & 1))
  }

  /// Has `body` called whenever the real-time clock asserts its interrupt, replaced or not: power
  /// management tells it to systems that gave the wire to the HPET.
  func whenClockRings(_ body: @escaping @Sendable () -> Void) {
    state.withLock { $0.clockRang = body }
  }

  public func setLine(_ number: Int, asserted: Bool) {
    let (source, output) = (number >> 1 & 1, number & 1)
    let rang = state.withLock { state in
      let rises = asserted && !state.levels[source][output]
      state.levels[source][output] = asserted
      if (source == 1) == state.isReplaced { outputs[output].set(asserted) }
      return rises && number == 1 ? state.clockRang : nil
    }
    rang?()
  }

  /// Gives the wires to the HPET, or back.
  func setReplaced(_ replaced: Bool) {
    state.withLock { state in
      guard replaced != state.isReplaced else { return }
      state.isReplaced = replaced
      for output in 0..<2 { outputs[output].set(state.levels[replaced ? 1 : 0][output]) }
    }
  }
}
