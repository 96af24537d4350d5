import ArgumentParser
import Storage

/// `porthole disk play`: a guest's requests from a text, for tests.
struct DiskPlayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "play", abstract: "Reads and writes an image as standard input says.",
    discussion: """
      One request a line, places and lengths in bytes: write PLACE LENGTH BYTE, zero PLACE LENGTH, \
      verify PLACE LENGTH BYTE, resize SIZE, flush. What was read and is not the byte that verify \
      names ends the command with 2.
      """,
    shouldDisplay: false)

  @Argument(help: "The image.", completion: .file())
  var image: String

  @Option(name: .long, help: "The image's format; otherwise its contents tell.")
  var format: ImageFormat?

  @Option(name: .long, help: "writeback, writethrough, none or unsafe.")
  var cache = CacheMode.writeback

  func run() throws {
    let image = try DiskImage.open(path: image, readOnly: false, format: format, cache: cache)
    while let line = readLine() {
      let words = line.split(separator: " ")
      let numbers = words.dropFirst().compactMap { UInt64($0) }
      guard let verb = words.first, numbers.count == words.count - 1,
        try Self.play(String(verb), numbers, on: image)
      else { throw Complaint("\"\(line)\" is no request") }
    }
    try image.flush()
  }

  /// - Returns: false where `verb` is none, or has other numbers.
  private static func play(
    _ verb: String, _ numbers: [UInt64], on image: any StoredImage
  ) throws -> Bool {
    switch (verb, numbers.count) {
    case ("write", 3):
      let bytes = [UInt8](
        repeating: UInt8(truncatingIfNeeded: numbers[2]), count: Int(clamping: numbers[1]))
      try bytes.withUnsafeBytes {
        try image.write(sector: numbers[0] / 512, count: $0.count / 512, from: $0)
      }
    case ("zero", 2): try image.zero(sector: numbers[0] / 512, count: numbers[1] / 512)
    case ("verify", 3):
      let bytes = try image.bytes(sector: numbers[0] / 512, count: Int(clamping: numbers[1] / 512))
      guard bytes.allSatisfy({ $0 == UInt8(truncatingIfNeeded: numbers[2]) }) else {
        Console.error("byte \(numbers[0]) and what follows is not \(numbers[2])")
        throw ExitCode(2)
      }
    case ("resize", 1): try image.resize(to: numbers[0])
    case ("flush", 0): try image.flush()
    default: return false
    }
    return true
  }
}
