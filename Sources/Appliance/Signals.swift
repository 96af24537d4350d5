import Glibc
import KVMEngine

/// The signals that end a desktop, taken by one thread instead of handlers, so that what they start
/// may lock and wait.
enum Signals {
  private static let ending = [SIGTERM, SIGINT, SIGHUP]

  /// Blocks the ending signals in the calling thread and those it starts from then on, and ignores
  /// SIGPIPE: a peer that went away is an error of the write.
  static func block() {
    var set = endingSet()
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Calls `stop` when the first ending signal comes. The second ends the process at once: somebody
  /// does not want to wait.
  static func watch(_ stop: @escaping @Sendable (Int32) -> Void) throws -> KVMEngine.Thread {
    try KVMEngine.Thread(name: "signals") {
      stop(next())
      _exit(128 &+ next())
    }
  }

  /// Sleeps until `time`, CLOCK_MONOTONIC nanoseconds, or until an ending signal comes.
  /// - Returns: whether one came.
  static func wait(until time: UInt64) -> Bool {
    var set = endingSet()
    while true {
      let now = Monitor.monotonic()
      let left = time > now ? time - now : 0
      var rest = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
      if sigtimedwait(&set, nil, &rest) > 0 { return true }
      if errno != EINTR { return false }
    }
  }

  private static func next() -> Int32 {
    var set = endingSet()
    var number: Int32 = 0
    while sigwait(&set, &number) != 0 {}
    return number
  }

  private static func endingSet() -> sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for number in ending { sigaddset(&set, number) }
    return set
  }
}
