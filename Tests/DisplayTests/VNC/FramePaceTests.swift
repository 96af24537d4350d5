import Testing

@testable import Display

@Suite struct FramePaceTests {
  private let start: UInt64 = 1_000_000_000

  @Test func firstLookIsDueAtOnce() {
    #expect(FramePace().due(changed: false) == 0)
  }

  @Test func changeAfterStillnessIsDueAtOnce() {
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: nil)
    #expect(pace.due(changed: true) <= start)
  }

  @Test func changesFollowAtSixtyASecond() {
    var pace = FramePace()
    pace.ticked(at: start, found: true, nextChange: nil)
    #expect(pace.due(changed: true) == start + FramePace.interval)
    #expect(pace.due(changed: false) == start + FramePace.interval)
  }

  @Test func stillPictureIsLookedAtSixtyTimesASecond() {
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: nil)
    #expect(pace.due(changed: false) == start + FramePace.interval)
  }

  @Test func inputIsFollowedByLooksInQuickSuccession() {
    var pace = FramePace()
    pace.ticked(at: start, found: false, nextChange: nil)
    let input = start + 500
    pace.noteInput(at: input)
    var looks: [UInt64] = []
    for _ in 0..<5 {
      let due = pace.due(changed: false)
      looks.append(due - input)
      pace.ticked(at: due, found: false, nextChange: nil)
    }
    #expect(looks == FramePace.looks)
  }

  @Test func looksAfterInputKeepADistanceFromTheLastChange() {
    var pace = FramePace()
    pace.ticked(at: start, found: true, nextChange: nil)
    pace.noteInput(at: start)
    #expect(pace.due(changed: false) == start + FramePace.inputInterval)
  }

  @Test func pictureThatChangesByItselfIsLookedAtInTime() {
    var pace = FramePace()
    pace.ticked(at: start - FramePace.interval, found: false, nextChange: nil)
    pace.ticked(at: start, found: false, nextChange: 3_000_000)
    #expect(pace.due(changed: false) == start + 3_000_000)
  }

  @Test func pictureIsStaleAFewMillisecondsAfterTheLastLook() {
    var pace = FramePace()
    #expect(pace.isStale(at: start))
    pace.ticked(at: start, found: false, nextChange: nil)
    #expect(!pace.isStale(at: start + FramePace.inputInterval - 1))
    #expect(pace.isStale(at: start + FramePace.inputInterval))
  }
}
