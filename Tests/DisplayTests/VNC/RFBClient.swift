import Glibc

@testable import Display

/// A viewer of a few lines: RFB 3.8 with Raw pixels, on a blocking socket with a time limit.
final class RFBClient {
  enum Problem: Error { case gone, refused(String), unexpected(String) }

  struct Rect: Equatable {
    let x: Int, y: Int, width: Int, height: Int
    let encoding: Int32
  }

  static let desktopSize: Int32 = -223
  static let extendedDesktopSize: Int32 = -308

  let descriptor: Int32
  private(set) var width = 0
  private(set) var height = 0
  private(set) var name = ""
  /// What the viewer shows, `0x00RRGGBB`.
  private(set) var pixels: [UInt32] = []
  private(set) var bytesRead = 0
  /// The keyboard lights that the server told, in order.
  private(set) var lights: [UInt8] = []

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    try connect(&address)
  }

  init(path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    try connect(&address)
  }

  deinit { close(descriptor) }

  private func connect<Address>(_ address: inout Address) throws {
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
      }
    }
    guard result == 0 else { throw Problem.gone }
  }

  // MARK: Bytes

  func send(_ bytes: [UInt8]) {
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  func receive(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var offset = 0
    while offset < count {
      let got = bytes.withUnsafeMutableBytes {
        recv(descriptor, $0.baseAddress.map { $0 + offset }, count - offset, 0)
      }
      guard got > 0 else { throw Problem.gone }
      offset += got
      bytesRead += got
    }
    return bytes
  }

  func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

  static func bytes16(_ values: Int...) -> [UInt8] {
    values.flatMap { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] }
  }

  static func bytes32(_ value: UInt32) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }

  /// Whether something arrives within `milliseconds`.
  func hasData(within milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) > 0
  }

  /// Whether the server closes the connection, whatever it sends before, within the time limit.
  func isClosedByServer() -> Bool {
    var piece = [UInt8](repeating: 0, count: 4096)
    while true {
      let got = recv(descriptor, &piece, piece.count, 0)
      if got > 0 { continue }
      return got == 0 || errno == ECONNRESET
    }
  }

  // MARK: Handshake

  func shakeHands(password: String? = nil, minor: Int = 8) throws {
    guard try receive(12) == Array("RFB 003.008\n".utf8) else {
      throw Problem.unexpected("version")
    }
    send(Array("RFB 003.00\(minor)\n".utf8))
    let type = try securityType(minor: minor)
    if type == 2 {
      let challenge = try receive(16)
      send(RFBHandshake.response(to: challenge, password: password ?? ""))
    }
    if type == 2 || minor >= 8 {
      guard number(try receive(4)[...]) == 0 else {
        throw Problem.refused(minor >= 8 ? try reason() : "")
      }
    }
  }

  private func securityType(minor: Int) throws -> Int {
    guard minor >= 7 else { return number(try receive(4)[...]) }
    let count = Int(try receive(1)[0])
    guard count > 0 else { throw Problem.refused(try reason()) }
    let types = try receive(count)
    send([types[0]])
    return Int(types[0])
  }

  private func reason() throws -> String {
    let length = number(try receive(4)[...])
    return String(decoding: try receive(length), as: UTF8.self)
  }

  /// ClientInit and ServerInit.
  func initialise() throws {
    send([1])
    let header = try receive(24)
    width = number(header[0..<2])
    height = number(header[2..<4])
    guard header[4] == 32, header[5] == 24, Array(header[14..<17]) == [16, 8, 0] else {
      throw Problem.unexpected("pixel format")
    }
    name = String(decoding: try receive(number(header[20..<24])), as: UTF8.self)
    pixels = [UInt32](repeating: 0xFFFF_FFFF, count: width * height)
  }

  /// Everything up to where requests can be made.
  func start(password: String? = nil, encodings: [Int32] = [0]) throws {
    try shakeHands(password: password)
    try initialise()
    setEncodings(encodings)
  }

  // MARK: Messages

  func setEncodings(_ encodings: [Int32]) {
    send(
      [2, 0] + RFBClient.bytes16(encodings.count)
        + encodings.flatMap { RFBClient.bytes32(UInt32(bitPattern: $0)) })
  }

  func request(incremental: Bool) {
    send([3, incremental ? 1 : 0] + RFBClient.bytes16(0, 0, width, height))
  }

  /// Asks for another size than the picture's.
  func request(incremental: Bool, width: Int, height: Int) {
    send([3, incremental ? 1 : 0] + RFBClient.bytes16(0, 0, width, height))
  }

  /// SetDesktopSize, with one screen of that size, or as many as are asked for.
  func wish(width: Int, height: Int, screens: Int = 1) {
    let screen =
      [0, 0, 0, 7] + RFBClient.bytes16(0, 0, width, height) + RFBClient.bytes32(0)
    send(
      [251, 0] + RFBClient.bytes16(width, height) + [UInt8(screens), 0]
        + (0..<screens).flatMap { _ in screen })
  }

  func key(_ keysym: UInt32, pressed: Bool) {
    send([4, pressed ? 1 : 0, 0, 0] + RFBClient.bytes32(keysym))
  }

  func pointer(x: Int, y: Int, buttons: UInt8) {
    send([5, buttons] + RFBClient.bytes16(x, y))
  }

  /// Reads one FramebufferUpdate and applies it.
  func update() throws -> [Rect] {
    let header = try receive(4)
    guard header[0] == 0 else { throw Problem.unexpected("message \(header[0])") }
    var rects: [Rect] = []
    for _ in 0..<number(header[2..<4]) {
      let bytes = try receive(12)
      let rect = Rect(
        x: number(bytes[0..<2]), y: number(bytes[2..<4]), width: number(bytes[4..<6]),
        height: number(bytes[6..<8]),
        encoding: Int32(bitPattern: UInt32(number(bytes[8..<12]))))
      try apply(rect)
      rects.append(rect)
    }
    return rects
  }

  private func apply(_ rect: Rect) throws {
    switch rect.encoding {
    case 0:
      guard rect.x + rect.width <= width, rect.y + rect.height <= height else {
        throw Problem.unexpected("rectangle beyond the picture")
      }
      let bytes = try receive(rect.width * rect.height * 4)
      var offset = 0
      for y in rect.y..<rect.y + rect.height {
        for x in rect.x..<rect.x + rect.width {
          pixels[y * width + x] =
            UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
          offset += 4
        }
      }
    case RFBClient.extendedDesktopSize:
      let screens = Int(try receive(4)[0])
      _ = try receive(16 * screens)
      guard rect.x != 1 || rect.y == 0 else { break }
      width = rect.width
      height = rect.height
      pixels = [UInt32](repeating: 0xFFFF_FFFF, count: width * height)
    case RFBClient.desktopSize:
      width = rect.width
      height = rect.height
      pixels = [UInt32](repeating: 0xFFFF_FFFF, count: width * height)
    case ViewerNews.Encoding.extendedKey, ViewerNews.Encoding.manyButtons: break
    case ViewerNews.Encoding.lights: lights += try receive(1)
    case ViewerNews.Encoding.vmwareLights: lights += try receive(4).suffix(1)
    default:
      throw Problem.unexpected("encoding \(rect.encoding)")
    }
  }

  /// Asks and reads until the pixel has that colour.
  func waitFor(_ color: UInt32, x: Int, y: Int, firstIncremental: Bool = true) throws {
    var incremental = firstIncremental
    while x >= width || y >= height || pixels[y * width + x] != color {
      request(incremental: incremental)
      incremental = true
      _ = try update()
    }
  }
}
