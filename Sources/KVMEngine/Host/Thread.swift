import CKVM
import Glibc

/// A named POSIX thread that is joined.
///
/// vCPUs, the display, timers and disks are such threads: `top -H` shows them by name, `nice` and
/// CPU pinning act on them, and none of them is in a pool.
public final class Thread: @unchecked Sendable {
  // SAFETY: `handle` is written once by `pthread_create` before `init` returns; `joined` only by
  // `join`, which one owner calls.
  private var handle = pthread_t()
  private var joined = false

  private final class Start {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Starts a thread.
  /// - Parameters:
  ///   - name: at most 15 bytes are kept.
  ///   - stackBytes: room for the stack; only touched pages cost memory.
  /// - Throws: ``HostError`` where the host has no room for another thread.
  public init(
    name: String, stackBytes: Int = 512 << 10, body: @escaping @Sendable () -> Void
  ) throws(HostError) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, stackBytes)
    let start = Unmanaged.passRetained(Start(body))
    let code = pthread_create(
      &handle, &attributes,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        ckvm_block_signals()
        start.body()
        return nil
      }, start.toOpaque())
    guard code == 0 else {
      start.release()
      throw HostError("start thread \(name)", code: code)
    }
    ckvm_name_thread(handle, name)
  }

  /// Waits until the thread's body has returned. Called once, from another thread.
  public func join() {
    guard !joined else { return }
    joined = true
    pthread_join(handle, nil)
  }
}

/// A lock with a condition, for a thread that sleeps until it has work.
///
/// Waits end at a deadline in CLOCK_MONOTONIC nanoseconds, which `Mutex` can't do.
public final class Monitor: @unchecked Sendable {
  // SAFETY: the pointer is constant from `init` to `deinit` and names a pthread mutex and condition.
  private let monitor: UnsafeMutablePointer<ckvm_monitor>

  public init() { monitor = ckvm_monitor_create() }
  deinit { ckvm_monitor_destroy(monitor) }

  /// Runs `body` with the lock held.
  @inlinable
  public func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    lock()
    defer { unlock() }
    return try body()
  }

  public func lock() { ckvm_monitor_lock(monitor) }
  public func unlock() { ckvm_monitor_unlock(monitor) }

  /// Gives the lock up and sleeps until ``broadcast()``; may wake without one. Lock held.
  public func wait() { ckvm_monitor_wait(monitor) }

  /// Like ``wait()``, but no longer than until `deadline` (``Monitor/monotonic()`` nanoseconds).
  /// - Returns: false where the deadline ended the wait.
  @discardableResult
  public func wait(until deadline: UInt64) -> Bool {
    ckvm_monitor_wait_until(monitor, deadline)
  }

  /// Wakes everyone who waits.
  public func broadcast() { ckvm_monitor_broadcast(monitor) }

  /// CLOCK_MONOTONIC, nanoseconds.
  public static func monotonic() -> UInt64 { ckvm_monotonic() }
}
