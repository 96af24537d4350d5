import ArgumentParser
import Glibc
import KVMEngine

/// `porthole logs`: what a desktop said while it ran.
struct LogsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logs",
    abstract: "Prints what a desktop of the store said while it ran.",
    discussion: "What its guest says on the serial port is porthole console's.")

  @Argument(help: "The desktop.", completion: CompletedNames.desktops)
  var name: String

  @Flag(name: .shortAndLong, help: "Go on with what comes, until ctrl-C.")
  var follow = false

  private static let pause: useconds_t = 100_000

  func run() throws {
    let folder = try DesktopStore(directories: .locate()).find(name)
    try LogFile(folder.logPath + ".1").print()
    guard follow else { return try LogFile(folder.logPath).print() }
    while true {
      let file = LogFile(folder.logPath)
      while try !file.hasSuccessor(in: folder) {
        try file.print()
        usleep(Self.pause)
      }
      // What came to it until it was put aside.
      try file.print()
    }
  }

  /// A log that is open as far as it is there, and stays so when it is put aside.
  private final class LogFile {
    private let path: String
    private var descriptor: Int32 = -1

    init(_ path: String) { self.path = path }
    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Prints what was added since it was printed last.
    func print() throws {
      if descriptor < 0 { descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
      guard descriptor >= 0 else {
        if errno == ENOENT { return }
        throw HostError("open \(path)", code: errno)
      }
      var bytes = [UInt8](repeating: 0, count: 65_536)
      while true {
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return }
        try OutputFile.write(
          Array(bytes.prefix(count)), to: STDOUT_FILENO, named: "standard output")
      }
    }

    /// Whether another file has its name by now.
    /// - Throws: a sentence where the desktop has lost its name.
    func hasSuccessor(in folder: DesktopFolder) throws -> Bool {
      var own = stat()
      var there = stat()
      guard access(folder.path, F_OK) == 0 else {
        try print()
        throw Complaint("desktop \(folder.name) was renamed or deleted; see porthole list")
      }
      guard descriptor >= 0, fstat(descriptor, &own) == 0, stat(path, &there) == 0 else {
        return false
      }
      return own.st_ino != there.st_ino || own.st_dev != there.st_dev
    }
  }
}
