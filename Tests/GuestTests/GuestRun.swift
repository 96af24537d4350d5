import Display
import Glibc
import Guests
import KVMEngine
import Machine
import Synchronization

/// Whether this host has a KVM that can be used; the tests that need it are skipped by name where
/// it has not.
let hasKVM = access("/dev/kvm", R_OK | W_OK) == 0

/// The engines that can run guests here: the processor of our own everywhere, KVM where it is.
let usableEngines: [EngineKind] = EngineKind.allCases.filter { $0 == .software || hasKVM }

/// One of our guests running in a machine, as a test drives it.
final class GuestRun: @unchecked Sendable {
  // SAFETY: `machine` and `folder` are constant; the deadline's thread only calls thread-safe API.
  let machine: Machine
  private let folder: String
  /// What the machine told its user.
  let log = Log()
  private let finished = Flag()
  private let name: String
  private let limit: Int
  /// What the screen showed when the guest was saved that this one goes on from.
  private(set) var before: Frame?

  final class Log: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
  }

  private final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
  }

  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Starts the guest `name`.
  /// - Parameters:
  ///   - scene: what it begins with, as `guest_scene` counts.
  ///   - limit: seconds after which the machine is stopped whatever it does.
  init(
    _ name: String, scene: UInt32 = 0, limit: Int = 60,
    configure: (inout MachineConfiguration) -> Void = { _ in }
  ) throws {
    self.name = name
    self.limit = limit
    guard let guest = guest_find(name) else {
      throw Failure(description: "there is no guest \(name)")
    }
    var template = Array("/tmp/porthole-guest-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(description: "no temporary folder") }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var configuration = MachineConfiguration()
    configuration.memoryBytes = 16 << 20
    configuration.builtInFloppy = [UInt8](unsafeUninitializedCapacity: guest_size(guest)) {
      guest_copy(guest, scene, 0, 0, $0.baseAddress)
      $1 = guest_size(guest)
    }
    configuration.serial = .file(folder + "/serial")
    configuration.debugExit = true
    configure(&configuration)
    machine = try Machine(configuration) { [log] in log.add($0) }
    try machine.start()
    let machine = self.machine
    let finished = self.finished
    _ = try Thread(name: "deadline") {
      for _ in 0..<(limit * 10) {
        usleep(100_000)
        if finished.isSet { return }
      }
      machine.requestStop(.failed("the guest took more than \(limit) seconds"))
    }
  }

  /// A path that no file has.
  static func temporaryPath() -> String {
    "/tmp/porthole-\(getpid())-\(Monitor.monotonic())"
  }

  /// A guest between two engines.
  struct Saved {
    fileprivate let name: String
    fileprivate let limit: Int
    fileprivate let frame: Frame
    let path: String
  }

  /// Saves the guest and stops it.
  func saved() throws -> Saved {
    let path = Self.temporaryPath()
    try machine.save(to: path, holds: true)
    let frame = machine.capture()
    stop()
    return Saved(name: name, limit: limit, frame: frame, path: path)
  }

  /// Goes on with a saved guest under `engine`, and takes the file away.
  convenience init(
    _ saved: Saved, engine: EngineKind, irqchip: IrqchipKind? = nil
  ) throws {
    let restored = try MachineConfiguration(restoring: saved.path)
    try self.init(saved.name, limit: saved.limit) { configuration in
      let serial = configuration.serial
      configuration = restored
      configuration.serial = serial
      configuration.engine = engine
      configuration.irqchip = irqchip
    }
    before = saved.frame
    unlink(saved.path)
  }

  /// Saves the guest, stops it, and has it go on under `engine`.
  func moved(to engine: EngineKind) throws -> GuestRun {
    try GuestRun(try saved(), engine: engine)
  }

  /// Waits for the machine's own end.
  func waitForEnd() -> StopReason {
    let reason = machine.waitUntilStopped()
    finished.set()
    return reason
  }

  /// Whether ``waitForEnd()`` has returned.
  var hasEnded: Bool { finished.isSet }

  /// Stops the machine and waits.
  @discardableResult
  func stop() -> StopReason {
    machine.requestStop(.poweredOff)
    return waitForEnd()
  }

  /// What the guest wrote to its serial port so far.
  var serial: String {
    let file = open(folder + "/serial", O_RDONLY)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = read(file, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }

  /// Waits until `condition` holds, looking every few milliseconds.
  func wait(
    _ what: String, seconds: Double = 20, until condition: (GuestRun) -> Bool
  ) throws {
    let end = Monitor.monotonic() + UInt64(seconds * 1e9)
    while !condition(self) {
      guard Monitor.monotonic() < end else {
        throw Failure(description: "waited \(seconds) s for \(what); serial: \(serial)")
      }
      usleep(3000)
    }
  }

  /// The pixel at `x`, `y` as 0x00RRGGBB; nil beyond the picture.
  func pixel(_ x: Int, _ y: Int) -> UInt32? {
    let frame = machine.capture()
    guard x < frame.size.width, y < frame.size.height else { return nil }
    return frame.pixels[y * frame.size.width + x]
  }

  deinit {
    unlink(folder + "/serial")
    rmdir(folder)
  }
}
