import ArgumentParser

/// `porthole powerdown`: the power button, and the plug for a system that takes too long.
struct PowerdownCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "powerdown",
    abstract: "Presses a running desktop's power button, so that its system shuts down.",
    discussion: """
      Returns when the desktop's process has gone. A guest that does not listen to the button runs \
      on, and the command fails. One that listened and is not off in time is switched off, as by \
      porthole kill.
      """)

  @OptionGroup var desktop: DesktopArgument

  @Option(name: .long, help: "Seconds that the guest has.")
  var timeout = 30

  static let longest = 86_400

  func validate() throws { try Self.check(timeout, least: 1) }

  /// Refuses a time that nobody waits.
  static func check(_ seconds: Int, least: Int) throws {
    guard least...longest ~= seconds else {
      throw ValidationError("--timeout takes \(least) to \(longest) seconds, not \(seconds)")
    }
  }

  func run() throws {
    let client = try desktop.connect()
    try client.call(.powerdown)
    let directory = try RuntimeDirectory.locate()
    if client.isGone(within: timeout, from: directory) { return }
    Console.error(
      "porthole: \(client.name): the guest was not off after \(timeout) s; it is switched off")
    let plug = try ControlClient(client.name, in: directory)
    try plug.call(.stop)
    try plug.waitForEnd()
  }
}
