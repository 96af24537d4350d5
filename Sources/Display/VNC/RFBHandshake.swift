import CVNC
import KVMEngine

/// The start of an RFB connection, up to the point where the viewer is trusted: version, security
/// type and VNC authentication (RFC 6143, 7.1.1 to 7.1.3 and 7.2).
///
/// It is done here, not in libvncserver: the library looks 100 ms for a web browser first, keeps the
/// security types of all servers of a process in one list, takes its challenges from `random()`, and
/// has no time limit for the whole.
struct RFBHandshake {
  let socket: ViewerSocket
  /// What the viewer must know; nil for nothing.
  let password: String?
  /// What a viewer must know that only views; nil where there is no such password.
  var viewPassword: String?
  /// When the viewer must be through, CLOCK_MONOTONIC nanoseconds.
  let deadline: UInt64

  /// The greeting of a server that speaks RFB 3.8.
  static let version = Array("RFB 003.008\n".utf8)

  private enum SecurityType: UInt8 {
    case none = 1
    case vncAuthentication = 2
  }

  /// What a wrong password costs, in nanoseconds, so that trying them all takes too long.
  private static let penalty: UInt64 = 1_000_000_000

  /// A viewer that was let in.
  struct Guest: Equatable {
    /// The protocol's minor version that was agreed on: 3, 7 or 8.
    var minor: Int32
    /// It knew the password for viewing.
    var onlyViews = false
  }

  /// Who was let in; nil where the viewer was not.
  func run() -> Guest? {
    guard socket.write(RFBHandshake.version, until: deadline),
      let answer = socket.read(RFBHandshake.version.count, until: deadline),
      let minor = RFBHandshake.minorVersion(answer)
    else { return nil }
    let type: SecurityType = password == nil ? .none : .vncAuthentication
    guard agree(on: type, minor: minor) else { return nil }
    if let password {
      return authenticate(password, minor: minor)
    }
    // Before 3.8 a viewer that need not authenticate is told nothing.
    if minor >= 8 && !socket.write(RFBHandshake.word(0), until: deadline) { return nil }
    return Guest(minor: minor)
  }

  /// What a viewer that can't be served is sent: the greeting, no security types, and why.
  static func refusal(_ reason: String) -> [UInt8] {
    version + [0] + word(UInt32(reason.utf8.count)) + Array(reason.utf8)
  }

  /// What a viewer that knows `password` answers to a challenge of 16 bytes (RFC 6143, 7.2.2).
  static func response(to challenge: [UInt8], password: String) -> [UInt8] {
    var bytes = challenge
    guard bytes.count == 16 else { return [] }
    cvnc_encrypt(&bytes, password)
    return bytes
  }

  /// `RFB xxx.yyy` and a line feed. Versions that were never published count as 3.3 (RFC 6143,
  /// 7.1.1), higher ones as 3.8.
  private static func minorVersion(_ bytes: [UInt8]) -> Int32? {
    guard bytes.count == 12, bytes.starts(with: Array("RFB 003.".utf8)), bytes[11] == 10 else {
      return nil
    }
    var minor: Int32 = 0
    for digit in bytes[8..<11] {
      guard digit >= 0x30, digit <= 0x39 else { return nil }
      minor = minor * 10 + Int32(digit - 0x30)
    }
    return minor < 7 ? 3 : min(minor, 8)
  }

  private func agree(on type: SecurityType, minor: Int32) -> Bool {
    guard minor >= 7 else {
      return socket.write(RFBHandshake.word(UInt32(type.rawValue)), until: deadline)
    }
    return socket.write([1, type.rawValue], until: deadline)
      && socket.read(1, until: deadline) == [type.rawValue]
  }

  private func authenticate(_ password: String, minor: Int32) -> Guest? {
    var random = SystemRandomNumberGenerator()
    let challenge = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
    guard socket.write(challenge, until: deadline),
      let response = socket.read(challenge.count, until: deadline)
    else { return nil }
    let knows = response == RFBHandshake.response(to: challenge, password: password)
    let views = viewPassword.map { RFBHandshake.response(to: challenge, password: $0) } == response
    if knows || views {
      guard socket.write(RFBHandshake.word(0), until: deadline) else { return nil }
      return Guest(minor: minor, onlyViews: !knows)
    }
    // Only the peer's leaving, or the server's end, cuts this wait short.
    _ = socket.peekByte(until: min(deadline, Monitor.monotonic() &+ RFBHandshake.penalty))
    var refusal = RFBHandshake.word(1)
    if minor >= 8 {
      let reason = Array("the password is wrong".utf8)
      refusal += RFBHandshake.word(UInt32(reason.count)) + reason
    }
    _ = socket.write(refusal, until: deadline)
    return nil
  }

  private static func word(_ value: UInt32) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }
}
