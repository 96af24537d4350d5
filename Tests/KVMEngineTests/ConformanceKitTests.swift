import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

/// A device of one register, made wrong on request: the conformance suite has to find it out.
private final class Latch: Device, PortDevice {
  struct SavedState: Codable, Sendable, Equatable { var value: UInt8 = 0 }
  enum Fault { case none, forgetsOnRestore, resetCounts, changesWhenRefusing, saveIsPartial }
  private let fault: Fault
  private let state = Mutex(SavedState())
  private let hidden = Mutex<UInt8>(0)
  let name = "latch"

  init(_ fault: Fault) { self.fault = fault }
  func reset() { state.withLock { $0.value = fault == .resetCounts ? $0.value &+ 1 : 0 } }
  func save() -> SavedState { state.withLock { $0 } }
  func restore(_ state: SavedState) throws(RestoreError) {
    if fault == .forgetsOnRestore { return }
    if state.value >= 250 {
      if fault == .changesWhenRefusing { self.state.withLock { $0.value = 77 } }
      throw RestoreError(device: name, problem: "value \(state.value) is reserved")
    }
    self.state.withLock { $0 = state }
  }
  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    fault == .saveIsPartial ? UInt32(hidden.withLock { $0 }) : UInt32(state.withLock { $0.value })
  }
  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    hidden.withLock { $0 = UInt8(value & 0x3F) }
    state.withLock { $0.value = UInt8(value & 0x3F) | 1 }
  }
}

private func violations(of fault: Latch.Fault) -> [String] {
  conformanceViolations(make: { Latch(fault) }, ports: { [($0, 0x10...0x10)] })
}

@Test func conformingDeviceHasNoViolations() {
  #expect(violations(of: .none).isEmpty)
}

@Test func conformanceFindsRestoreThatForgets() {
  #expect(violations(of: .forgetsOnRestore).contains { $0.contains("another state") })
}

@Test func conformanceFindsResetThatIsNotIdempotent() {
  #expect(violations(of: .resetCounts).contains { $0.contains("reset") })
}

@Test func conformanceFindsChangeByRefusedState() {
  #expect(violations(of: .changesWhenRefusing).contains { $0.contains("refused") })
}

@Test func conformanceFindsStateThatIsNotSaved() {
  #expect(violations(of: .saveIsPartial).contains { $0.contains("restored device") })
}
