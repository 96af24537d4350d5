import Configuration
import Glibc
import KVMEngine

/// One desktop's folder in the store, and the names in it.
struct DesktopFolder: Sendable, Equatable {
  let name: String
  let path: String

  var configurationPath: String { path + "/" + DesktopConfiguration.fileName }
  var lockPath: String { path + "/lock" }
  /// What the desktop says while it runs; the one before it is `log.1`.
  var logPath: String { path + "/log" }
  /// The VNC password that was made for it.
  var passwordPath: String { path + "/" + Self.passwordFile }

  static let passwordFile = "password"
  /// The screen as it was when the desktop stopped, a PNG file.
  static let screenFile = "screen.png"
  static let variablesFile = "variables.fd"

  /// What the configuration file says.
  func configuration() throws -> DesktopConfiguration {
    guard let bytes = try DurableFile.read(configurationPath, limit: YAMLDocument.largest) else {
      var status = stat()
      if stat(path, &status) != 0 { throw DesktopStore.missing(name) }
      throw Complaint(
        "\(configurationPath) is missing; write it anew, or remove the desktop with: "
          + "porthole delete \(name)")
    }
    return try DesktopConfiguration(bytes, file: configurationPath)
  }

  /// A folder in which something is made for this desktop.
  func draft() throws -> DesktopDraft {
    try DesktopDraft(name, in: String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
  }

  /// Puts `bytes` in the place of one of the folder's files, or makes it. Readers see the old bytes or
  /// the new ones, whenever the process is killed or the power goes.
  func replace(_ file: String, with bytes: [UInt8]) throws {
    let draft = try draft()
    let part = draft.folder.path + "/" + file
    let target = path + "/" + file
    try withExtendedLifetime(draft) {
      try DurableFile.create(part, with: bytes, named: target)
      guard rename(part, target) == 0 else { throw HostError("write \(target)", code: errno) }
      try DurableFile.sync(folder: path)
    }
  }

  /// Changes the configuration file, one command at a time.
  func change(_ body: (inout DesktopConfiguration) throws -> Void) throws {
    try StoreLock.holding(path) {
      var configuration = try configuration()
      try body(&configuration)
      let old = try DurableFile.read(configurationPath, limit: YAMLDocument.largest) ?? []
      let text = configuration.text(
        changing: String(decoding: old, as: UTF8.self), file: configurationPath)
      try replace(DesktopConfiguration.fileName, with: Array(text.utf8))
    }
  }
}

/// The lock of a folder as such, for moments in which one process alone may look and change.
enum StoreLock {
  /// Runs `body` while no other process has the lock of the folder at `path`.
  static func holding<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
    guard let lock = try ImageFolderLock(path, exclusive: true) else {
      throw HostError("open the folder \(path)", code: ENOENT)
    }
    defer { withExtendedLifetime(lock) {} }
    return try body()
  }
}
