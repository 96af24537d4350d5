import ArgumentParser
import FoundationEssentials

/// `porthole save`: a whole desktop as a file.
struct SaveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "save",
    abstract: "Saves a running desktop to a file: porthole run --restore FILE goes on from it.",
    usage: "porthole save [<options>] [<desktop>] <file>",
    discussion: """
      The guest stands still for as long as that takes and goes on then. Its images are not part of \
      the file: with --stop they stay as the snapshot needs them.
      """)

  @OptionGroup var target: DesktopAndFile

  @Flag(name: .long, help: "Switch the desktop off once it is saved, without running on.")
  var stop = false

  func run() throws {
    let (name, path) = try target.values("save")
    let client = try DesktopChoice.connect(name)
    try client.call(.save, path: Self.whole(path), stops: stop, waits: true)
    if stop { try client.waitForEnd() }
  }

  /// `path` from the root on, since the desktop may have been started in another folder.
  static func whole(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }
}
