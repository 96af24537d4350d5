import ArgumentParser
import Glibc
import KVMEngine

/// `porthole view`: a viewer's window.
struct ViewCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "view",
    abstract: "Opens a VNC viewer on a running desktop, or says how to reach it.",
    discussion: "TigerVNC's viewer, GTK's and Remmina are known. Without a screen it only says.")

  @OptionGroup var desktop: DesktopArgument

  @Flag(name: .long, help: "Only say how to reach it.")
  var printOnly = false

  func run() throws {
    let status = try desktop.connect().call(.status).reply.status
    guard let status, let vnc = status.vnc else {
      throw Complaint("this desktop has no VNC server; it was started with --vnc none")
    }
    let folder = try DesktopStore(directories: .locate()).existing(status.name)
    let password = try folder?.configuration().password(in: folder ?? .init(name: "", path: ""))
    if !printOnly, getenv("DISPLAY") != nil || getenv("WAYLAND_DISPLAY") != nil {
      try Viewer.start(vnc, password: password)
    }
    let secret = password.map { " password \($0)" } ?? ""
    Console.output("desktop \(status.name): connect a VNC viewer to \(vnc)\(secret)")
  }
}

/// The viewers that `porthole view` knows.
enum Viewer {
  /// Becomes the first viewer that is installed. Returns where there is none.
  static func start(_ address: String, password: String?) throws {
    let isSocket = address.hasPrefix("unix:")
    let socket = String(address.dropFirst(5))
    // TigerVNC takes a port behind two colons, or a socket's path.
    let tiger = isSocket ? socket : address.replacingLast(":", with: "::")
    var programs = [("xtigervncviewer", [tiger]), ("vncviewer", [tiger])]
    if !isSocket {
      programs.append(("gvncviewer", [address.replacingLast(":", with: "::")]))
      programs.append(("remmina", ["-c", "vnc://" + address]))
    }
    // TigerVNC's own variable: a command line could be read by every user.
    if let password { setenv("VNC_PASSWORD", password, 1) }
    for (program, arguments) in programs {
      _ = ArgumentVector.with([program] + arguments) { execvp(program, $0) }
      guard errno == ENOENT else { throw HostError("start \(program)", code: errno) }
    }
  }
}

extension String {
  /// The text with its last `part` replaced.
  fileprivate func replacingLast(_ part: Character, with other: String) -> String {
    guard let index = lastIndex(of: part) else { return self }
    return self[..<index] + other + self[self.index(after: index)...]
  }
}
