import Display

/// What happens to a machine that others may want to know.
public enum MachineEvent: Sendable, Equatable {
  case paused
  case resumed
  /// All of the machine was reset, by the button or by the guest.
  case reset
  /// A viewer sees the screen, or does no more; so many do now.
  case viewerCame(count: Int)
  case viewerWent(count: Int)
}

/// What the screen is at a moment.
public struct ScreenState: Sendable, Equatable {
  /// Pixels.
  public var size: FrameSize
  public var isText: Bool
}

extension Machine {
  /// What is on the screen; nil while it is switched off.
  public var screenState: ScreenState? {
    let mode = parts.video.shownMode
    return mode.size.map { ScreenState(size: $0, isText: mode.isText) }
  }

  /// Sets who is told of events, from any thread. Before ``start()``.
  public func observe(_ observer: @escaping @Sendable (MachineEvent) -> Void) {
    observers.withLock { $0 = observer }
    vncServer?.observe { came, count in
      observer(came ? .viewerCame(count: count) : .viewerWent(count: count))
    }
  }

  /// Tells the observer.
  func tell(_ event: MachineEvent) { observers.withLock { $0 }?(event) }
}
