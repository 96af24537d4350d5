import ArgumentParser

/// The `porthole` command: one process a desktop, and small commands that reach a running one.
@main
struct Porthole: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "porthole",
    abstract: "Runs a PC desktop on /dev/kvm and serves its screen over VNC.",
    discussion: """
      `porthole run` is the desktop: stop it with ctrl-C or a SIGTERM, as any process. The other \
      commands reach a running desktop through its control socket, whether or not a viewer is \
      connected.
      """,
    version: "porthole 0.1.0",
    subcommands: [
      RunCommand.self, DemoCommand.self, ScreenshotCommand.self, RecordCommand.self,
      TextCommand.self, TypeCommand.self, KeyCommand.self, PasteCommand.self, ClickCommand.self,
      ListCommand.self, ImageCommand.self, PauseCommand.self, ResumeCommand.self, SaveCommand.self,
      ResetCommand.self,
      PowerdownCommand.self, StopCommand.self, GuestCommand.self, DoctorCommand.self,
    ])
}
