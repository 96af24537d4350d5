import FoundationEssentials

/// The control protocol's numbers; docs/control-protocol.md is its text.
enum ControlProtocol {
  /// The one version there is.
  static let version = 1
  /// A request's or reply's longest line, its line feed included, in bytes.
  static let longestLine = 1 << 20
  /// The largest body behind a reply that a client takes, in bytes.
  static let largestBody = 256 << 20
  /// Connections at a time; one more is told that the desktop is busy.
  static let mostConnections = 16
  /// How long a peer may take for a line, or stop taking a reply, in nanoseconds.
  static let patience: UInt64 = 10_000_000_000
}

/// What a client can ask for.
enum ControlMethod: String, CaseIterable, Sendable {
  case status, screenshot, frame, text, serial, type, key, paste, click, pause, resume, save
  case reset, powerdown, stop, subscribe
}

/// One request: a line of JSON.
struct ControlRequest: Codable, Equatable, Sendable {
  /// The protocol's version.
  var v: Int
  /// Comes back with the reply; the client's own business.
  var id: Int?
  var method: String
  /// The text to type, or the keys to press.
  var text: String?
  var chord: String?
  /// Where to click, pixels; with which button, left where none is named; and how often, once where
  /// that is not said.
  var x: Int?
  var y: Int?
  var button: String?
  var times: Int?
  /// The file to write, from the root on.
  var path: String?
  /// The `mark` of the picture that the client has.
  var mark: String?
  /// What of the picture, and how large: x, y, width, height; a factor.
  var region: [Int]?
  var scale: Double?
  /// Whether everything that blinks is shown.
  var steady: Bool?
  /// Whether the desktop stops once it is saved.
  var stops: Bool?
}

/// One reply: a line of JSON, and `body` bytes behind it.
struct ControlReply: Codable, Equatable, Sendable {
  var v: Int = ControlProtocol.version
  /// The request's id; nil where it could not be read.
  var id: Int?
  /// Why the request failed; nil where it did not.
  var error: ControlFailure?
  /// The answer to `text` and to `serial`.
  var text: String?
  /// The answer to `status`.
  var status: DesktopStatus?
  /// The answer to `frame`.
  var frame: ControlFrame?
  /// Beside the body of `screenshot`.
  var picture: PictureFacts?
  /// Bytes that follow the line; nil is none.
  var body: Int?
}

/// A picture whose pixels are the reply's body, unless the client has them.
struct ControlFrame: Codable, Equatable, Sendable {
  var width: Int
  var height: Int
  /// The same for pictures that look the same.
  var mark: String
}

/// Why a request failed: a word for programs and a sentence for people.
struct ControlFailure: Error, Codable, Equatable, Sendable, CustomStringConvertible {
  /// What went wrong, for programs.
  enum Code: String, Codable, Sendable {
    case badRequest = "bad-request"
    case unsupportedVersion = "unsupported-version"
    case unknownMethod = "unknown-method"
    case tooLong = "too-long"
    case busy
    case notAllowed = "not-allowed"
    case tooSlow = "too-slow"
    case failed
  }
  var code: Code
  var message: String

  var description: String { message }
}

/// Messages as lines.
enum ControlCoding {
  /// `message` as one line, with its line feed.
  static func line(_ message: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return [UInt8](try encoder.encode(message)) + [UInt8(ascii: "\n")]
  }

  /// The message in a line.
  static func message<Message: Decodable>(
    _ type: Message.Type, in line: [UInt8]
  ) throws -> Message {
    try JSONDecoder().decode(type, from: Data(line))
  }
}
