import ArgumentParser
import FoundationEssentials
import Glibc
import KVMEngine

/// `porthole show`: all that is known of one desktop.
struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Shows a desktop of the store: its state, its password, its settings, its files.")

  @Argument(help: "The desktop.", completion: CompletedNames.desktops)
  var name: String

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let store = try DesktopStore(directories: .locate())
    let report = try Report(try store.find(name))
    guard json else { return Console.write(report.text, to: STDOUT_FILENO) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    Console.output(String(decoding: try encoder.encode(report), as: UTF8.self))
  }

  /// What is shown.
  struct Report: Encodable {
    var name: String
    var state: DesktopEntry.State
    var folder: String
    var password: String?
    var status: DesktopStatus?
    /// By key, as in desktop.yaml.
    var settings: [String: [String]]
    var files: [File]

    /// A file of the folder. `stored` is what it takes of the disk.
    struct File: Encodable {
      var name: String
      var bytes: Int
      var stored: Int
    }

    init(_ folder: DesktopFolder) throws {
      let configuration = try folder.configuration()
      let entry = DesktopList.stored(folder)
      name = folder.name
      state = entry.state
      self.folder = folder.path
      status = entry.status
      settings = configuration.values
      password = try configuration.password(in: folder)
      files = Self.files(in: folder.path)
    }

    private static func files(in path: String) -> [File] {
      ((try? Folder.names(in: path)) ?? []).compactMap { name in
        var status = stat()
        guard lstat(path + "/" + name, &status) == 0 else { return nil }
        return File(name: name, bytes: Int(status.st_size), stored: Int(status.st_blocks) * 512)
      }
    }

    /// The report for people.
    var text: String {
      var rows = [("desktop", name), ("state", state.rawValue), ("folder", folder)]
      if let password { rows.append(("password", password)) }
      if let status {
        rows.append(("viewers", "\(status.vnc ?? "none"), \(status.viewers ?? 0) connected"))
        rows.append(("process", "\(status.pid), \(status.engine ?? "?")"))
        rows.append(("uptime", "\(Int(status.uptime ?? 0)) s, CPU \(status.cpuTime ?? 0) s"))
      }
      for key in DesktopKey.all {
        for value in settings[key.name] ?? [] { rows.append((key.name, value)) }
      }
      for file in files {
        let sizes = [file.bytes, file.stored].map { ByteCount.describe(Int64($0)) }
        rows.append((file.name, "\(sizes[0]), \(sizes[1]) stored"))
      }
      return Columns.text(rows.map { [$0.0, $0.1] }) + "\n"
    }
  }
}

extension DesktopConfiguration {
  /// The VNC password that viewers need; nil where they need none, or the file is not there yet.
  func password(in folder: DesktopFolder) throws -> String? {
    guard self["no-password"] == nil, let file = self["password-file"] else { return nil }
    return try? Password.read(path: file.hasPrefix("/") ? file : folder.path + "/" + file)
  }
}
