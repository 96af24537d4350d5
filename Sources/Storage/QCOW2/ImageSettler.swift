import KVMEngine

/// Brings what images keep in memory to their files a few seconds after it was changed, for guests
/// that never flush: where the process is killed, no more than that is lost.
///
/// One thread for all images, there from the first such change on; it sleeps while nothing is due.
final class ImageSettler: @unchecked Sendable {
  // SAFETY: everything mutable is guarded by `monitor`.
  static let shared = ImageSettler()

  private struct Entry {
    let deadline: UInt64
    weak var image: QCOW2Image?
  }

  /// Nanoseconds from a change to the file.
  private static let delay: UInt64 = 3_000_000_000
  private let monitor = Monitor()
  /// In the order in which they are due.
  private var entries: [Entry] = []
  private var thread: Thread?

  /// Has `image` settled once.
  func schedule(_ image: QCOW2Image) {
    let deadline = Monitor.monotonic() &+ Self.delay
    monitor.withLock {
      entries.append(Entry(deadline: deadline, image: image))
      // Without a thread the next flush does it.
      if thread == nil { thread = try? Thread(name: "settle") { [self] in live() } }
      monitor.broadcast()
    }
  }

  private func live() {
    monitor.lock()
    while true {
      guard let first = entries.first else {
        monitor.wait()
        continue
      }
      guard first.deadline <= Monitor.monotonic() else {
        monitor.wait(until: first.deadline)
        continue
      }
      entries.removeFirst()
      monitor.unlock()
      first.image?.settle()
      monitor.lock()
    }
  }
}
