import ArgumentParser
import Input

/// `porthole click`: the pointer somewhere, and a button.
struct ClickCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "click",
    abstract: "Moves a running desktop's pointer to a pixel, and clicks there.",
    discussion: """
      Guests with a driver for the tablet or for VMware's pointer have it where it is told. Others \
      have a mouse, which moves from where the pointer was before.
      """)

  @OptionGroup var desktop: DesktopChoice

  @Argument(help: "Pixels from the left edge.")
  var x: Int

  @Argument(help: "Pixels from the top edge.")
  var y: Int

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
    (request.x, request.y, request.button, request.times) = (x, y, button, times)
    _ = try desktop.connect().call(request)
  }
}
