import ArgumentParser
import Glibc

/// `porthole text`: the text screen as UTF-8.
struct TextCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "text",
    abstract: "Prints a running desktop's text screen as UTF-8.",
    discussion: "Fails where the screen shows graphics.")

  @OptionGroup var desktop: DesktopArgument

  func run() throws {
    var text = try desktop.connect().call(.text).reply.text ?? ""
    if !text.hasSuffix("\n") { text += "\n" }
    Console.write(text, to: STDOUT_FILENO)
  }
}
