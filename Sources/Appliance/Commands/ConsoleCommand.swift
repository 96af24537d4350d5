import ArgumentParser
import Glibc
import KVMEngine

/// `porthole console`: the serial port of a desktop, on this terminal.
struct ConsoleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "console",
    abstract: "Connects this terminal with a running desktop's serial port.",
    discussion: """
      Ctrl-] ends it, and the guest notices nothing. One console at a time is served. What the guest \
      said while there was none comes first, as far as it is recent.
      """)

  @Argument(help: "The desktop.", completion: CompletedNames.desktops)
  var name: String

  /// Ctrl-], as telnet has it.
  private static let escape: UInt8 = 0x1D

  func run() throws {
    let folder = try DesktopStore(directories: .locate()).find(name)
    guard case .writer(let record?) = try DesktopLock.holder(of: folder),
      let socket = record.socket
    else {
      throw Complaint("desktop \(name) does not run; start it with: porthole start \(name)")
    }
    guard try folder.configuration()["serial"] == DesktopKey.serialConsole else {
      throw Complaint(
        "the serial port of \(name) goes elsewhere; porthole edit \(name) --set serial=console, "
          + "and restart it")
    }
    // One that hangs would take the connection, and never say anything.
    _ = try ControlClient(name, socket: socket).call(
      .status, patience: ControlClient.statusPatience)
    let path = socket.hasSuffix(".sock") ? String(socket.dropLast(5)) + ".serial" : socket
    let descriptor = try UnixSocket.connect(path: path)
    defer { close(descriptor) }
    signal(SIGPIPE, SIG_IGN)
    let terminal = RawTerminal()
    defer { terminal?.restore() }
    if terminal != nil { Console.error("connected to \(name); ctrl-] ends it\r") }
    try Self.pass(descriptor)
    if terminal != nil { Console.error("\r") }
  }

  /// Hands bytes on both ways until one side is done.
  private static func pass(_ descriptor: Int32) throws {
    var items = [
      pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
    ]
    var bytes = [UInt8](repeating: 0, count: 4096)
    while true {
      guard poll(&items, 2, -1) >= 0 || errno == EINTR else {
        throw HostError("wait for the console", code: errno)
      }
      if items[1].revents != 0 {
        let count = recv(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return }
        try OutputFile.write(Array(bytes.prefix(count)), to: STDOUT_FILENO, named: "the terminal")
      }
      if items[0].revents != 0 {
        let count = read(STDIN_FILENO, &bytes, bytes.count)
        let typed = bytes.prefix(max(0, count)).prefix { $0 != escape }
        if !typed.isEmpty {
          try OutputFile.write(Array(typed), to: descriptor, named: "the console")
        }
        if typed.count < count { return }
        // Standard input has ended; what the guest says is still of interest.
        if count <= 0 { items[0].fd = -1 }
      }
    }
  }
}

/// A terminal that hands on every key as it is.
struct RawTerminal {
  private let before: termios

  /// Nil where standard input is no terminal.
  init?() {
    var settings = termios()
    guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
    before = settings
    cfmakeraw(&settings)
    tcsetattr(STDIN_FILENO, TCSANOW, &settings)
  }

  /// Makes it what it was.
  func restore() {
    var settings = before
    tcsetattr(STDIN_FILENO, TCSANOW, &settings)
  }
}
