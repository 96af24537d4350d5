import KVMEngine
import Testing

@testable import Display

@Suite struct FramePaceTests {
  private let start: UInt64 = 1_000_000_000

  @Test func firstLookIsDueAtOnce() {
    var first = FramePace()
    #expect(first.plan(changed: false, guest: nil, at: start).due == 0)
  }

  @Test func changeAfterStillnessIsDueAtOnce() {
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: nil)
    #expect(pace.plan(changed: true, guest: nil, at: start).due <= start)
  }

  @Test func changesFollowAtSixtyASecond() {
    var pace = FramePace()
    pace.ticked(at: start, found: true, nextChange: nil)
    #expect(pace.plan(changed: true, guest: nil, at: start).due == start + FramePace.interval)
    #expect(pace.plan(changed: false, guest: nil, at: start).due == start + FramePace.interval)
  }

  @Test func stillPictureIsLookedAtSixtyTimesASecond() {
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: nil)
    #expect(pace.plan(changed: false, guest: nil, at: start).due == start + FramePace.interval)
  }

  @Test func inputIsFollowedByLooksInQuickSuccession() {
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: nil)
    let input = start + 500
    pace.noteInput(at: input)
    var looks: [UInt64] = []
    for _ in 0..<5 {
      let due = pace.plan(changed: false, guest: nil, at: start).due
      looks.append(due - input)
      pace.ticked(at: due, found: false, nextChange: nil)
    }
    #expect(looks == FramePace.looks)
  }

  @Test func looksAfterInputKeepADistanceFromTheLastChange() {
    var pace = FramePace()
    pace.ticked(at: start, found: true, nextChange: nil)
    pace.noteInput(at: start)
    #expect(pace.plan(changed: false, guest: nil, at: start).due == start + FramePace.inputInterval)
  }

  @Test func pictureThatChangesByItselfIsLookedAtInTime() {
    var pace = FramePace()
    pace.ticked(at: start - FramePace.interval, found: false, nextChange: nil)
    pace.ticked(at: start, found: false, nextChange: 3_000_000)
    #expect(pace.plan(changed: false, guest: nil, at: start).due == start + 3_000_000)
  }

  @Test func pictureIsStaleAFewMillisecondsAfterTheLastLook() {
    var pace = FramePace()
    #expect(pace.isStale(at: start))
    pace.ticked(at: start, found: false, nextChange: nil)
    #expect(!pace.isStale(at: start + FramePace.inputInterval - 1))
    #expect(pace.isStale(at: start + FramePace.inputInterval))
  }

  // MARK: A guest whose rest is known

  @Test func restingGuestIsLeftAloneUntilItRuns() {
    let guest = GuestActivity(processors: 1)
    guest.rest()
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: nil, guest: guest.moment)
    let later = start + 10 * FramePace.interval
    #expect(
      pace.plan(changed: false, guest: guest.moment, at: later)
        == FramePace.Plan(due: FramePace.never, watchesGuest: true))
    guest.stir()
    guest.rest()
    #expect(pace.plan(changed: false, guest: guest.moment, at: later).due <= later)
  }

  @Test func cursorBlinksWhileTheGuestRests() {
    let guest = GuestActivity(processors: 1)
    guest.rest()
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: 3_000_000, guest: guest.moment)
    #expect(
      pace.plan(changed: false, guest: guest.moment, at: start).due == start + 3_000_000)
    #expect(pace.plan(changed: true, guest: guest.moment, at: start).due <= start)
  }

  @Test func aMachineThatStandsStillIsNotLookedAt() {
    let guest = GuestActivity(processors: 2)
    var pace = FramePace()
    pace.ticked(at: 1_000_000_000, found: false, nextChange: nil, guest: guest.moment)
    guest.standStill(true)
    let pausing = pace.plan(changed: false, guest: guest.moment, at: 1_000_100_000)
    #expect(pausing.due <= 1_000_000_000 + FramePace.interval)
    pace.ticked(at: 1_020_000_000, found: false, nextChange: nil, guest: guest.moment)
    #expect(
      pace.plan(changed: false, guest: guest.moment, at: 1_020_100_000)
        == .init(due: FramePace.never, watchesGuest: true))
    guest.standStill(false)
    #expect(!guest.moment.isAtRest)
    #expect(pace.plan(changed: false, guest: guest.moment, at: 9_000_000_000).due < FramePace.never)
  }

  @Test func guestThatDrawsIsWaitedForALittle() {
    let guest = GuestActivity(processors: 2)
    guest.rest()
    guest.rest()
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: nil, guest: guest.moment)
    _ = pace.plan(changed: false, guest: guest.moment, at: start)
    guest.stir()
    let woken = start + 2 * FramePace.interval
    #expect(
      pace.plan(changed: false, guest: guest.moment, at: woken)
        == FramePace.Plan(due: woken + FramePace.patience, watchesGuest: true))
    guest.rest()
    #expect(pace.plan(changed: false, guest: guest.moment, at: woken).due <= woken)
  }

  @Test func answerToInputIsLookedForAsTheGuestComesToRest() {
    let guest = GuestActivity(processors: 1)
    guest.rest()
    var pace = FramePace()
    pace.ticked(at: start, found: true, nextChange: nil, guest: guest.moment)
    pace.noteInput(at: start)
    #expect(pace.plan(changed: false, guest: guest.moment, at: start).due == FramePace.never)
    guest.stir()
    #expect(pace.plan(changed: false, guest: guest.moment, at: start).watchesGuest)
    guest.rest()
    #expect(
      pace.plan(changed: false, guest: guest.moment, at: start).due
        == start + FramePace.inputInterval)
  }

  @Test func guestThatNeverRestsIsLookedAtAsIfNothingWereKnown() {
    let guest = GuestActivity(processors: 1)
    guest.rest()
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: nil, guest: guest.moment)
    _ = pace.plan(changed: false, guest: guest.moment, at: start)
    guest.stir()
    _ = pace.plan(changed: false, guest: guest.moment, at: start)
    let late = start + FramePace.restless + 1
    pace.ticked(at: late, found: false, nextChange: nil, guest: guest.moment)
    #expect(
      pace.plan(changed: false, guest: guest.moment, at: late)
        == FramePace.Plan(due: late + FramePace.interval))
  }
}
