import ArgumentParser
import Input

/// `porthole click`: the pointer somewhere, and a button.
struct ClickCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "click",
    abstract: "Moves a running desktop's pointer to a pixel, and clicks there.",
    usage: "porthole click [<options>] [<desktop>] <x> <y>",
    discussion: """
      Guests with a driver for the tablet or for VMware's pointer have it where it is told. Others \
      have a mouse, which moves from where the pointer was before.
      """)

  @Argument(
    help: "The desktop; may be left out where one runs.", completion: CompletedNames.desktops)
  var desktop: String?

  @Argument(help: "Pixels from the left edge.")
  var x: String?

  @Argument(help: "Pixels from the top edge.")
  var y: String?

  @OptionGroup var choice: DesktopChoice

  @Option(
    name: .long,
    help:
      "left, middle, right, wheel-up, wheel-down, wheel-left, wheel-right, back, forward or none.")
  var button = PointerButton.left.rawValue

  @Option(name: .long, help: "How often: 2 is a double click.")
  var times = 1

  func run() throws {
    var request = ControlRequest(
      v: ControlProtocol.version, id: 1, method: ControlMethod.click.rawValue)
    let (name, place) = try choice.split([desktop, x, y], following: 2, usage: "click NAME X Y")
    (request.x, request.y) = (try Self.pixels(place[0]), try Self.pixels(place[1]))
    (request.button, request.times) = (button, times)
    _ = try DesktopChoice.connect(name).call(request)
  }

  private static func pixels(_ text: String) throws -> Int {
    guard let number = Int(text) else {
      throw ValidationError("a place is two numbers of pixels, and \(text) is none")
    }
    return number
  }
}
