import ArgumentParser
import Glibc
import KVMEngine

/// `porthole screenshot`: the picture as a PNG file.
struct ScreenshotCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "screenshot",
    abstract: "Saves a running desktop's screen as a PNG file.",
    discussion: "No viewer needs to be connected, and none notices.")

  @OptionGroup var desktop: DesktopChoice

  @Argument(help: "The file to write, or - for standard output.")
  var path: String

  func run() throws {
    if path == "-" && isatty(STDOUT_FILENO) == 1 {
      throw Complaint("a picture is nothing for a terminal; name a file or use a pipe")
    }
    let picture = try desktop.connect().call(.screenshot).body
    if path == "-" {
      try Self.write(picture, to: STDOUT_FILENO, named: "standard output")
    } else {
      try Self.save(picture, path: path)
    }
  }

  /// Writes a file whole or not at all: beside it first, then in its place. What is no plain file (a
  /// pipe, a device) is written to as it is.
  static func save(_ bytes: [UInt8], path: String) throws {
    var status = stat()
    let isSpecial = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
    let target = isSpecial ? path : "\(path).\(getpid()).part"
    let mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH
    let descriptor = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw HostError("write \(path)", code: errno) }
    defer { close(descriptor) }
    do {
      try write(bytes, to: descriptor, named: path)
      if !isSpecial && rename(target, path) != 0 { throw HostError("write \(path)", code: errno) }
    } catch {
      if !isSpecial { unlink(target) }
      throw error
    }
  }

  private static func write(
    _ bytes: [UInt8], to descriptor: Int32, named name: String
  ) throws(HostError) {
    let code = bytes.withUnsafeBytes { Console.writeAll($0, to: descriptor) }
    if code != 0 { throw HostError("write \(name)", code: code) }
  }
}
