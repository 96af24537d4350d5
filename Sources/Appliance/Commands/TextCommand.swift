import ArgumentParser
import Glibc

/// `porthole text`: the text screen as UTF-8.
struct TextCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "text",
    abstract: "Prints a running desktop's text screen as UTF-8.",
    discussion: """
      Fails where the screen shows graphics. With --serial it is what the guest said on its serial port \
      since it was started or reset, 64 KiB at least, as it came.
      """)

  @OptionGroup var desktop: DesktopArgument

  @Flag(name: .long, help: "What the guest said on its serial port instead.")
  var serial = false

  func run() throws {
    var text = try desktop.connect().call(serial ? .serial : .text).reply.text ?? ""
    if !text.hasSuffix("\n") { text += "\n" }
    Console.write(text, to: STDOUT_FILENO)
  }
}
