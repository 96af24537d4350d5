import ArgumentParser
import Glibc

/// The `porthole` command: one process a desktop, and small commands that reach a running one.
@main
struct Porthole: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "porthole",
    abstract: "Runs a PC desktop on /dev/kvm and serves its screen over VNC.",
    discussion: """
      `porthole create` makes a desktop that has a name and lasts, and `porthole start` runs it in a \
      process of its own. `porthole run` is a desktop in the foreground: stop it with ctrl-C or a \
      SIGTERM, as any process. The other commands reach a running desktop through its control \
      socket, whether or not a viewer is connected. They end with 0 when it is done, 1 with a \
      sentence that says why not, 3 when porthole wait waited in vain, and 64 after a mistake on \
      the command line.
      """,
    version: "porthole 0.1.0",
    groupedSubcommands: [
      CommandGroup(
        name: "Desktops by name",
        subcommands: [
          CreateCommand.self, StartCommand.self, StopCommand.self, RestartCommand.self,
          ListCommand.self, ShowCommand.self, EditCommand.self, RenameCommand.self,
          CloneCommand.self, DeleteCommand.self, LogsCommand.self, TopCommand.self,
        ]),
      CommandGroup(
        name: "Desktops in the foreground", subcommands: [RunCommand.self, DemoCommand.self]),
      CommandGroup(
        name: "Running desktops",
        subcommands: [
          ViewCommand.self, ConsoleCommand.self, ScreenshotCommand.self, RecordCommand.self,
          TextCommand.self, TypeCommand.self, KeyCommand.self, PasteCommand.self,
          ClickCommand.self, WaitCommand.self, EventsCommand.self, PauseCommand.self,
          ResumeCommand.self,
          SaveCommand.self, ResetCommand.self, PowerdownCommand.self, KillCommand.self,
        ]),
      CommandGroup(
        name: "Images and this host",
        subcommands: [ImageCommand.self, DiskCommand.self, GuestCommand.self, DoctorCommand.self]),
    ])

  static func main() {
    // A limit on the size of files (ulimit -f) is an error of the write, as a full disk is.
    signal(SIGXFSZ, SIG_IGN)
    main(nil)
  }
}
