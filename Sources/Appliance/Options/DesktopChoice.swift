import ArgumentParser
import Glibc

/// The desktop that a command means, as the first of its words or as an option.
struct DesktopChoice: ParsableArguments {
  @Option(
    name: .long, help: "The desktop, as an option.", completion: CompletedNames.desktops)
  var name: String?

  /// Tells the desktop's name from what follows it.
  /// - Parameters:
  ///   - words: what was given, the name among it or not.
  ///   - count: how many words follow the name.
  ///   - usage: how it should be, for whoever gave too few or too many.
  /// - Returns: nil where the desktop was left out: it is the one that runs.
  func split(
    _ words: [String?], following count: Int, usage: String
  ) throws -> (desktop: String?, rest: [String]) {
    let words = words.compactMap { $0 }
    guard words.count == count || words.count == count + 1 else {
      throw ValidationError("say it as: porthole \(usage)")
    }
    guard words.count > count else {
      if name == nil, count == 1, KnownDesktop.exists(words[0]) {
        throw ValidationError(
          "\(words[0]) is a desktop; say as well what to do with it: porthole \(usage)")
      }
      return (name, words)
    }
    if let name { throw ValidationError("name the desktop once: \(words[0]) or --name \(name)") }
    return (words[0], Array(words.dropFirst()))
  }

  /// A connection to a desktop; nil is the only one that runs.
  static func connect(_ desktop: String?) throws -> ControlClient {
    try ControlClient(desktop, in: try .locate())
  }
}

/// A running desktop and a file, as commands take them that write one.
struct DesktopAndFile: ParsableArguments {
  @Argument(
    help: "The desktop; may be left out where one runs.", completion: CompletedNames.desktops)
  var desktop: String?

  @Argument(help: "The file to write.", completion: .file())
  var file: String?

  @OptionGroup var choice: DesktopChoice

  /// Both.
  /// - Parameter command: what the command is called.
  func values(_ command: String) throws -> (desktop: String?, file: String) {
    let (desktop, rest) = try choice.split(
      [desktop, file], following: 1, usage: "\(command) NAME FILE")
    return (desktop, rest[0])
  }
}

/// The desktops of this user.
enum KnownDesktop {
  /// Whether there is one of that name, in the store or running.
  static func exists(_ name: String) -> Bool {
    guard DesktopName.isAllowed(name) else { return false }
    if let store = try? StoreDirectories.locate(),
      DesktopStore(directories: store).existing(name) != nil
    {
      return true
    }
    guard let directory = try? RuntimeDirectory.locate() else { return false }
    return UnixSocket.isListening(path: directory.socketPath(name))
  }
}
