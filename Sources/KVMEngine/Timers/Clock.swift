/// Time as devices see it, injected so that tests turn it by hand.
public protocol Clock: AnyObject, Sendable {
  /// Nanoseconds since the machine was made. Never goes back; stands still while the machine is
  /// paused.
  func now() -> UInt64

  /// A one-shot timer that calls `handler` once its deadline has passed.
  ///
  /// The handler is called on the clock's own thread with no lock held. It may be called once more
  /// after ``DeviceTimer/cancel()`` or a new ``DeviceTimer/arm(at:)`` when it was just about to
  /// run, so it checks its device's state under the device's lock before it acts.
  func makeTimer(_ name: String, handler: @escaping @Sendable () -> Void) -> any DeviceTimer
}

/// A one-shot timer of one device.
public protocol DeviceTimer: AnyObject, Sendable {
  /// Fires once, as soon as ``Clock/now()`` has reached `deadline` (nanoseconds); at once if it has
  /// passed already. Replaces an earlier deadline. May be called with a device's lock held.
  func arm(at deadline: UInt64)

  /// Forgets the deadline.
  func cancel()
}
