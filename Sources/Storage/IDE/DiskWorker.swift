import KVMEngine

/// The thread on which a controller reads and writes its images, so that no vCPU waits for a disk.
///
/// It has room for one request, which is all that a controller without command queues can have
/// under way. Until it is started, work is done on the thread that asks for it.
public final class DiskWorker: @unchecked Sendable {
  // SAFETY: everything mutable is guarded by `monitor`.
  private let monitor = Monitor()
  private let name: String
  private var work: (@Sendable () -> Void)?
  private var thread: Thread?
  private var requested = false
  private var working = false
  private var stopping = false

  /// - Parameter name: the thread's: `disk0`.
  public init(name: String) { self.name = name }

  /// Says what is to be done at each request; once, before the first. It is called with no lock held
  /// and returns when there is nothing left to do.
  func attach(_ work: @escaping @Sendable () -> Void) {
    monitor.withLock { self.work = work }
  }

  /// Starts the thread.
  /// - Throws: `HostError` where the host has no room for another.
  public func start() throws(HostError) {
    let thread = try Thread(name: name) { [self] in live() }
    monitor.withLock { self.thread = thread }
  }

  /// Does what was asked for and ends the thread.
  public func stop() {
    monitor.lock()
    stopping = true
    let thread = self.thread
    monitor.broadcast()
    monitor.unlock()
    thread?.join()
    monitor.withLock {
      self.thread = nil
      stopping = false
    }
  }

  /// Has the work done soon. Called without the controller's lock.
  func request() {
    monitor.lock()
    guard thread == nil else {
      requested = true
      monitor.broadcast()
      monitor.unlock()
      return
    }
    let work = self.work
    monitor.unlock()
    work?()
  }

  /// Returns when nothing is asked for nor being done. Called without the controller's lock, by
  /// whoever stands outside of the guest.
  func drain() {
    monitor.lock()
    while (requested || working) && thread != nil { monitor.wait() }
    monitor.unlock()
  }

  private func live() {
    monitor.lock()
    while true {
      if requested {
        requested = false
        working = true
        let work = self.work
        monitor.unlock()
        work?()
        monitor.lock()
        working = false
        monitor.broadcast()
      } else if stopping {
        break
      } else {
        monitor.wait()
      }
    }
    monitor.unlock()
  }
}
