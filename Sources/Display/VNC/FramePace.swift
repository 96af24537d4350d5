import KVMEngine

/// When the display thread looks at the picture next, while a viewer waits for an update.
///
/// All times are CLOCK_MONOTONIC nanoseconds. A change after stillness goes out at once, then at most
/// 60 in a second. After an input event the picture is looked at several times in quick succession,
/// since what the guest answers is what the viewer waits for.
///
/// A guest that is at rest has drawn what it wanted to: that is the moment to look, and until it runs
/// again there is nothing to look for. A guest that rests now and then is waited for a little, so
/// that its picture is whole.
struct FramePace: Equatable {
  /// The shortest time between two updates with changes, and the time between two looks at a still
  /// picture: a sixtieth of a second.
  static let interval: UInt64 = 16_666_667
  /// The shortest time from an update with changes to one that an input event asked for.
  static let inputInterval: UInt64 = 4_000_000
  /// When the picture is looked at after an input event.
  static let looks: [UInt64] = [1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000]
  /// How long a guest that draws is waited for.
  static let patience: UInt64 = 4_000_000
  /// A guest that has not rested for so long won't soon.
  static let restless: UInt64 = 250_000_000
  /// No look is due.
  static let never = UInt64.max

  private var lastTick: UInt64?
  private var lastChange: UInt64 = 0
  private var inputAt: UInt64 = 0
  private var nextLook = FramePace.looks.count
  private var selfChange: UInt64?
  /// The guest when the last look began.
  private var looked: GuestActivity.Moment?
  /// The guest as it was seen last, when it was last seen to have rested, and since when it runs.
  private var seen: GuestActivity.Moment?
  private var restedAt: UInt64?
  private var runsSince: UInt64 = 0

  /// When to look, and whether to think again as soon as the guest comes to rest or runs again.
  struct Plan: Equatable {
    var due: UInt64
    var watchesGuest = false
  }

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
  ///   - guest: what the guest did at `start`, where that is known.
  mutating func ticked(
    at start: UInt64, found: Bool, nextChange: UInt64?, guest: GuestActivity.Moment? = nil
  ) {
    lastTick = start
    looked = guest
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
  /// - Parameters:
  ///   - changed: the picture's source told of a change since the last look.
  ///   - guest: what the guest does now, where that is known.
  mutating func plan(changed: Bool, guest: GuestActivity.Moment?, at now: UInt64) -> Plan {
    guard let lastTick else { return Plan(due: 0) }
    note(guest, at: now)
    let paced = lastChange &+ FramePace.interval
    let told = min(
      changed ? paced : FramePace.never, selfChange.map { max($0, paced) } ?? FramePace.never)
    let regular = max(lastTick &+ FramePace.interval, paced)
    let input = lookTime.map { max($0, lastChange &+ FramePace.inputInterval) }
    let due = min(regular, told, input ?? FramePace.never)
    guard let guest, let restedAt, restedAt &+ FramePace.restless > now else {
      return Plan(due: due)
    }
    if guest.isAtRest {
      if looked == guest { return Plan(due: told, watchesGuest: true) }
      return Plan(due: input == nil ? due : lastChange &+ FramePace.inputInterval)
    }
    if now < due { return Plan(due: due, watchesGuest: input != nil) }
    return Plan(due: max(due, runsSince) &+ FramePace.patience, watchesGuest: true)
  }

  private mutating func note(_ guest: GuestActivity.Moment?, at now: UInt64) {
    guard let guest else { return }
    if guest.isAtRest || seen.map({ $0.beginnings != guest.beginnings }) ?? false { restedAt = now }
    if !guest.isAtRest && seen != guest { runsSince = now }
    seen = guest
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
