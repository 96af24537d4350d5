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
    let secret = password.map { " password \($0)" } ?? ""
    let line = "desktop \(status.name): connect a VNC viewer to \(vnc)\(secret)"
    if !printOnly, getenv("DISPLAY") != nil || getenv("WAYLAND_DISPLAY") != nil {
      try Viewer.start(vnc, password: password, line: line)
    }
    Console.output(line)
  }
}

/// The viewers that `porthole view` knows.
struct Viewer {
  private let program: String
  private let arguments: [String]
  /// Whether it takes the password as it is started; others ask for it.
  private var takesPassword = false

  /// Becomes the first viewer that is installed. Returns where there is none.
  /// - Parameter line: how to reach the desktop, for whoever is asked.
  static func start(_ address: String, password: String?, line: String) throws {
    // TigerVNC's own variable: a command line could be read by every user.
    if let password { setenv("VNC_PASSWORD", password, 1) }
    for viewer in known(for: address) where isInstalled(viewer.program) {
      if password != nil && !viewer.takesPassword { Console.output(line) }
      _ = ArgumentVector.with([viewer.program] + viewer.arguments) { execvp(viewer.program, $0) }
      throw HostError("start \(viewer.program)", code: errno)
    }
  }

  /// Those that can reach an address, the best first.
  static func known(for address: String) -> [Viewer] {
    let socket = address.hasPrefix("unix:") ? String(address.dropFirst(5)) : nil
    // TigerVNC takes a port behind two colons, or a socket's path.
    let tiger = [socket ?? address.replacingLast(":", with: "::")]
    var viewers = ["xtigervncviewer", "vncviewer"].map {
      Viewer(program: $0, arguments: tiger, takesPassword: true)
    }
    guard socket == nil, let colon = address.lastIndex(of: ":") else { return viewers }
    // GTK's takes a display's number, whatever stands before it, and no IPv6.
    if let port = Int(address[address.index(after: colon)...]), port >= VNCAddress.firstPort,
      !address.hasPrefix("[")
    {
      let display = port - Int(VNCAddress.firstPort)
      viewers.append(
        Viewer(program: "gvncviewer", arguments: [address[..<colon] + ":\(display)"]))
    }
    viewers.append(Viewer(program: "remmina", arguments: ["-c", "vnc://" + address]))
    return viewers
  }

  private static func isInstalled(_ program: String) -> Bool {
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    return path.split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
  }
}

extension String {
  /// The text with its last `part` replaced.
  fileprivate func replacingLast(_ part: Character, with other: String) -> String {
    guard let index = lastIndex(of: part) else { return self }
    return self[..<index] + other + self[self.index(after: index)...]
  }
}
