import ArgumentParser
import Glibc
import KVMEngine

/// `porthole type`: text on the guest's keyboard.
struct TypeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "type",
    abstract: "Types text on a running desktop's keyboard.",
    usage: "porthole type [<options>] [<desktop>] [<text>]",
    discussion: """
      Text comes from standard input where none is given, or with --file -. One word alone is the \
      text for the desktop that runs, unless --file has it. A line feed is the Enter key. The text may \
      have all characters that the guest's keyboard layout has (porthole run --keyboard), by AltGr \
      and dead keys, too. Returns when the guest's keyboard has taken all of it.
      """)

  /// Characters that go in one request: they fit a line whatever JSON makes of them.
  private static let portion = 65_536
  /// A typed text's most bytes: more is a mistake.
  private static let longest = 16 << 20

  @Flag(name: .long, help: "Press Enter after the text.")
  var enter = false

  @Option(
    name: .long, help: "A file with the text, UTF-8; - is standard input.", completion: .file())
  var file: String?

  @Argument(
    help: "The desktop; may be left out where one runs.", completion: CompletedNames.desktops)
  var desktop: String?

  @Argument(help: "The text.")
  var text: String?

  @OptionGroup var choice: DesktopChoice

  func validate() throws {
    if file != nil && (text != nil || choice.name != nil && desktop != nil) {
      throw ValidationError("give a text or --file, not both")
    }
  }

  /// The desktop that is meant, and the text where it was given as a word.
  private func values() throws -> (desktop: String?, text: String?) {
    guard file == nil, let desktop else { return (desktop ?? choice.name, nil) }
    let usage = "type NAME TEXT"
    let (name, words) = try choice.split([desktop, text], following: 1, usage: usage)
    return (name, words[0])
  }

  func run() throws {
    let (name, text) = try values()
    let client = try DesktopChoice.connect(name)
    var rest = (try text ?? Self.contents(of: file))[...]
    if enter { rest += "\n" }
    while !rest.isEmpty {
      try client.call(.type, text: String(rest.prefix(Self.portion)), waits: true)
      rest = rest.dropFirst(Self.portion)
    }
  }

  /// The text of a file; of standard input where there is none.
  private static func contents(of path: String?) throws -> String {
    guard let path, path != "-" else {
      return try contents(of: STDIN_FILENO, called: "standard input")
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw HostError("open \(path)", code: errno) }
    defer { close(descriptor) }
    return try contents(of: descriptor, called: path)
  }

  private static func contents(of descriptor: Int32, called name: String) throws -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count == 0 { break }
      if count < 0 {
        if errno == EINTR { continue }
        throw HostError("read \(name)", code: errno)
      }
      bytes += buffer.prefix(count)
      guard bytes.count <= longest else { throw Complaint("more than 16 MiB is nothing to type") }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Complaint("\(name) is not UTF-8 text")
    }
    return text
  }
}
