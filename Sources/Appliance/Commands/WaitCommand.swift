import ArgumentParser
import Glibc
import KVMEngine

/// `porthole wait`: until a desktop is where a script wants it.
struct WaitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wait",
    abstract: "Waits until a desktop runs, has stopped, shows or says a text, or is still.",
    discussion: """
      The exit status is 0 when it is so, and 3 when it was not in time.

        porthole wait desk                       # until it runs
        porthole wait desk --text 'login:'       # until that stands on the text screen
        porthole wait desk --console 'login:'    # until it has said that on its serial port
        porthole wait desk --still 2             # until the picture has not changed for 2 seconds
        porthole wait desk --ready               # as its golden image says: a text, a line, stillness
        porthole wait desk --stopped
      """)

  /// The exit status of a wait that was in vain.
  static let late: Int32 = 3

  @Argument(help: "The desktop.", completion: CompletedNames.desktops)
  var name: String

  @Option(name: .long, help: "A text that is to stand on the screen.")
  var text: String?

  @Option(name: .long, help: "A text that the guest is to say on its serial port.")
  var console: String?

  @Option(
    name: .long,
    help: ArgumentHelp("How long the picture is to be the same.", valueName: "seconds"))
  var still: Double?

  @Flag(name: .long, help: "Until its process has gone.")
  var stopped = false

  @Flag(name: .long, help: "Until its system has started, by the sign that its image has for that.")
  var ready = false

  @Option(name: .long, help: "Seconds to wait at most.")
  var timeout = 60.0

  private static let pause: useconds_t = 50_000

  func validate() throws {
    guard [text != nil, console != nil, still != nil, stopped, ready].count(where: { $0 }) < 2
    else {
      throw ValidationError(
        "--text, --console, --still, --ready and --stopped exclude each other")
    }
    guard timeout > 0, timeout < 1e6, still.map({ $0 > 0 && $0 < 1e6 }) ?? true else {
      throw ValidationError("seconds are more than 0, and less than a million")
    }
  }

  func run() throws {
    let deadline = Monitor.monotonic() &+ UInt64(timeout * 1e9)
    var watch = Watch(
      name: name, sign: ready ? try sign() : given, stopped: stopped, deadline: deadline)
    while try !watch.isFulfilled() {
      guard Monitor.monotonic() < deadline else {
        Console.error("porthole: desktop \(name): after \(timeout) s \(watch.lack)")
        throw ExitCode(Self.late)
      }
      usleep(Self.pause)
    }
  }

  /// What the options ask for.
  private var given: Sign? {
    text.map { .text($0) } ?? console.map { .console($0) } ?? still.map { .still(seconds: $0) }
  }

  /// What the desktop's image has as the sign of a system that has started.
  private func sign() throws -> Sign {
    let configuration = try DesktopStore(directories: .locate()).find(name).configuration()
    guard let image = configuration["image"], !image.contains("/"),
      let sign = try ImageStore.locate().image(named: image).settings.ready
    else {
      throw Complaint("the image of \(name) has no sign for that; wait with --text or --still")
    }
    return Sign(sign)
  }

  /// A sign, as an image has it, with any part of a second.
  private enum Sign {
    case text(String)
    case console(String)
    case still(seconds: Double)

    init(_ sign: ReadySign) {
      self =
        switch sign {
        case .text(let text): .text(text)
        case .console(let text): .console(text)
        case .still(let seconds): .still(seconds: Double(seconds))
        }
    }
  }

  /// What is waited for, and what was seen of it.
  private struct Watch {
    let name: String
    let sign: Sign?
    let stopped: Bool
    let deadline: UInt64
    private var client: ControlClient?
    private var isSilent = false
    private var mark: String?
    private var since: UInt64 = 0

    init(name: String, sign: Sign?, stopped: Bool, deadline: UInt64) {
      (self.name, self.sign, self.stopped) = (name, sign, stopped)
      self.deadline = deadline
    }

    /// What is not so yet.
    var lack: String {
      if isSilent { return "it does not answer" }
      return switch sign {
      case .text(let text): "\"\(text)\" does not stand on the screen"
      case .console(let text): "\"\(text)\" was not said on the serial port"
      case .still: "its picture is not still"
      case nil: stopped ? "it still runs" : "it does not run"
      }
    }

    mutating func isFulfilled() throws -> Bool {
      if stopped { return try !Self.runs(name) }
      guard let client = try connection() else { return false }
      do {
        switch sign {
        case .text(let text): return try call(client, .text)?.text?.contains(text) ?? false
        case .console(let text): return try call(client, .serial)?.text?.contains(text) ?? false
        case .still(let seconds): return try isStill(client, seconds)
        case nil: return true
        }
      } catch let failure as ControlFailure where failure.code == .unknownMethod {
        throw Complaint(
          "desktop \(name) was started by an older porthole, which does not tell that; restart it")
      } catch is ControlFailure {
        // The screen shows graphics, not text: it may show text again.
        return false
      }
    }

    private mutating func isStill(_ client: ControlClient, _ seconds: Double) throws -> Bool {
      guard let frame = try call(client, .frame, mark: mark, steady: true)?.frame else {
        return false
      }
      if frame.mark != mark {
        mark = frame.mark
        since = Monitor.monotonic()
      }
      return Monitor.monotonic() &- since >= UInt64(seconds * 1e9)
    }

    /// A desktop's answer; nil where it was not there in time.
    private mutating func call(
      _ client: ControlClient, _ method: ControlMethod, mark: String? = nil, steady: Bool? = nil
    ) throws -> ControlReply? {
      let now = Monitor.monotonic()
      let rest = min(deadline > now ? deadline - now : 0, ControlClient.answerPatience)
      do {
        return try client.call(method, mark: mark, steady: steady, patience: rest).reply
      } catch is Complaint where Monitor.monotonic() >= deadline {
        isSilent = true
        return nil
      }
    }

    /// A connection to the desktop; nil while it does not run.
    private mutating func connection() throws -> ControlClient? {
      if let client { return client }
      let directory = try RuntimeDirectory.locate()
      guard try Self.runs(name) else {
        guard try DesktopStore(directories: .locate()).existing(name) != nil else {
          throw DesktopStore.missing(name)
        }
        return nil
      }
      client = try? ControlClient(name, in: directory)
      return client
    }

    private static func runs(_ name: String) throws -> Bool {
      if let folder = try DesktopStore(directories: .locate()).existing(name) {
        guard case .writer(let record?) = try DesktopLock.holder(of: folder) else { return false }
        return record.socket != nil
      }
      return UnixSocket.isListening(path: try RuntimeDirectory.locate().socketPath(name))
    }
  }
}
