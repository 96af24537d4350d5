import ArgumentParser
import Configuration
import Glibc
import KVMEngine

/// `porthole edit`: another configuration for a desktop.
struct EditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "edit",
    abstract: "Changes a desktop's configuration, in an editor or by --set.",
    discussion: """
      The editor ($VISUAL, $EDITOR, or vi) gets a copy, which replaces desktop.yaml when it has no \
      mistake. A running desktop keeps what it started with until its next start.

        porthole edit desk --set memory=2G --set disks=disk.raw --set disks=/srv/more.img
      """)

  @Argument(help: "The desktop.", completion: CompletedNames.desktops)
  var name: String

  @Option(
    name: .long,
    help: ArgumentHelp(
      "A key and its value; given again for one key, its values.", valueName: "key=value"))
  var set: [String] = []

  @Option(name: .long, help: ArgumentHelp("A key to take away.", valueName: "key"))
  var unset: [String] = []

  func run() throws {
    let folder = try DesktopStore.open().find(name)
    guard set.isEmpty && unset.isEmpty else {
      return try folder.change { configuration in
        try Self.apply(set, unset, to: &configuration)
        _ = try configuration.command(in: folder, console: "/")
      }
    }
    try edit(folder)
  }

  /// Sets and takes away keys.
  static func apply(
    _ set: [String], _ unset: [String], to configuration: inout DesktopConfiguration
  ) throws {
    for key in unset { try configuration.set(key, []) }
    var lists: [(key: String, values: [String])] = []
    for entry in set {
      guard let sign = entry.firstIndex(of: "=") else {
        throw Complaint("--set takes KEY=VALUE, and \(entry) has no =")
      }
      let (key, value) = (String(entry[..<sign]), String(entry[entry.index(after: sign)...]))
      if let index = lists.firstIndex(where: { $0.key == key }) {
        lists[index].values.append(value)
      } else {
        lists.append((key, [value]))
      }
    }
    for (key, values) in lists { try configuration.set(key, values) }
  }

  private func edit(_ folder: DesktopFolder) throws {
    let before = try DurableFile.read(folder.configurationPath, limit: YAMLDocument.largest) ?? []
    let draft = try folder.draft()
    defer { withExtendedLifetime(draft) {} }
    let copy = draft.folder.configurationPath
    try DurableFile.create(copy, with: before)
    while true {
      try Self.runEditor(on: copy)
      let after = try DurableFile.read(copy, limit: YAMLDocument.largest) ?? []
      guard after != before else { return Console.error("porthole: nothing was changed") }
      do {
        let configuration = try DesktopConfiguration(after, file: DesktopConfiguration.fileName)
        _ = try configuration.command(in: folder, console: "/")
        return try Self.replace(folder, before, with: after)
      } catch {
        Console.error("porthole: \(error)")
        guard isatty(STDIN_FILENO) == 1, Self.wantsAgain() else {
          throw Complaint("the configuration of \(folder.name) was not changed")
        }
      }
    }
  }

  private static func replace(
    _ folder: DesktopFolder, _ before: [UInt8], with after: [UInt8]
  ) throws {
    try StoreLock.holding(folder.path) {
      guard try DurableFile.read(folder.configurationPath, limit: YAMLDocument.largest) == before
      else {
        throw Complaint("another command changed desktop \(folder.name) meanwhile; edit it again")
      }
      try folder.replace(DesktopConfiguration.fileName, with: after)
    }
  }

  private static func wantsAgain() -> Bool {
    Console.write("Edit again? [Y/n] ", to: STDERR_FILENO)
    guard let answer = readLine() else { return false }
    return !answer.lowercased().hasPrefix("n")
  }

  private static func runEditor(on path: String) throws {
    let names = ["VISUAL", "EDITOR"]
    let chosen = names.compactMap { name in getenv(name).map { String(cString: $0) } }
    let editor = chosen.first { !$0.isEmpty } ?? "vi"
    // The editor may have options, as any shell command.
    var child: pid_t = 0
    let command = ["/bin/sh", "-c", editor + " \"$1\"", "editor", path]
    let code = ArgumentVector.with(command) {
      posix_spawn(&child, "/bin/sh", nil, nil, $0, environ)
    }
    guard code == 0 else { throw HostError("start the editor \(editor)", code: code) }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    guard status == 0 else {
      throw Complaint("the editor \(editor) failed; set EDITOR to another one")
    }
  }
}
