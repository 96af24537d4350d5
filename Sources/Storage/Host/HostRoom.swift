import KVMEngine

/// Where writes wait for which the host has no room: the guest is told of no failure, and goes on
/// when there is room again.
///
/// A controller's thread waits here, and tries again each second. Who can't wait says that there is
/// no room and comes back by itself. The lock is a leaf; observers are called without it.
public final class HostRoom: @unchecked Sendable {
  // SAFETY: everything mutable is guarded by `monitor`.

  /// What observers are told.
  public enum Change: Sendable {
    /// There is no room, and requests wait: the guest had better stand still.
    case waits(ImageError)
    /// There is no room, and the guest asks again by itself.
    case asksAgain(ImageError)
    /// What waited is done, or given up.
    case goesOn
  }

  private let monitor = Monitor()
  private var observer: (@Sendable (Change) -> Void)?
  private var lack: ImageError?
  private var waiting = 0
  /// Goes up when those who wait are to try again, and when they are to give up.
  private var tries: UInt64 = 0
  private var endings: UInt64 = 0
  private var isOver = false
  private static let interval: UInt64 = 1_000_000_000

  public init() {}

  /// Sets who is told; once, before the first request.
  public func observe(_ observer: @escaping @Sendable (Change) -> Void) {
    monitor.withLock { self.observer = observer }
  }

  /// What the host has no room for; nil while nothing waits.
  public var shortage: ImageError? { monitor.withLock { lack } }

  /// Does `body`, and again each second for as long as it fails for want of room.
  /// - Parameter isCancelled: asked between two tries.
  /// - Throws: what `body` throws, want of room only where it is not to be waited for.
  func persist(
    isCancelled: () -> Bool, _ body: () throws(ImageError) -> Void
  ) throws(ImageError) {
    var hasWaited = false
    defer { if hasWaited { leave() } }
    while true {
      do throws(ImageError) { return try body() } catch {
        guard error.problem == .noSpace, !isCancelled() else { throw error }
        if !hasWaited { enter(error) }
        hasWaited = true
        guard wait() else { throw error }
      }
    }
  }

  private func enter(_ error: ImageError) {
    let observer = monitor.withLock {
      waiting += 1
      lack = error
      return self.observer
    }
    observer?(.waits(error))
  }

  private func leave() {
    let observer: (@Sendable (Change) -> Void)? = monitor.withLock {
      waiting -= 1
      guard waiting == 0 else { return nil }
      lack = nil
      return self.observer
    }
    observer?(.goesOn)
  }

  /// - Returns: false where it is to be given up.
  private func wait() -> Bool {
    let deadline = Monitor.monotonic() &+ Self.interval
    return monitor.withLock {
      let (before, ended) = (tries, endings)
      while tries == before && endings == ended && !isOver {
        guard monitor.wait(until: deadline) else { break }
      }
      return endings == ended && !isOver
    }
  }

  /// A request of someone who comes back failed.
  public func lacks(_ error: ImageError) {
    let observer: (@Sendable (Change) -> Void)? = monitor.withLock {
      guard lack == nil, !isOver else { return nil }
      lack = error
      return self.observer
    }
    observer?(.asksAgain(error))
  }

  /// A request of someone who came back is done.
  public func found() {
    let observer: (@Sendable (Change) -> Void)? = monitor.withLock {
      guard lack != nil, waiting == 0 else { return nil }
      lack = nil
      return self.observer
    }
    observer?(.goesOn)
  }

  /// Has those who wait try at once.
  public func retry() {
    monitor.withLock {
      tries &+= 1
      monitor.broadcast()
    }
  }

  /// Has those who wait give up: the machine is reset.
  public func giveUp() {
    monitor.withLock {
      endings &+= 1
      monitor.broadcast()
    }
  }

  /// Nobody waits any more: the machine stops.
  public func end() {
    monitor.withLock {
      isOver = true
      monitor.broadcast()
    }
  }

  /// Whether the machine stops, so that nobody may wait.
  public var hasEnded: Bool { monitor.withLock { isOver } }
}
