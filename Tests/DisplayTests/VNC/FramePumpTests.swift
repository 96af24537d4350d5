import KVMEngine
import Synchronization
import Testing

@testable import Display

/// Sees the picture without a socket.
private final class Watcher: PictureViewer {
  private struct State {
    var waiting = false
    var damage: [[FrameRect]] = []
    var size: FrameSize?
  }
  private let state = Mutex(State())

  var isWaiting: Bool { state.withLock { $0.waiting } }
  var damage: [[FrameRect]] { state.withLock { $0.damage } }
  var size: FrameSize? { state.withLock { $0.size } }

  func wait(_ waiting: Bool) { state.withLock { $0.waiting = waiting } }

  func show(_ picture: Picture, change: PictureChange) {
    let damage = change.damage
    state.withLock { state in
      state.size = picture.size
      if !damage.isEmpty { state.damage.append(damage) }
    }
  }
}

@Suite(.serialized, .timeLimit(.minutes(1))) struct FramePumpTests {
  private func withPump(
    _ source: FakeSource, guest: GuestActivity? = nil,
    _ body: (FramePump, Watcher) throws -> Void
  ) throws {
    let pump = FramePump(source: source, guest: guest)
    try pump.start()
    defer { pump.stop() }
    let watcher = Watcher()
    pump.attach(watcher)
    try body(pump, watcher)
  }

  @Test func whoComesAsTheLastOneLeavesSeesTheWholePicture() throws {
    try withPump(FakeSource()) { pump, watcher in
      for _ in 0..<300 {
        let leaving = try Thread(name: "leaving") { pump.detach(watcher) }
        let picture = pump.currentPicture()
        leaving.join()
        #expect(picture?.size == FrameSize(width: 64, height: 48))
        pump.attach(watcher)
      }
    }
  }

  @Test func sourceIsLeftAloneWhileNobodyWaits() throws {
    let source = FakeSource()
    try withPump(source) { pump, watcher in
      source.paint(FrameRect(x: 0, y: 0, width: 1, height: 1), 1)
      pump.noteInput()
      pause(milliseconds: 60)
      #expect(source.updates == 0)
      watcher.wait(true)
      pump.noteRequest()
      #expect(eventually { watcher.size == FrameSize(width: 64, height: 48) })
    }
  }

  @Test func stillPictureIsLookedAtNoMoreThanSixtyTimesASecond() throws {
    let source = FakeSource()
    try withPump(source) { pump, watcher in
      watcher.wait(true)
      pump.noteRequest()
      #expect(eventually { source.updates > 0 })
      let before = source.updates
      pause(milliseconds: 200)
      #expect((1...14).contains(source.updates - before))
    }
  }

  @Test func pictureOfARestingGuestIsNotLookedAt() throws {
    let source = FakeSource()
    let guest = GuestActivity(processors: 1)
    guest.rest()
    try withPump(source, guest: guest) { pump, watcher in
      watcher.wait(true)
      pump.noteRequest()
      #expect(eventually { source.updates > 0 })
      pause(milliseconds: 50)
      let before = source.updates
      pause(milliseconds: 200)
      #expect(source.updates == before)
      // Nothing is told of this one: it is found because the guest ran.
      source.paint(FrameRect(x: 3, y: 4, width: 5, height: 6), 7, announced: false)
      guest.stir()
      guest.rest()
      #expect(eventually { watcher.damage.contains([FrameRect(x: 3, y: 4, width: 5, height: 6)]) })
    }
  }

  @Test func everyRunOfTheGuestIsSeenHoweverShort() throws {
    let source = FakeSource()
    let guest = GuestActivity(processors: 1)
    guest.rest()
    try withPump(source, guest: guest) { pump, watcher in
      watcher.wait(true)
      pump.noteRequest()
      #expect(eventually { source.updates > 0 })
      for round in 0..<60 {
        let seen = watcher.damage.count
        guest.stir()
        source.paint(FrameRect(x: round % 60, y: 0, width: 1, height: 1), 9, announced: false)
        guest.rest()
        #expect(eventually { watcher.damage.count > seen })
      }
    }
  }

  @Test func damageIsCutToThePicture() throws {
    let source = FakeSource()
    try withPump(source) { pump, watcher in
      watcher.wait(true)
      pump.noteRequest()
      #expect(eventually { watcher.damage.count == 1 })
      source.report([
        FrameRect(x: -5, y: 40, width: 10, height: 100),
        FrameRect(x: 200, y: 0, width: 4, height: 4),
        FrameRect(x: 3, y: 3, width: -1, height: 4),
        FrameRect(x: 1, y: 1, width: .max, height: 1),
      ])
      #expect(eventually { watcher.damage.count == 2 })
      #expect(watcher.damage.last?.first == FrameRect(x: 0, y: 40, width: 5, height: 8))
      #expect(watcher.damage.last?.allSatisfy { $0.x + $0.width <= 64 } == true)
    }
  }

  @Test func tooManyRectanglesBecomeOne() throws {
    let source = FakeSource()
    try withPump(source) { pump, watcher in
      watcher.wait(true)
      pump.noteRequest()
      #expect(eventually { watcher.damage.count == 1 })
      source.report(
        (0...DamageGrid.maximumRects).map {
          FrameRect(x: $0 % 50, y: 2 + $0 / 50 * 3, width: 1, height: 3)
        })
      #expect(eventually { watcher.damage.count == 2 })
      #expect(watcher.damage.last == [FrameRect(x: 0, y: 2, width: 50, height: 15)])
    }
  }

  @Test func memoryIsGivenBackWhenTheLastViewerLeaves() throws {
    let source = FakeSource()
    try withPump(source) { pump, watcher in
      let picture = try #require(pump.currentPicture())
      #expect(picture.size == FrameSize(width: 64, height: 48))
      pump.detach(watcher)
      pause(milliseconds: 20)
      let before = source.updates
      let again = try #require(pump.currentPicture())
      #expect(again.size == picture.size)
      #expect(again.memory !== picture.memory)
      #expect(again.memory.pixels[0] == 0x102030)
      #expect(source.updates == before + 1)
    }
  }

  @Test func machineThatShowsNothingYetIsABlackScreen() throws {
    final class Nothing: FrameSource {
      func update(_ frame: Frame, everything: Bool) -> FrameUpdate { FrameUpdate() }
      func offer(_ size: FrameSize) -> Bool { false }
      func capture() -> Frame { Frame(size: FrameSize(width: 1, height: 1)) }
      func setChangeHandler(_ handler: @escaping @Sendable () -> Void) {}
    }
    let pump = FramePump(source: Nothing())
    try pump.start()
    defer { pump.stop() }
    let picture = try #require(pump.currentPicture())
    #expect(picture.size == FrameSize(width: 720, height: 400))
    #expect(picture.memory.pixels[720 * 400 - 1] == 0)
  }

  @Test func stoppedPumpHasNoPicture() throws {
    let pump = FramePump(source: FakeSource())
    try pump.start()
    pump.stop()
    #expect(pump.currentPicture() == nil)
  }
}
