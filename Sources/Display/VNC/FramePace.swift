/// When the display thread looks at the picture next, while a viewer waits for an update.
///
/// All times are CLOCK_MONOTONIC nanoseconds. A change after stillness goes out at once, then at most
/// 60 in a second. After an input event the picture is looked at several times in quick succession,
/// since what the guest answers is what the viewer waits for.
struct FramePace: Equatable {
  /// The shortest time between two updates with changes, and the time between two looks at a still
  /// picture: a sixtieth of a second.
  static let interval: UInt64 = 16_666_667
  /// The shortest time from an update with changes to one that an input event asked for.
  static let inputInterval: UInt64 = 4_000_000
  /// When the picture is looked at after an input event.
  static let looks: [UInt64] = [1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000]

  private var lastTick: UInt64?
  private var lastChange: UInt64 = 0
  private var inputAt: UInt64 = 0
  private var nextLook = FramePace.looks.count
  private var selfChange: UInt64?

  /// A viewer's key or pointer event went to the guest.
  mutating func noteInput(at now: UInt64) {
    inputAt = now
    nextLook = 0
  }

  /// The picture was looked at.
  /// - Parameters:
  ///   - start: when the look began.
  ///   - found: it had changed.
  ///   - nextChange: when it will change by itself, counted from `start`.
  mutating func ticked(at start: UInt64, found: Bool, nextChange: UInt64?) {
    lastTick = start
    if found {
      // A little late is no reason to fall behind: sixty in a second are sixty, not fifty-nine.
      let planned = lastChange &+ FramePace.interval
      let late = start &- planned
      lastChange = start >= planned && late < FramePace.interval / 4 ? planned : start
    }
    selfChange = nextChange.map { start &+ $0 }
    while let look = lookTime, look <= start { nextLook += 1 }
  }

  /// When to look next; in the past where it is time already.
  /// - Parameter changed: the picture's source told of a change since the last look.
  func due(changed: Bool) -> UInt64 {
    guard let lastTick else { return 0 }
    let paced = lastChange &+ FramePace.interval
    var due = max(lastTick &+ FramePace.interval, paced)
    if changed { due = min(due, paced) }
    if let look = lookTime { due = min(due, max(look, lastChange &+ FramePace.inputInterval)) }
    if let selfChange { due = min(due, max(selfChange, paced)) }
    return due
  }

  /// Whether the last look lies so long back that somebody who asks for the picture as it is now
  /// should wait for another one.
  func isStale(at now: UInt64) -> Bool {
    lastTick.map { $0 &+ FramePace.inputInterval <= now } ?? true
  }

  private var lookTime: UInt64? {
    nextLook < FramePace.looks.count ? inputAt &+ FramePace.looks[nextLook] : nil
  }
}
