import Glibc
import KVMEngine

/// Where what lasts lives: desktops with names, and the images that they are made from.
struct StoreDirectories: Sendable, Equatable {
  /// The folder around all of it.
  let root: String

  /// A folder for each desktop.
  var desktops: String { root + "/desktops" }
  /// The golden images.
  var images: String { root + "/images" }

  /// `$PORTHOLE_HOME`; otherwise /var/lib/porthole for root, and `porthole` in the user's data folder
  /// (XDG Base Directory Specification) for others. Nothing is made or looked at yet.
  static func locate() throws(Complaint) -> StoreDirectories {
    try locate(user: geteuid()) { name in
      if let value = getenv(name) { return String(cString: value) }
      // A service may have been started without it.
      guard name == "HOME", let entry = getpwuid(geteuid()), let home = entry.pointee.pw_dir
      else { return nil }
      return String(cString: home)
    }
  }

  /// The same for any user and environment.
  static func locate(
    user: uid_t, environment: (String) -> String?
  ) throws(Complaint) -> StoreDirectories {
    if let home = environment("PORTHOLE_HOME"), !home.isEmpty {
      guard home.hasPrefix("/") else {
        throw Complaint("PORTHOLE_HOME is \(home), and has to begin with /")
      }
      return StoreDirectories(root: home)
    }
    if user == 0 { return StoreDirectories(root: "/var/lib/porthole") }
    if let data = environment("XDG_DATA_HOME"), data.hasPrefix("/") {
      return StoreDirectories(root: data + "/porthole")
    }
    guard let home = environment("HOME"), home.hasPrefix("/") else {
      throw Complaint("there is no home folder to keep desktops in; set PORTHOLE_HOME to a folder")
    }
    return StoreDirectories(root: home + "/.local/share/porthole")
  }

  /// What somebody does about a folder that could not be made.
  static func advice(_ code: Int32) -> String {
    code == EROFS || code == EACCES ? "set PORTHOLE_HOME to a folder of your own" : ""
  }

  /// Makes `path`, one of these folders or one below, and those above it that are missing. Only this
  /// user may look into what is made.
  static func make(_ path: String) throws(HostError) {
    if mkdir(path, S_IRWXU) == 0 || errno == EEXIST { return }
    let code = errno
    guard code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw HostError(
        "make the folder \(path)", code: code,
        advice: advice(code))
    }
    try make(String(path[..<slash]))
    if mkdir(path, S_IRWXU) != 0 && errno != EEXIST {
      throw HostError("make the folder \(path)", code: errno)
    }
  }
}
