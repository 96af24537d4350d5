import KVMEngine
import Synchronization

/// An interrupt sink that remembers what its wires did.
public final class LineRecorder: InterruptSink {
  private struct State {
    var levels: [Int: Bool] = [:]
    var risingEdges: [Int: Int] = [:]
  }
  private let state = Mutex(State())

  public init() {}

  public func setLine(_ number: Int, asserted: Bool) {
    state.withLock { state in
      if asserted && state.levels[number] != true { state.risingEdges[number, default: 0] += 1 }
      state.levels[number] = asserted
    }
  }

  /// Wire `number` of this recorder.
  public func line(_ number: Int) -> InterruptLine { InterruptLine(sink: self, number: number) }

  /// The level that wire `number` has now.
  public func level(_ number: Int) -> Bool { state.withLock { $0.levels[number] ?? false } }

  /// How often wire `number` went from low to high.
  public func risingEdges(_ number: Int) -> Int {
    state.withLock { $0.risingEdges[number] ?? 0 }
  }
}

/// Memory slots without a hypervisor: mappings work through `AddressSpace` alone.
public typealias NoSlots = UnmappedSlots
