import Glibc
import KVMEngine
import Machine

/// What happened to a desktop: a line of JSON for those who subscribed.
struct ControlEvent: Codable, Equatable, Sendable {
  /// What can happen.
  enum Kind: String, Codable, Sendable, CaseIterable {
    case started, stopped, paused, resumed, reset, mode
    case viewerCame = "viewer-came"
    case viewerWent = "viewer-went"
  }

  var v: Int = ControlProtocol.version
  var event: Kind
  /// Seconds since 1970.
  var time: Double = ControlEvent.now()
  /// `stopped` only: why.
  var reason: String?
  /// `mode` only: the picture's size in pixels, and whether it is a text screen.
  var width: Int?
  var height: Int?
  var text: Bool?
  /// Of viewers only: how many see the screen now.
  var viewers: Int?

  init(_ event: Kind) { self.event = event }

  /// The time of day in seconds since 1970, to the millisecond.
  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec / 1_000_000) / 1000
  }
}

extension ControlEvent {
  /// What happened to a machine.
  init(of event: MachineEvent) {
    switch event {
    case .paused: self.init(.paused)
    case .resumed: self.init(.resumed)
    case .reset: self.init(.reset)
    case .viewerCame(let count):
      self.init(.viewerCame)
      viewers = count
    case .viewerWent(let count):
      self.init(.viewerWent)
      viewers = count
    }
  }

  /// What the screen shows.
  init(of screen: ScreenState) {
    self.init(.mode)
    (width, height, text) = (screen.size.width, screen.size.height, screen.isText)
  }
}

/// Hands events to those who subscribed, each of which has a queue of its own with a bound. Whoever
/// publishes waits for nobody.
final class EventHub: @unchecked Sendable {
  // SAFETY: what follows `monitor` is read and written with it held.
  /// The most events that wait for one subscriber; one more, and it is dropped.
  static let longestQueue = 256
  /// How often a subscriber's thread looks at its peer, and at the screen's mode.
  private static let tick: UInt64 = 100_000_000

  private let monitor = Monitor()
  private var queues: [Int: Queue] = [:]
  private var last = 0
  private var ended = false
  private var mode: ControlEvent?
  private var started: ControlEvent?
  private var looksAtMode: (@Sendable () -> ControlEvent?)?

  private struct Queue {
    var events: [ControlEvent] = []
    var isLate = false
  }

  /// Says that the desktop has started, and how its screen's mode can be seen.
  func begin(mode: @escaping @Sendable () -> ControlEvent?) {
    monitor.withLock {
      started = ControlEvent(.started)
      looksAtMode = mode
    }
  }

  /// Tells all subscribers. Any thread, with device locks held, too.
  func publish(_ event: ControlEvent) {
    monitor.withLock { enqueue(event) }
  }

  /// Lock held.
  private func enqueue(_ event: ControlEvent) {
    guard !queues.isEmpty else { return }
    for number in queues.keys {
      guard let count = queues[number]?.events.count else { continue }
      if count < Self.longestQueue {
        queues[number]?.events.append(event)
      } else {
        queues[number]?.isLate = true
      }
    }
    monitor.broadcast()
  }

  /// Tells the last event, and waits a moment for those who take it.
  func end(_ event: ControlEvent) {
    let deadline = Monitor.monotonic() &+ 500_000_000
    monitor.withLock {
      enqueue(event)
      ended = true
      monitor.broadcast()
      while !queues.isEmpty, monitor.wait(until: deadline) {}
    }
  }

  /// Serves one subscriber until it goes, is too slow, or the desktop ends. On its own thread.
  func serve(_ stream: ControlStream) {
    let number = monitor.withLock {
      last &+= 1
      queues[last] = Queue(events: started.map { [$0] } ?? [])
      return last
    }
    defer {
      monitor.withLock {
        queues[number] = nil
        monitor.broadcast()
      }
    }
    while true {
      look()
      let (events, isLate, isOver) = next(number)
      do {
        for event in events {
          try stream.write(try ControlCoding.line(event), patience: ControlProtocol.patience)
        }
        if isLate {
          return try stream.write(Self.dropped(), patience: ControlProtocol.patience)
        }
      } catch {
        return
      }
      if isOver || stream.isClosed { return }
    }
  }

  /// Waits for events, no longer than a tick.
  private func next(_ number: Int) -> (events: [ControlEvent], isLate: Bool, isOver: Bool) {
    let deadline = Monitor.monotonic() &+ Self.tick
    return monitor.withLock {
      while !ended, let queue = queues[number], queue.events.isEmpty, !queue.isLate,
        monitor.wait(until: deadline)
      {}
      let queue = queues[number] ?? Queue()
      queues[number]?.events = []
      return (queue.events, queue.isLate, ended)
    }
  }

  /// Publishes the screen's mode where it is another one than at the last look.
  private func look() {
    guard var now = monitor.withLock({ looksAtMode })?() else { return }
    monitor.withLock {
      now.time = mode?.time ?? now.time
      guard now != mode else { return }
      now.time = ControlEvent.now()
      mode = now
      enqueue(now)
    }
  }

  private static func dropped() throws -> [UInt8] {
    let failure = ControlFailure(
      code: .tooSlow, message: "more than \(longestQueue) events waited to be read; subscribe again"
    )
    return try ControlCoding.line(ControlReply(error: failure))
  }
}
