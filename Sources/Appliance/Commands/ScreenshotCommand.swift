import ArgumentParser
import Glibc

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
      try OutputFile.write(picture, to: STDOUT_FILENO, named: "standard output")
    } else {
      try OutputFile.save(picture, path: path)
    }
  }
}
