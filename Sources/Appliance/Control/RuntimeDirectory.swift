import Glibc
import KVMEngine

/// The folder that holds the control sockets of one user's desktops, for that user alone.
struct RuntimeDirectory: Sendable {
  let path: String
  private static let ending = ".sock"
  private static let consoleEnding = ".serial"
  private static let standardNames = 99

  /// `$XDG_RUNTIME_DIR/porthole`, or `porthole-UID` in the system's temporary folder where the variable
  /// names no folder of this user's. Made where it is missing.
  static func locate() throws -> RuntimeDirectory {
    if let base = getenv("XDG_RUNTIME_DIR") {
      let base = String(cString: base)
      if base.hasPrefix("/"), owner(of: base) == geteuid() {
        return try RuntimeDirectory(path: base + "/porthole")
      }
    }
    return try RuntimeDirectory(path: "\(P_tmpdir)/porthole-\(geteuid())")
  }

  /// The folder at `path`, made where it is missing.
  /// - Throws: a sentence where it belongs to somebody else or is open to others.
  init(path: String) throws {
    self.path = path
    if mkdir(path, S_IRWXU) != 0 && errno != EEXIST {
      throw HostError("make the folder \(path)", code: errno)
    }
    var status = stat()
    guard lstat(path, &status) == 0 else { throw HostError("look at \(path)", code: errno) }
    guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
      status.st_mode & (S_IRWXG | S_IRWXO) == 0
    else {
      throw Complaint(
        "\(path) has to be a folder of your own that nobody else can open; "
          + "remove it, or set XDG_RUNTIME_DIR to another folder")
    }
  }

  private static func owner(of path: String) -> uid_t? {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
    return status.st_uid
  }

  /// Where desktop `name` listens.
  func socketPath(_ name: String) -> String { path + "/" + name + Self.ending }

  /// Where the serial port of desktop `name` listens, if it is a console.
  func consolePath(_ name: String) -> String { path + "/" + name + Self.consoleEnding }

  /// The desktops that run, by name. What dead ones left behind is taken away.
  func runningNames() throws -> [String] {
    try locked {
      var running: [String] = []
      for name in try socketNames() {
        if UnixSocket.isListening(path: socketPath(name)) {
          running.append(name)
        } else {
          unlink(socketPath(name))
        }
      }
      for name in try socketNames(ending: Self.consoleEnding) where !running.contains(name) {
        // A desktop claims its name before its serial port listens.
        let path = consolePath(name)
        if !UnixSocket.isListening(path: path) { unlink(path) }
      }
      return running
    }
  }

  /// A listening socket for desktop `wanted`, or for the first free standard name.
  func claim(_ wanted: String?, backlog: Int32) throws -> (name: String, descriptor: Int32) {
    try locked {
      if let wanted {
        guard let descriptor = try listen(wanted, backlog: backlog) else {
          throw Complaint("a desktop named \(wanted) runs already; choose another --name")
        }
        return (wanted, descriptor)
      }
      for number in 1...Self.standardNames {
        let name = number == 1 ? DesktopName.standard : "\(DesktopName.standard)-\(number)"
        if let descriptor = try listen(name, backlog: backlog) { return (name, descriptor) }
      }
      throw Complaint("\(Self.standardNames) desktops without a name run already; give a --name")
    }
  }

  /// A socket for `name`; nil where a desktop of that name runs.
  private func listen(_ name: String, backlog: Int32) throws -> Int32? {
    let path = socketPath(name)
    try UnixSocket.check(path: path)
    if UnixSocket.isListening(path: path) { return nil }
    unlink(path)
    return try UnixSocket.listen(path: path, backlog: backlog)
  }

  /// The names for which there is a socket, in order; whether somebody listens is not looked at.
  func socketNames() throws -> [String] { try socketNames(ending: Self.ending) }

  private func socketNames(ending: String) throws -> [String] {
    try Folder.names(in: path).filter { $0.hasSuffix(ending) }
      .map { String($0.dropLast(ending.count)) }.sorted()
  }

  /// Runs `body` while no other process looks for or makes sockets here.
  private func locked<Result>(_ body: () throws -> Result) throws -> Result {
    try StoreLock.holding(path, body)
  }
}
