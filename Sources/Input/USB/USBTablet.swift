import KVMEngine
import Synchronization

/// A tablet: a USB pointing device that says where the pointer is, not how far it moved (Universal
/// Serial Bus Specification 2.0, chapter 9; Device Class Definition for Human Interface Devices
/// 1.11). Systems have its driver built in, so that the guest's arrow is where the viewer's is.
///
/// A report has five buttons, X and Y from 0 to 32,767, a wheel and a horizontal wheel. Movements
/// that the guest has not fetched merge; changes of buttons never do. It sends nothing while nothing
/// changes, whatever idle rate was set.
///
/// Lock order: the host controller's, then this.
public final class USBTablet: Device, USBFunction {
  /// The largest coordinate.
  public static let range = 32_767

  /// A report that waits, and what it was made of.
  struct Report: Codable, Equatable, Sendable {
    var x: UInt16 = 0
    var y: UInt16 = 0
    var buttons: UInt8 = 0
    var wheel: Int = 0
    var pan: Int = 0
    var isButtonChange = false
  }

  public struct SavedState: Codable, Equatable, Sendable {
    var configuration: UInt8 = 0
    var idleRate: UInt8 = 0
    var isHalted = false
    /// Whether the guest asks for reports: a driver that nobody reads from does not.
    var isPolled = false
    /// What the guest was told last.
    var last = Report()
    var waiting: [Report] = []
  }

  private struct Guarded {
    var state = SavedState()
    var ready: (@Sendable () -> Void)?
  }

  /// Reports that wait at most; then the last is replaced.
  private static let limit = 64
  private static let detents = 127

  private let guarded = Mutex(Guarded())

  public let name = "usb-tablet"

  public init() {}

  public func reset() { guarded.withLock { $0.state = SavedState() } }

  public func save() -> SavedState { guarded.withLock { $0.state } }

  public func restore(_ state: SavedState) throws(RestoreError) {
    let turns = (state.waiting + [state.last]).flatMap { [$0.wheel, $0.pan] }
    guard state.configuration <= 1, state.waiting.count <= Self.limit,
      turns.allSatisfy({ (-Self.detents...Self.detents).contains($0) })
    else {
      throw RestoreError(device: name, problem: "its state is not possible")
    }
    guarded.withLock { $0.state = state }
  }

  /// Whether the guest has set the tablet up and asks for its reports. Any thread.
  public var isInUse: Bool {
    guarded.withLock { $0.state.configuration != 0 && $0.state.isPolled }
  }

  /// Lets go of every button where the pointer is. Any thread.
  public func releaseButtons() {
    let last = guarded.withLock { $0.state.waiting.last ?? $0.state.last }
    guard last.buttons != 0 else { return }
    point(x: Int(last.x), y: Int(last.y), wheel: 0, pan: 0, buttons: [])
  }

  /// The pointer is at `x`, `y` (0 to ``range``) with `buttons` held, after the wheels were turned by
  /// whole detents: `wheel` towards the user, `pan` to the right. Any thread.
  public func point(x: Int, y: Int, wheel: Int, pan: Int, buttons: MouseButtons) {
    let ready = guarded.withLock { guarded -> (@Sendable () -> Void)? in
      guard guarded.state.configuration != 0 else { return nil }
      let previous = guarded.state.waiting.last ?? guarded.state.last
      var report = Report(
        x: UInt16(clamping: min(max(x, 0), Self.range)),
        y: UInt16(clamping: min(max(y, 0), Self.range)), buttons: buttons.rawValue & 0x1F,
        wheel: min(max(wheel, -Self.detents), Self.detents),
        pan: min(max(pan, -Self.detents), Self.detents))
      report.isButtonChange = report.buttons != previous.buttons
      guarded.state.add(report, limit: Self.limit)
      return guarded.ready
    }
    ready?()
  }

  // MARK: USBFunction

  public func connect(ready: @escaping @Sendable () -> Void) {
    guarded.withLock { $0.ready = ready }
  }

  public func busReset() {
    guarded.withLock { guarded in
      guarded.state.configuration = 0
      guarded.state.isHalted = false
      guarded.state.isPolled = false
      guarded.state.waiting = []
    }
  }

  public func interruptStopped(_ number: Int) {
    guard number == 1 else { return }
    guarded.withLock { guarded in
      guarded.state.isPolled = false
      guarded.state.waiting = []
    }
  }

  public func control(_ setup: USBSetup, data: [UInt8]) -> USBAnswer {
    guarded.withLock { $0.state.answer(setup) }
  }

  public func interruptIn(_ number: Int) -> [UInt8]? {
    guard number == 1 else { return nil }
    return guarded.withLock { guarded in
      guard guarded.state.configuration != 0, !guarded.state.isHalted else { return nil }
      guarded.state.isPolled = true
      guard !guarded.state.waiting.isEmpty else { return nil }
      guarded.state.last = guarded.state.waiting.removeFirst()
      return guarded.state.last.bytes
    }
  }
}

extension USBTablet.Report {
  var bytes: [UInt8] {
    [
      buttons, UInt8(x & 0xFF), UInt8(x >> 8), UInt8(y & 0xFF), UInt8(y >> 8),
      // HID's wheel turns up for positive values.
      UInt8(truncatingIfNeeded: 0 &- wheel), UInt8(truncatingIfNeeded: pan),
    ]
  }
}

extension USBTablet.SavedState {
  /// Queues `report`, or merges it into the one before where no button changed between them and none
  /// of the wheels would overflow.
  mutating func add(_ report: USBTablet.Report, limit: Int) {
    if let before = waiting.last, !report.isButtonChange, !before.isButtonChange,
      abs(before.wheel + report.wheel) <= 127, abs(before.pan + report.pan) <= 127
    {
      var merged = report
      merged.wheel += before.wheel
      merged.pan += before.pan
      waiting[waiting.count - 1] = merged
    } else if waiting.count < limit {
      waiting.append(report)
    } else {
      waiting[waiting.count - 1] = report
    }
  }

  /// Answers a control transfer.
  mutating func answer(_ setup: USBSetup) -> USBAnswer {
    let high = UInt8(setup.value >> 8)
    let low = UInt8(setup.value & 0xFF)
    switch (setup.requestType, setup.request) {
    case (0x80, 6): return descriptor(high, low)
    case (0x81, 6): return interfaceDescriptor(high)
    case (0x80, 0): return .data([1, 0])  // GET_STATUS: self-powered
    case (0x81, 0): return .data([0, 0])
    case (0x82, 0): return .data([isHalted ? 1 : 0, 0])
    case (0x00, 1), (0x00, 3): return .data([])  // features of the device: nothing to do
    case (0x02, 1): return setHalt(setup, false)
    case (0x02, 3): return setHalt(setup, true)
    case (0x80, 8): return .data([configuration])
    case (0x00, 9):
      guard setup.value <= 1 else { return .stall }
      configuration = low
      isHalted = false
      waiting = []
      return .data([])
    case (0x81, 10): return .data([0])
    case (0x01, 11): return setup.value == 0 ? .data([]) : .stall
    case (0xA1, 1): return high == 1 ? .data(last.bytes) : .stall  // GET_REPORT of an input
    case (0xA1, 2): return .data([idleRate])
    case (0x21, 10):
      idleRate = high
      return .data([])
    default: return .stall
    }
  }

  private mutating func setHalt(_ setup: USBSetup, _ halted: Bool) -> USBAnswer {
    guard setup.value == 0, setup.index & 0xFF == 0x81 else {
      return setup.index & 0x7F == 0 ? .data([]) : .stall
    }
    isHalted = halted
    return .data([])
  }

  private func descriptor(_ type: UInt8, _ index: UInt8) -> USBAnswer {
    switch (type, index) {
    case (1, _): .data(TabletDescriptors.device)
    case (2, 0): .data(TabletDescriptors.configuration)
    case (3, _): TabletDescriptors.string(index).map { .data($0) } ?? .stall
    default: .stall
    }
  }

  private func interfaceDescriptor(_ type: UInt8) -> USBAnswer {
    switch type {
    case 0x21: .data(TabletDescriptors.hid)
    case 0x22: .data(TabletDescriptors.report)
    default: .stall
    }
  }
}
