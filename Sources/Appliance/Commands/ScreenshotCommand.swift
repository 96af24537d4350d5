import ArgumentParser
import Glibc

/// `porthole screenshot`: the picture as a PNG file.
struct ScreenshotCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "screenshot",
    abstract: "Saves a running desktop's screen as a PNG file.",
    usage: "porthole screenshot [<options>] [<desktop>] <file>",
    discussion: """
      No viewer needs to be connected, and none notices. The file - is standard output.
      """)

  @OptionGroup var target: DesktopAndFile

  @Option(
    name: .long,
    help: ArgumentHelp("Only this part of the screen, in pixels.", valueName: "x,y,width,height"))
  var region: String?

  @Option(name: .long, help: "How many times as large, as 0.5 or 2.")
  var scale: Double?

  @Flag(
    name: .long,
    help: "Print what is known of the picture as a line of JSON: its size, its number and its age.")
  var json = false

  func run() throws {
    let (name, path) = try target.values("screenshot")
    if json && path == "-" {
      throw ValidationError("--json prints to standard output; name a file for the picture")
    }
    if path == "-" && isatty(STDOUT_FILENO) == 1 {
      throw Complaint("a picture is nothing for a terminal; name a file or use a pipe")
    }
    let wish = PictureWish(region: try region.map(ScreenshotCommand.numbers), scale: scale)
    let answer = try DesktopChoice.connect(name).call(.screenshot, picture: wish)
    if path == "-" {
      try OutputFile.write(answer.body, to: STDOUT_FILENO, named: "standard output")
    } else {
      try OutputFile.save(answer.body, path: path)
    }
    if json, let facts = answer.reply.picture {
      try OutputFile.write(
        try ControlCoding.line(facts), to: STDOUT_FILENO, named: "standard output")
    }
  }

  private static func numbers(_ text: String) throws -> [Int] {
    let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 4, let all = numbers as? [Int] else {
      throw Complaint("a region is X,Y,WIDTH,HEIGHT, four whole numbers: \(text)")
    }
    return all
  }
}
