/// How many updates are on their way to a viewer that gets them without asking for each (the
/// extensions ContinuousUpdates and Fence of the community's RFB protocol document).
///
/// A fence goes behind each update, and the viewer sends it back. As many updates may be on their way
/// as the way there and back has room for at sixty a second, and one more: on a long line pictures
/// follow each other without a pause, on a narrow one no old pictures queue.
struct UpdateWindow: Sendable {
  /// Updates on their way at most.
  private static let most = 8

  /// The viewer has asked for updates without asking.
  var isOpen = false
  /// The next update waits for a fence to come back.
  private(set) var isHeld = false
  private var sent: UInt32 = 0
  private var returned: UInt32 = 0
  private var sentAt = [UInt64](repeating: 0, count: most)
  /// The shortest way there and back, nanoseconds.
  private var shortest: UInt64?

  /// Updates that may be on their way.
  var limit: Int {
    guard let shortest else { return 2 }
    return min(Self.most, 2 + Int(clamping: shortest / FramePace.interval))
  }

  /// An update was sent.
  /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
  /// - Returns: the number that the fence behind it carries.
  mutating func noteSent(at now: UInt64) -> UInt32 {
    sentAt[Int(sent % UInt32(Self.most))] = now
    sent &+= 1
    isHeld = Int(sent &- returned) >= limit
    return sent
  }

  /// The fence `number` came back; one that is not on its way is ignored.
  /// - Returns: whether the next update was waiting for it.
  mutating func noteReturned(_ number: UInt32, at now: UInt64) -> Bool {
    guard number &- returned >= 1, number &- returned <= sent &- returned else { return false }
    returned = number
    let time = now &- sentAt[Int((number &- 1) % UInt32(Self.most))]
    shortest = min(shortest ?? time, time)
    guard isHeld, Int(sent &- returned) < limit else { return false }
    isHeld = false
    return true
  }
}
