/// Where and how a desktop is served over VNC.
public struct VNCConfiguration: Sendable, Equatable {
  /// What viewers connect to.
  public enum Address: Sendable, Equatable {
    /// A TCP port of one of this host's addresses (`127.0.0.1`, `::1`, `0.0.0.0`); port 0 takes any
    /// free one.
    case tcp(host: String, port: UInt16)
    /// A socket in the file system, which only this user may connect to.
    case unix(path: String)
  }

  /// How many bytes of a password VNC authentication knows (RFC 6143, 7.2.2).
  public static let passwordLength = 8

  public var address: Address
  /// What a viewer must know; nil lets everyone in who can connect. Only the first 8 bytes count.
  public var password: String?
  /// What a viewer must know that only views: its keys and its pointer do nothing. Nil where there
  /// is no such password.
  public var viewPassword: String?
  /// How many viewers may be connected at once. One more is told so and turned away.
  public var viewerLimit: Int
  /// What viewers show as their window's title; at most 127 bytes are kept.
  public var desktopName: String
  /// How long a viewer may take from its connection to the end of its handshake, in milliseconds.
  public var handshakeLimit: Int
  /// How long a viewer may stop reading, or leave a message unfinished, in milliseconds.
  public var patience: Int

  public init(
    address: Address = .tcp(host: "127.0.0.1", port: 5900), password: String? = nil,
    viewerLimit: Int = 16, desktopName: String = "Porthole", handshakeLimit: Int = 10_000,
    patience: Int = 20_000
  ) {
    self.address = address
    self.password = password
    self.viewerLimit = viewerLimit
    self.desktopName = desktopName
    self.handshakeLimit = handshakeLimit
    self.patience = patience
  }
}
