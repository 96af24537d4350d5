import Synchronization

/// What connects the local APICs of one machine with each other, with the I/O APIC and with devices
/// that send message-signalled interrupts.
///
/// It owns its local APICs; they attach while the machine is built and stay. A message takes the
/// lock of one target at a time and no other, so that it may be sent from any thread with any
/// device's lock held. Destinations and priorities are matched on what each target publishes,
/// without a lock.
public final class APICBus: @unchecked Sendable {
  // SAFETY: `members` is changed by `attach` alone, before any vCPU thread runs.
  private var members: [LocalAPIC] = []
  private let endOfInterrupt = Mutex<(@Sendable (UInt8) -> Void)?>(nil)
  /// Where the search among equal priorities begins, so that equals take turns.
  private let turn = Atomic<Int>(0)

  public init() {}

  /// Says who is told when a level-triggered interrupt has been served: the I/O APIC's
  /// `endOfInterrupt(vector:)`. Called on the vCPU's thread with no lock held.
  public func connect(endOfInterrupt: @escaping @Sendable (_ vector: UInt8) -> Void) {
    self.endOfInterrupt.withLock { $0 = endOfInterrupt }
  }

  /// The local APICs, that of the boot processor first.
  public var localAPICs: [LocalAPIC] { members }

  /// Drives LINT0 of the boot processor: the 8259 pair's INTR. The pair's lock may be held.
  public func setExternalInterrupt(_ asserted: Bool) { members.first?.setLINT0(asserted) }

  /// Only while the machine is built.
  func attach(_ member: LocalAPIC) { members.append(member) }

  /// Sends an interrupt of the I/O APIC or of a device.
  /// - Returns: whether a local APIC took it; an interrupt that was requested already counts.
  @discardableResult
  public func deliver(_ message: MessageSignalledInterrupt) -> Bool {
    guard let message = APICBusMessage(message) else { return false }
    return send(message, from: nil)
  }

  /// Sends `message` to whom it is for.
  /// - Parameter sender: the local APIC whose processor wrote ICR, on that processor's thread.
  /// - Returns: whether a local APIC took it.
  @discardableResult
  func send(_ message: APICBusMessage, from sender: LocalAPIC?) -> Bool {
    if message.isArbitrated { return sendToLowest(message, from: sender) }
    var isTaken = false
    for member in members where isFor(member, message.destination, from: sender) {
      if member.accept(message, byOwnProcessor: member === sender) { isTaken = true }
    }
    return isTaken
  }

  /// Tells the I/O APIC. No lock held.
  func broadcastEndOfInterrupt(_ vector: UInt8) {
    let told = endOfInterrupt.withLock { $0 }
    told?(vector)
  }

  private func isFor(
    _ member: LocalAPIC, _ destination: APICBusMessage.Destination, from sender: LocalAPIC?
  ) -> Bool {
    switch destination {
    case .everyone: true
    case .everyoneElse: member !== sender
    case .sender: member === sender
    case .physical, .logical: member.published.matches(destination, identifier: member.identifier)
    }
  }

  /// Lowest-priority delivery (11.6.2.4): of those that take interrupts, the one with the lowest
  /// arbitration priority. One that was disabled since it was chosen loses its place to the next.
  private func sendToLowest(_ message: APICBusMessage, from sender: LocalAPIC?) -> Bool {
    for _ in members.indices {
      guard let best = lowest(message.destination, from: sender) else { return false }
      if best.accept(message, byOwnProcessor: best === sender) { return true }
      guard message.vector >= LocalAPICVectorSet.firstVector else { return false }
    }
    return false
  }

  private func lowest(
    _ destination: APICBusMessage.Destination, from sender: LocalAPIC?
  ) -> LocalAPIC? {
    let count = members.count
    let start = turn.wrappingAdd(1, ordering: .relaxed).newValue & 0xFFFF
    var best: (member: LocalAPIC, priority: UInt8)?
    for step in 0..<count {
      let member = members[(start + step) % count]
      let published = member.published
      guard published.isSoftwareEnabled, isFor(member, destination, from: sender) else { continue }
      let priority = published.arbitrationPriority
      if let best, best.priority <= priority { continue }
      best = (member, priority)
    }
    return best?.member
  }
}
