import KVMEngine
import Synchronization

/// A picture that can be read while it is drawn.
struct Picture: Sendable {
  /// Holds at least `size.width * size.height` pixels.
  let memory: FrameMemory
  let size: FrameSize

  func isSame(as other: Picture) -> Bool { memory === other.memory && size == other.size }
}

/// Somebody who is shown the picture: one viewer.
protocol PictureViewer: AnyObject, Sendable {
  /// It asked for an update that it has not got yet. Does not wait for its peer.
  var isWaiting: Bool { get }

  /// The picture is `picture` from now on, and changed as `change` says. Does not wait for its peer.
  /// Called with the pump's lock held.
  func show(_ picture: Picture, change: PictureChange)
}

/// How the picture differs from the one before.
struct PictureChange: Sendable {
  /// What moved as a whole, one after the other.
  var copies: [FrameCopy] = []
  /// Where pixels changed after that.
  var damage: [FrameRect] = []
  /// When the first pixel of it may have been written to the frame, CLOCK_MONOTONIC nanoseconds:
  /// who read the frame since then may have read any of both pictures.
  var began: UInt64 = 0

  static let none = PictureChange()
}

/// The display thread: brings the shadow frame up to date at the pace that viewers ask for, and tells
/// them what changed. It sleeps while nobody waits for an update.
///
/// Lock order: a device's lock, then the pump's, then a viewer's. The frame source is called with
/// none of them held.
public final class FramePump: @unchecked Sendable {
  // SAFETY: `frame` and `everything` belong to the display thread; what follows them is read and
  // written with `monitor` held.
  private let source: any FrameSource
  private let guest: GuestActivity?
  private let frame = Frame(size: FramePump.idleSize)
  private var everything = true

  private let monitor = Monitor()
  private var viewers: [any PictureViewer] = []
  private var picture: Picture
  private var pace = FramePace()
  /// Something happened that may make a viewer wait, or the pump stop.
  private var poked = false
  /// Looks at the picture so far, and how many there must be for ``currentPicture()`` to return.
  private var looks: UInt64 = 0
  private var looksAwaited: UInt64 = 0
  /// A look is under way.
  private var looking = false
  /// Who is in ``currentPicture()``.
  private var awaiting = 0
  private var unwatched = false
  private var stopping = false
  private var thread: Thread?

  /// The source told of a change since the last look.
  private let changed = Atomic<Bool>(false)

  /// The shadow frame's size while nobody looks.
  private static let idleSize = FrameSize(width: 1, height: 1)
  /// What viewers see of a machine that shows nothing yet: an empty text screen.
  private static let blankSize = FrameSize(width: 720, height: 400)
  /// The most rectangles that one update marks; more become their bounding box.
  static let damageLimit = DamageGrid.maximumRects

  /// - Parameter guest: who draws the picture; nil where nobody knows when it does.
  public init(source: any FrameSource, guest: GuestActivity? = nil) {
    self.source = source
    self.guest = guest
    picture = Picture(memory: frame.memory, size: frame.size)
  }

  /// Starts the thread.
  public func start() throws(HostError) {
    source.setChangeHandler { [weak self] in self?.noteChange() }
    guest?.onChange { [weak self] in self?.noteRequest() }
    thread = try Thread(name: "display") { [unowned self] in self.run() }
  }

  /// Ends the thread and waits for it.
  public func stop() {
    source.setChangeHandler {}
    monitor.withLock {
      stopping = true
      monitor.broadcast()
    }
    thread?.join()
    thread = nil
  }

  /// A viewer's or a script's input went to the guest: its answer is looked for in quick succession.
  public func noteInput() {
    monitor.withLock {
      guard !viewers.isEmpty else { return }
      pace.noteInput(at: Monitor.monotonic())
      poked = true
      monitor.broadcast()
    }
  }

  /// A viewer would like the picture to have another size; false where it can't.
  func offer(_ size: FrameSize) -> Bool { source.offer(size) }

  /// A viewer asked for an update, or the guest does something else than before.
  func noteRequest() {
    monitor.withLock {
      poked = true
      monitor.broadcast()
    }
  }

  /// The picture as it is now; nil where the pump has stopped. Waits for the display thread.
  func currentPicture() -> Picture? {
    monitor.withLock {
      // One that has begun may have passed over what is there now.
      let awaited = looks &+ (looking ? 2 : 1)
      looksAwaited = max(looksAwaited, awaited)
      poked = true
      awaiting += 1
      monitor.broadcast()
      while looks < awaited && !stopping { monitor.wait() }
      awaiting -= 1
      poked = true
      monitor.broadcast()
      return stopping ? nil : picture
    }
  }

  /// Looks at the picture unless that was done a moment ago, however many ask. Waits for the display
  /// thread.
  func bringUpToDate() {
    if monitor.withLock({ pace.isStale(at: Monitor.monotonic()) }) { _ = currentPicture() }
  }

  /// Shows the picture to one more viewer.
  func attach(_ viewer: any PictureViewer) {
    monitor.withLock {
      viewers.append(viewer)
      unwatched = false
      // Without a picture the viewer keeps the one that it has until the next look.
      if picture.size != FramePump.idleSize { viewer.show(picture, change: .none) }
      poked = true
      monitor.broadcast()
    }
  }

  /// How many viewers are shown the picture.
  var viewerCount: Int { monitor.withLock { viewers.count } }

  /// Forgets a viewer; it is not called afterwards.
  func detach(_ viewer: any PictureViewer) {
    monitor.withLock {
      viewers.removeAll { $0 === viewer }
      unwatched = viewers.isEmpty
      poked = true
      monitor.broadcast()
    }
  }

  /// Called by the source with its locks held: sets a flag, and wakes the thread at most once a look.
  private func noteChange() {
    if changed.exchange(true, ordering: .acquiringAndReleasing) { return }
    monitor.withLock {
      guard !viewers.isEmpty else { return }
      poked = true
      monitor.broadcast()
    }
  }

  private func run() {
    monitor.lock()
    while !stopping {
      poked = false
      let watching = viewers
      let awaited = looks < looksAwaited
      if unwatched && awaiting == 0 { releaseFrame() }
      monitor.unlock()
      let wanted = awaited || watching.contains { $0.isWaiting }
      monitor.lock()
      if stopping { break }
      guard wanted else {
        if !poked { monitor.wait() }
        continue
      }
      if awaited { look() } else { lookOrWait() }
    }
    monitor.broadcast()
    monitor.unlock()
  }

  /// Does what is to be done next, while a viewer waits. Lock held.
  private func lookOrWait() {
    let activity = guest?.moment
    let now = Monitor.monotonic()
    let plan = pace.plan(changed: changed.load(ordering: .acquiring), guest: activity, at: now)
    if plan.due <= now { return look() }
    if plan.watchesGuest {
      guest?.watch()
      if guest?.moment != activity { return }
    }
    guard !poked else { return }
    if plan.due == FramePace.never { monitor.wait() } else { monitor.wait(until: plan.due) }
  }

  /// Nobody looks: the shadow frame's memory is given back. Lock held.
  private func releaseFrame() {
    unwatched = false
    frame.resize(FramePump.idleSize)
    picture = Picture(memory: frame.memory, size: frame.size)
    everything = true
  }

  /// Brings the frame up to date and tells the viewers. Lock held, but not while the source works.
  private func look() {
    let start = Monitor.monotonic()
    let activity = guest?.moment
    looking = true
    monitor.unlock()
    changed.store(false, ordering: .releasing)
    if frame.size == FramePump.idleSize { frame.resize(FramePump.blankSize) }
    let update = source.update(frame, everything: everything)
    everything = false
    monitor.lock()
    let now = Picture(memory: frame.memory, size: frame.size)
    let replaced = update.resized || !now.isSame(as: picture)
    let damage = replaced ? [whole(now.size)] : bounded(update.damage, to: now.size)
    picture = now
    let change = PictureChange(
      copies: replaced ? [] : update.copies, damage: damage, began: start)
    let found = !damage.isEmpty || !change.copies.isEmpty
    // A cursor does not blink while the clock stands.
    let next = activity?.standsStill == true ? nil : update.nextChange
    pace.ticked(at: start, found: found, nextChange: next, guest: activity)
    if found {
      for viewer in viewers { viewer.show(now, change: change) }
    }
    looking = false
    looks &+= 1
    if awaiting > 0 { monitor.broadcast() }
  }

  private func whole(_ size: FrameSize) -> FrameRect {
    FrameRect(x: 0, y: 0, width: size.width, height: size.height)
  }

  /// The rectangles cut to the picture, and joined where they are too many.
  private func bounded(_ damage: [FrameRect], to size: FrameSize) -> [FrameRect] {
    var kept: [FrameRect] = []
    var left = size.width
    var top = size.height
    var right = 0
    var bottom = 0
    for rect in damage {
      let x = min(max(rect.x, 0), size.width)
      let y = min(max(rect.y, 0), size.height)
      let endX = min(max(rect.x &+ rect.width, x), size.width)
      let endY = min(max(rect.y &+ rect.height, y), size.height)
      guard endX > x, endY > y else { continue }
      kept.append(FrameRect(x: x, y: y, width: endX - x, height: endY - y))
      left = min(left, x)
      top = min(top, y)
      right = max(right, endX)
      bottom = max(bottom, endY)
    }
    guard kept.count > FramePump.damageLimit else { return kept }
    return [FrameRect(x: left, y: top, width: right - left, height: bottom - top)]
  }
}
