import ArgumentParser
import Glibc
import KVMEngine

/// `porthole type`: text on the guest's keyboard.
struct TypeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "type",
    abstract: "Types text on a running desktop's keyboard.",
    discussion: """
      Text comes from standard input where none is given. A line feed is the Enter key. Returns \
      when the guest's keyboard has taken all of it.
      """)

  /// Characters that go in one request: they fit a line whatever JSON makes of them.
  private static let portion = 65_536
  /// A typed text's most bytes: more is a mistake.
  private static let longest = 16 << 20

  @OptionGroup var desktop: DesktopChoice

  @Flag(name: .long, help: "Press Enter after the text.")
  var enter = false

  @Argument(help: "The text.")
  var text: String?

  func run() throws {
    let client = try desktop.connect()
    var rest = (try text ?? Self.standardInput())[...]
    if enter { rest += "\n" }
    while !rest.isEmpty {
      try client.call(.type, text: String(rest.prefix(Self.portion)), waits: true)
      rest = rest.dropFirst(Self.portion)
    }
  }

  private static func standardInput() throws -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(STDIN_FILENO, &buffer, buffer.count)
      if count == 0 { break }
      if count < 0 {
        if errno == EINTR { continue }
        throw HostError("read standard input", code: errno)
      }
      bytes += buffer.prefix(count)
      guard bytes.count <= longest else { throw Complaint("more than 16 MiB is nothing to type") }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Complaint("standard input is not UTF-8 text")
    }
    return text
  }
}
