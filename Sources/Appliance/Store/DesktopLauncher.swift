import CProcess
import Glibc
import KVMEngine

/// Starts a desktop's process, which outlives the command that does.
struct DesktopLauncher {
  let folder: DesktopFolder
  private let pid: pid_t
  /// Where the process says that its desktop runs, or why it does not.
  private let readiness: Int32

  /// How long a start may take, in seconds.
  static let patience = 60

  /// Starts the process. It has the lock, too, and keeps it.
  init(_ folder: DesktopFolder, lock: DesktopLock) throws {
    self.folder = folder
    let log = try DesktopLog.open(folder.logPath)
    defer { close(log) }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw HostError("make a pipe", code: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[1]) }
    let arguments = ["porthole", "start", "--foreground", "--detached", folder.name]
    var child: pid_t = 0
    let code = ArgumentVector.with(arguments) {
      cprocess_spawn("/proc/self/exe", $0, log, ends[1], lock.descriptor, &child)
    }
    guard code == 0 else {
      close(ends[0])
      throw HostError("start the process of desktop \(folder.name)", code: code)
    }
    pid = child
    readiness = ends[0]
  }

  /// Waits until the desktop runs, and its screen is served.
  /// - Returns: the line that says how to reach it.
  /// - Throws: the sentence with which it failed.
  func wait() throws -> String {
    defer { close(readiness) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    var item = pollfd(fd: readiness, events: Int16(POLLIN), revents: 0)
    while true {
      let ready = poll(&item, 1, Int32(Self.patience * 1000))
      if ready < 0 && errno == EINTR { continue }
      guard ready > 0 else {
        throw Complaint(
          "desktop \(folder.name) is not running after \(Self.patience) s; see porthole logs "
            + folder.name)
      }
      let count = read(readiness, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      bytes += buffer.prefix(count)
    }
    return try outcome(String(decoding: bytes, as: UTF8.self))
  }

  private func outcome(_ text: String) throws -> String {
    if text.hasPrefix(Readiness.good) { return String(text.dropFirst(Readiness.good.count)) }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    if text.hasPrefix(Readiness.bad) {
      throw Complaint(String(text.dropFirst(Readiness.bad.count)))
    }
    // wait(2): the low seven bits are the signal that ended it.
    let signal = status & 0x7F
    let cause = signal == 0 ? "ended" : "was ended by signal \(signal) (\(Self.name(of: signal)))"
    throw Complaint(
      "desktop \(folder.name) \(cause) before it ran; see porthole logs \(folder.name)")
  }

  private static func name(of signal: Int32) -> String {
    strsignal(signal).map { String(cString: $0).lowercased() } ?? "unknown"
  }
}

/// What a desktop's process tells the command that started it: one message.
enum Readiness {
  /// What good news and a failure begin with.
  static let good = "+"
  static let bad = "-"
  /// Where the launcher left the pipe and the lock.
  static let descriptor: Int32 = 3
  static let lockDescriptor: Int32 = 4

  /// Says it and closes the pipe.
  static func tell(_ text: String) {
    Console.write(text, to: descriptor)
    close(descriptor)
  }
}
