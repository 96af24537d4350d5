/// Where a desktop's screen is served, as `--vnc` takes it.
enum VNCAddress: Equatable, Sendable {
  /// Nobody can connect.
  case none
  /// A TCP port of one address of this host; nil is the first free port of ``FreePort/standard``, 0 any.
  case tcp(host: String, port: UInt16?)
  /// The first free port of some.
  case range(host: String, ports: ClosedRange<UInt16>)
  /// A UNIX socket at a path.
  case unix(path: String)

  /// Loopback, the first free port: where nothing was asked.
  static let standard = VNCAddress.tcp(host: "127.0.0.1", port: nil)
  /// The port of display 0 (RFC 6143, section 2).
  static let firstPort: UInt16 = 5900
  private static let unixPrefix = "unix:"

  /// Reads `none`, `unix:PATH`, `:DISPLAY`, `HOST`, `HOST:PORT`, `HOST:FIRST-LAST`, and the same with
  /// `[IPV6]`.
  static func parse(_ text: String) throws(Complaint) -> VNCAddress {
    if text == "none" { return .none }
    if text.hasPrefix(unixPrefix) {
      let path = String(text.dropFirst(unixPrefix.count))
      guard !path.isEmpty else { throw Complaint("unix: needs the socket's path after it") }
      return .unix(path: path)
    }
    let colons = text.utf8.count { $0 == UInt8(ascii: ":") }
    if text.hasPrefix(":") && colons == 1 { return try display(text.dropFirst()) }
    if text.hasPrefix("[") { return try bracketed(text.dropFirst()) }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    switch parts.count {
    case 1 where !text.isEmpty: return .tcp(host: text, port: nil)
    case 2: return try at(String(parts[0]), parts[1])
    case 3...: throw Complaint("put brackets around an IPv6 address, as in [::1]:5900")
    default: throw Complaint("an address is like 127.0.0.1:5900, :0, unix:PATH or none")
    }
  }

  private static func display(_ text: Substring) throws(Complaint) -> VNCAddress {
    guard let number = UInt16(text), number <= UInt16.max - firstPort else {
      throw Complaint("\":\(text)\" is no display; displays are :0 to :59635")
    }
    return .tcp(host: "127.0.0.1", port: firstPort + number)
  }

  private static func bracketed(_ text: Substring) throws(Complaint) -> VNCAddress {
    guard let end = text.firstIndex(of: "]"), end > text.startIndex else {
      throw Complaint("an IPv6 address is like [::1]:5900")
    }
    let host = String(text[..<end])
    let rest = text[text.index(after: end)...]
    if rest.isEmpty { return .tcp(host: host, port: nil) }
    guard rest.hasPrefix(":") else { throw Complaint("an IPv6 address is like [::1]:5900") }
    return try at(host, rest.dropFirst())
  }

  /// A host and a port, or the first and the last of several.
  private static func at(_ host: String, _ text: Substring) throws(Complaint) -> VNCAddress {
    guard let dash = text.firstIndex(of: "-") else {
      return .tcp(host: host, port: try port(text))
    }
    let first = try port(text[..<dash])
    let last = try port(text[text.index(after: dash)...])
    guard first > 0, first <= last else {
      throw Complaint("\"\(text)\" are no ports; several are as 5900-6899")
    }
    return .range(host: host, ports: first...last)
  }

  private static func port(_ text: Substring) throws(Complaint) -> UInt16 {
    guard !text.isEmpty, text.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(text)
    else { throw Complaint("\"\(text)\" is no port; ports are 0 to 65535") }
    return port
  }

  /// Whether only this host can connect.
  var isLocal: Bool {
    switch self {
    case .none, .unix: true
    case .tcp(let host, _), .range(let host, _):
      host.hasPrefix("127.") || host == "::1" || host == "localhost"
    }
  }

  /// Whether the port is left to the desktop.
  var takesFirstFreePort: Bool {
    switch self {
    case .tcp(_, nil), .range: true
    default: false
    }
  }

  /// The address as a viewer takes it, once `port` is known.
  func text(port: UInt16?) -> String {
    switch self {
    case .none: return "none"
    case .unix(let path): return "unix:\(path)"
    case .tcp(let host, let wanted):
      return Self.text(host, port ?? wanted ?? VNCAddress.firstPort)
    case .range(let host, let ports): return Self.text(host, port ?? ports.lowerBound)
    }
  }

  private static func text(_ host: String, _ port: UInt16) -> String {
    (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
  }
}
