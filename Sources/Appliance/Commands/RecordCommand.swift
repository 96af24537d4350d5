import ArgumentParser
import Display
import Glibc
import KVMEngine

/// `porthole record`: the screen as a film.
struct RecordCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "record",
    abstract: "Films a running desktop's screen as an animated PNG file.",
    usage: "porthole record [<options>] [<desktop>] <file>",
    discussion: """
      Browsers and most players show it, and nothing is lost. Ctrl-C ends it, as the desktop's end \
      does; the file is whole at any moment. A picture of another size begins another file: film.png, \
      film-2.png, ... No viewer needs to be connected, and none notices.
      """)

  @OptionGroup var target: DesktopAndFile

  @Option(name: .long, help: "Seconds after which it ends.")
  var duration: Double?

  @Option(name: .long, help: "The most pictures a second, 1 to 60.")
  var fps = 25

  func validate() throws {
    guard (1...60).contains(fps) else {
      throw ValidationError("a film has 1 to 60 pictures a second, not \(fps)")
    }
    guard duration.map({ $0 > 0 && $0 <= 1e6 }) ?? true else {
      throw ValidationError("--duration is seconds, more than 0")
    }
  }

  func run() throws {
    Signals.block()
    let (name, path) = try target.values("record")
    var film = Film(path: path)
    let client = try DesktopChoice.connect(name)
    var asked = Monitor.monotonic()
    let end = duration.map { asked &+ UInt64($0 * 1e9) } ?? .max
    let pause = 1_000_000_000 / UInt64(fps)
    repeat {
      asked = Monitor.monotonic()
      let answer: ControlClient.Answer
      do {
        answer = try client.call(.frame, mark: film.mark)
      } catch let complaint as Complaint where film.hasBegun {
        // The desktop has ended, and so does the film.
        Console.error("porthole: \(complaint)")
        break
      }
      try film.take(answer, at: asked)
    } while !Signals.wait(until: min(asked &+ pause, end)) && asked &+ pause < end
    try film.finish(at: min(Monitor.monotonic(), end))
  }

  /// The files of one recording.
  private struct Film {
    let path: String
    private var file: AnimatedPNG?
    private var files = 0
    /// What the last picture is known by to the desktop.
    private(set) var mark: String?

    var hasBegun: Bool { files > 0 }

    init(path: String) { self.path = path }

    /// Adds what the desktop answered: a picture, or nothing where it is still the same.
    mutating func take(_ answer: ControlClient.Answer, at time: UInt64) throws {
      guard let picture = answer.reply.frame, picture.mark != mark || file == nil else { return }
      guard let frame = picture.frame(answer.body) else {
        throw Complaint(
          "the desktop gave a picture that this version of porthole does not understand")
      }
      mark = picture.mark
      if let file, file.size == frame.size { return try file.show(frame, at: time) }
      try finish(at: time)
      files += 1
      file = try AnimatedPNG(path: name(files), first: frame, at: time)
    }

    func finish(at time: UInt64) throws { try file?.finish(at: time) }

    /// The path of file `number`: the second of film.png is film-2.png.
    private func name(_ number: Int) -> String {
      guard number > 1 else { return path }
      guard let dot = path.lastIndex(of: "."), !path[dot...].contains("/") else {
        return "\(path)-\(number)"
      }
      return "\(path[..<dot])-\(number)\(path[dot...])"
    }
  }
}
