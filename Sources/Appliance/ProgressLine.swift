import Glibc
import KVMEngine

/// One line of a terminal that tells how far long work has come. Where standard error is no terminal
/// nothing is written.
final class ProgressLine {
  private static let interval: UInt64 = 100_000_000

  private let label: String
  private let shown: Bool
  private var last: UInt64
  private var isOnScreen = false

  /// - Parameter label: what is being done, as `importing debian`.
  init(_ label: String, descriptor: Int32 = STDERR_FILENO) {
    self.label = label
    shown = isatty(descriptor) == 1
    // Short work shows nothing.
    last = Self.now
  }

  /// Tells that `done` of `total` bytes are done; ten times a second at most.
  func update(_ done: Int64, of total: Int64) {
    guard shown, Self.now &- last >= Self.interval else { return }
    last = Self.now
    let share = total > 0 ? Int(Double(done) / Double(total) * 100) : 100
    write("\(label): \(share) %, \(ByteCount.describe(done)) of \(ByteCount.describe(total))")
  }

  /// Tells what is being done where nobody knows how long it takes.
  func update(_ text: String) {
    if shown { write("\(label): \(text)") }
  }

  /// Takes the line away.
  func finish() {
    guard isOnScreen else { return }
    isOnScreen = false
    Console.write("\r\u{1B}[K", to: STDERR_FILENO)
  }

  private func write(_ text: String) {
    isOnScreen = true
    Console.write("\r\u{1B}[K" + text, to: STDERR_FILENO)
  }

  private static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000
      &+ UInt64(truncatingIfNeeded: time.tv_nsec)
  }

  deinit { finish() }
}
