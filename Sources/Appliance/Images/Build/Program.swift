import Glibc
import KVMEngine

/// Another program, run to its end.
struct Program {
  /// Lines of its output that an error may quote.
  private static let kept = 20
  /// Where programs are that only root's PATH has.
  private static let administration = ":/usr/local/sbin:/usr/sbin:/sbin"

  /// Milliseconds after which a signal is seen that came just before a wait.
  private static let patience: Int32 = 200

  let name: String
  /// Its file.
  let path: String

  /// Finds the program `name` in PATH, or where root's programs are.
  /// - Throws: a sentence that names the Debian package to install.
  init(_ name: String, package: String) throws(Complaint) {
    let folders = (getenv("PATH").map { String(cString: $0) } ?? "") + Self.administration
    let candidates = folders.split(separator: ":").map { "\($0)/\(name)" }
    guard let path = candidates.first(where: { access($0, X_OK) == 0 }) else {
      throw Complaint("\(name) is missing; install it: apt install \(package)")
    }
    self.name = name
    self.path = path
  }

  /// Runs it without input.
  /// - Parameters:
  ///   - environment: variables beside those of this process.
  ///   - told: gets each line that it writes, to standard output or error.
  /// - Throws: its last complaint, where it fails.
  func run(
    _ arguments: [String], environment: [String: String] = [:], told: (String) -> Void = { _ in }
  ) throws {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw HostError("run \(name)", code: errno) }
    let reading = Descriptor(owning: ends[0])
    let process = try start(arguments, environment, output: ends[1], unused: ends[0])
    var last: [String] = []
    Self.lines(reading.number, of: process) { line in
      last = (last + [line]).suffix(Self.kept)
      told(line)
    }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    try Interruption.check()
    guard status == 0 else {
      throw Complaint("\(name) failed: \(Self.complaint(last) ?? "it said nothing")")
    }
  }

  /// - Parameter output: where it writes to; closed here.
  private func start(
    _ arguments: [String], _ environment: [String: String], output: Int32, unused: Int32
  ) throws(HostError) -> pid_t {
    defer { close(output) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)
    posix_spawn_file_actions_addclose(&actions, unused)
    posix_spawn_file_actions_addclose(&actions, output)
    var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    var settings = Self.settings(environment)
    defer { (words + settings).forEach { free($0) } }
    var process: pid_t = 0
    let code = posix_spawn(&process, path, &actions, nil, &words, &settings)
    guard code == 0 else { throw HostError("run \(path)", code: code) }
    return process
  }

  /// This process's environment with changes, as C has it.
  private static func settings(
    _ changes: [String: String]
  ) -> [UnsafeMutablePointer<CChar>?] {
    var settings: [UnsafeMutablePointer<CChar>?] = []
    var next = environ
    // SAFETY: the environment ends with a null pointer.
    while let setting = next.pointee {
      let name = String(cString: setting).prefix { $0 != "=" }
      if changes[String(name)] == nil { settings.append(strdup(setting)) }
      next += 1
    }
    for (name, value) in changes.sorted(by: { $0.key < $1.key }) {
      settings.append(strdup("\(name)=\(value)"))
    }
    return settings + [nil]
  }

  /// The lines that can be read until the end; carriage returns end one, too. A signal that ends this
  /// command ends `process`, too.
  private static func lines(_ descriptor: Int32, of process: pid_t, _ body: (String) -> Void) {
    var buffer = [UInt8](repeating: 0, count: 4096)
    var line: [UInt8] = []
    var isTold = false
    while true {
      if Interruption.isPending && !isTold {
        kill(process, SIGTERM)
        isTold = true
      }
      var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&item, 1, patience) > 0 else { continue }
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      for byte in buffer.prefix(count) {
        if byte == 10 || byte == 13 {
          if !line.isEmpty { body(String(decoding: line, as: UTF8.self)) }
          line = []
        } else if line.count < buffer.count {
          line.append(byte)
        }
      }
    }
    if !line.isEmpty { body(String(decoding: line, as: UTF8.self)) }
  }

  /// What a program that failed said why: its last line that begins as an error does, or its last.
  private static func complaint(_ lines: [String]) -> String? {
    let error = lines.last { $0.hasPrefix("E: ") }.map { String($0.dropFirst(3)) }
    return error ?? lines.last
  }
}
