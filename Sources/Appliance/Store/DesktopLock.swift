import CProcess
import Glibc
import KVMEngine

/// The lock of a desktop's folder. Whoever makes, runs, renames or deletes the desktop has it alone;
/// those who copy it share it. It goes with the process that has it, however that ends, and so is
/// never stale.
final class DesktopLock: Sendable {
  /// Who has the lock, as others see it.
  enum Holder: Equatable {
    case nobody
    /// The desktop is being copied.
    case readers
    /// One process: a running desktop where there is a record, else a command at work.
    case writer(DesktopRecord?)
  }

  let descriptor: Int32

  init(owning descriptor: Int32) { self.descriptor = descriptor }
  deinit { close(descriptor) }

  /// Takes the lock of a folder, and waits a little for a command that has it.
  /// - Parameter shared: whether others may have it so as well.
  /// - Throws: a sentence where the desktop runs, is gone, or is busy for long.
  static func take(_ folder: DesktopFolder, shared: Bool = false) throws -> DesktopLock {
    let deadline = Monitor.monotonic() &+ patience
    while true {
      if let lock = try attempt(folder, shared: shared) { return lock }
      if case .writer(let record?) = try holder(of: folder), record.isAlive {
        throw Complaint("desktop \(folder.name) runs; stop it first: porthole stop \(folder.name)")
      }
      guard Monitor.monotonic() < deadline else {
        throw Complaint("another command is at work on desktop \(folder.name); try again")
      }
      usleep(2000)
    }
  }

  /// How long a command waits for another one, in nanoseconds.
  private static let patience: UInt64 = 20_000_000_000

  /// The lock, if nobody else has it now.
  static func attempt(_ folder: DesktopFolder, shared: Bool = false) throws -> DesktopLock? {
    let descriptor = open(
      folder.lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
    guard descriptor >= 0 else {
      if errno == ENOENT { throw DesktopStore.missing(folder.name) }
      throw HostError("open \(folder.lockPath)", code: errno)
    }
    let lock = DesktopLock(owning: descriptor)
    let code = cprocess_lock(descriptor, shared ? CPROCESS_READ : CPROCESS_WRITE)
    if code == EAGAIN { return nil }
    guard code == 0 else { throw HostError("lock \(folder.lockPath)", code: code) }
    // The folder may have got another name, or none, since it was opened.
    guard lock.isOf(folder) else { return nil }
    if !shared { lock.write(nil) }
    return lock
  }

  /// Whether this is the lock of the folder that has its name now.
  func isOf(_ folder: DesktopFolder) -> Bool {
    var mine = stat()
    var other = stat()
    return fstat(descriptor, &mine) == 0 && stat(folder.lockPath, &other) == 0
      && mine.st_ino == other.st_ino && mine.st_dev == other.st_dev
  }

  /// Who has the lock of a folder.
  /// - Returns: nobody, too, where there is no lock file.
  static func holder(of folder: DesktopFolder) throws -> Holder {
    let descriptor = open(folder.lockPath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ENOENT { return .nobody }
      throw HostError("open \(folder.lockPath)", code: errno)
    }
    defer { close(descriptor) }
    switch cprocess_lock_of_others(descriptor) {
    case CPROCESS_READ: return .readers
    case CPROCESS_WRITE: return .writer(DesktopRecord(descriptor))
    default: return .nobody
    }
  }

  /// Tells others who runs the desktop; nil that nobody does.
  func write(_ record: DesktopRecord?) {
    ftruncate(descriptor, 0)
    guard let record else { return }
    let bytes = Array(record.text.utf8)
    _ = pwrite(descriptor, bytes, bytes.count, 0)
  }
}

/// What a running desktop tells in its lock file; true as long as the lock is held.
struct DesktopRecord: Equatable, Sendable {
  var pid: pid_t
  /// Its control socket; nil until it listens.
  var socket: String?

  init(pid: pid_t, socket: String? = nil) {
    self.pid = pid
    self.socket = socket
  }

  /// Whether the process is there. One that was killed may have left its record to the command that
  /// just took the lock.
  var isAlive: Bool { kill(pid, 0) == 0 || errno == EPERM }

  /// Two lines.
  var text: String { "\(pid)\n" + (socket.map { $0 + "\n" } ?? "") }

  /// Reads what `descriptor`, a lock file, says; nil where it says nothing.
  fileprivate init?(_ descriptor: Int32) {
    var bytes = [UInt8](repeating: 0, count: 512)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count > 0 else { return nil }
    let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n")
    guard let first = lines.first, let pid = pid_t(first) else { return nil }
    self.init(pid: pid, socket: lines.count > 1 ? String(lines[1]) : nil)
  }
}
