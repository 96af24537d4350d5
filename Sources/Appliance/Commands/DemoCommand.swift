import ArgumentParser

/// `porthole demo`: the desktop that is built in, with the options of `porthole run`.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Runs the demo desktop, which is built in.",
    discussion: """
      A desktop of our own with windows to drag, a text pad, a canvas, a terminal, a clock and a \
      tester of keys and buttons. F1 to F5 change its scene, as --scene does. --resolution gives it \
      another size, where the firmware has such a mode; more than 1024x768 needs 32M of memory. \
      Everything else is as with porthole run.
      """)

  @Option(
    name: .long,
    help: """
      What it begins with: desktop; still, in which nothing moves by itself; drag, a window that is \
      dragged and text that scrolls; scroll; or noise.
      """)
  var scene = "desktop"

  @OptionGroup var options: RunCommand

  /// Bytes that its pictures and windows need.
  private var leastMemory: Int { options.resolution == nil ? 16 << 20 : 32 << 20 }

  /// The `porthole run` that it is.
  func command() throws -> RunCommand {
    guard options.guest == nil else {
      throw ValidationError("porthole demo is a guest; give --guest to porthole run")
    }
    guard options.memory.map({ $0 >= leastMemory }) ?? true else {
      throw ValidationError("the demo desktop needs \(leastMemory >> 20)M of memory")
    }
    let size = options.resolution.map { "@\($0.width)x\($0.height)" } ?? ""
    var command = options
    command.guest = "demo:\(scene)" + size
    try command.validate()
    return command
  }

  func validate() throws { _ = try command() }

  func run() throws { try command().run() }
}
