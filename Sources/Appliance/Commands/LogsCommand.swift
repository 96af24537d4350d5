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
    for path in [folder.logPath + ".1", folder.logPath] {
      var position: off_t = 0
      var file = ino_t(0)
      try Self.print(path, from: &position, file: &file)
      guard follow, path == folder.logPath else { continue }
      while true {
        usleep(Self.pause)
        try Self.print(path, from: &position, file: &file)
      }
    }
  }

  /// Prints what a file has beyond a position; from its beginning where it is another file by now.
  private static func print(
    _ path: String, from position: inout off_t, file: inout ino_t
  ) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return }
      throw HostError("open \(path)", code: errno)
    }
    defer { close(descriptor) }
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_ino != file {
      file = status.st_ino
      position = 0
    }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = pread(descriptor, &bytes, bytes.count, position)
      guard count > 0 else { return }
      position += count
      try OutputFile.write(Array(bytes.prefix(count)), to: STDOUT_FILENO, named: "standard output")
    }
  }
}
