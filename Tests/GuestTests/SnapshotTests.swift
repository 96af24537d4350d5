import Display
import Glibc
import KVMEngine
import Machine
import Storage
import Synchronization
import Testing

/// Our guests, saved under one engine and gone on with under another.
@Suite(.serialized) struct SnapshotTests {
  /// From which engine to which; where there is no KVM, from software to software.
  static let moves: [[EngineKind]] = usableEngines.flatMap { from in
    usableEngines.map { [from, $0] }
  }

  @Test(arguments: moves)
  func programThatWaitsForAKeyInGraphicsModeGoesOn(engines: [EngineKind]) throws {
    let first = try GuestRun("echo") { $0.engine = engines[0] }
    try first.wait("the first block") { ($0.pixel(0, 0) ?? 0) != 0 }
    try first.machine.inputHub.press(chord: "a")
    usleep(Self.rest)
    let second = try first.moved(to: engines[1])
    try expectSame(second.machine.capture(), second.before)
    let color = second.pixel(0, 0)
    try second.machine.inputHub.press(chord: "b")
    try second.wait("another colour") { $0.pixel(0, 0) != color }
    #expect(second.stop() == .poweredOff)
  }

  @Test(arguments: moves)
  func keyThatTheGuestHasNotReadIsNotLost(engines: [EngineKind]) throws {
    let first = try GuestRun("echo") { $0.engine = engines[0] }
    try first.wait("the first block") { ($0.pixel(0, 0) ?? 0) != 0 }
    let color = first.pixel(0, 0)
    try first.machine.pause()
    first.machine.inputHub.key(viewer: 1, keysym: 0x78, pressed: true)
    first.machine.inputHub.key(viewer: 1, keysym: 0x78, pressed: false)
    usleep(50_000)
    #expect(first.pixel(0, 0) == color)
    let second = try first.moved(to: engines[1])
    try second.wait("the colour of the key") { $0.pixel(0, 0) != color }
    #expect(second.stop() == .poweredOff)
  }

  @Test(arguments: moves)
  func timersGoOn(engines: [EngineKind]) throws {
    let first = try GuestRun("pulse") { $0.engine = engines[0] }
    try first.wait("a pulse") { $0.serial.contains(".") }
    let second = try first.moved(to: engines[1])
    try second.wait("two more pulses") { $0.serial.hasPrefix("..") }
    #expect(second.stop() == .poweredOff)
  }

  @Test(.enabled(if: hasKVM, "this host has no usable /dev/kvm"))
  func ringThreeProgramTravelsThereAndBack() throws {
    let first = try GuestRun("demo", scene: PadScene.number)
    try first.wait("its message on the serial port") { $0.serial.contains("demo ready") }
    try first.machine.inputHub.type("Ab")
    try first.wait("the typed text") { PadScene.inkedCells($0) == 2 }
    usleep(Self.rest)
    let second = try first.moved(to: .software)
    try expectSame(second.machine.capture(), second.before)
    try second.machine.inputHub.type("Cd")
    try second.wait("more text") { PadScene.inkedCells($0) == 4 }
    usleep(Self.rest)
    let third = try second.moved(to: .kvm)
    try expectSame(third.machine.capture(), third.before)
    try third.machine.inputHub.type("Ef")
    try third.wait("all the text") { PadScene.inkedCells($0) == 6 }
    #expect(third.stop() == .poweredOff)
  }

  /// Long enough for a guest that has begun to draw a letter to end it, microseconds.
  private static let rest: UInt32 = 300_000

  private func expectSame(_ frame: Frame, _ other: Frame?) throws {
    let other = try #require(other)
    #expect(frame.size == other.size)
    let count = frame.size.width * frame.size.height
    let differing = (0..<count).count { frame.pixels[$0] != other.pixels[$0] }
    #expect(differing == 0)
  }

  /// The first takes twenty seconds, and so goes one way only unless all the time is there.
  static let checks: [(guest: String, other: EngineKind)] = {
    let all = getenv("PORTHOLE_FULL") != nil
    return usableEngines.prefix(all ? usableEngines.count : 1).map { ("services", $0) }
      + usableEngines.map { ("smp", $0) }
  }()

  /// Programs that check what they find go from engine to engine many times on their way.
  @Test(arguments: checks)
  func checksPassWhereverTheyRun(guest: String, other: EngineKind) throws {
    let chain = try Chain(guest, processors: guest == "smp" ? 3 : 1)
    // The one is done in a tenth of a second, the other in seconds.
    let slice: UInt32 = guest == "smp" ? 10_000 : 150_000
    let reason = try chain.run(engines: [other, .software], slice: slice)
    #expect(chain.moves > 0)
    if guest == "smp" {
      #expect(reason == .debugExit(3), "\(chain.serial)")
    } else {
      let report = CheckReport(chain.serial)
      // The calendar follows the host, the timer's ticks the machine's time, which stood still.
      let wrong = report.failed.filter { !$0.hasPrefix("int1A.00.time ") }
      #expect(wrong == [])
      #expect(report.isWhole && report.passed.count > 400)
      #expect(reason == .debugExit(UInt8(clamping: report.failed.count)))
    }
  }

  @Test func savedDesktopRunsOn() throws {
    let run = try GuestRun("echo") { $0.engine = .software }
    try run.wait("the first block") { ($0.pixel(0, 0) ?? 0) != 0 }
    let path = GuestRun.temporaryPath()
    defer { unlink(path) }
    try run.machine.save(to: path)
    let color = run.pixel(0, 0)
    try run.machine.inputHub.press(chord: "a")
    try run.wait("another colour") { $0.pixel(0, 0) != color }
    try run.machine.save(to: path)
    #expect(run.stop() == .poweredOff)
    #expect(throws: SnapshotError("the desktop is stopping")) { try run.machine.save(to: path) }
  }

  @Test(arguments: usableEngines)
  func pausedGuestStandsStillAndGoesOn(engine: EngineKind) throws {
    let run = try GuestRun("pulse") { $0.engine = engine }
    try run.wait("a pulse") { $0.serial.contains(".") }
    try run.machine.pause()
    usleep(100_000)
    let pulses = run.serial.count
    usleep(3_000_000)
    #expect(run.serial.count == pulses)
    try run.machine.resume()
    try run.wait("another pulse") { $0.serial.count > pulses }
    // What the pause took is not made up for: three seconds would be two more pulses at once.
    #expect(run.serial.count == pulses + 1)
    try run.machine.pause()
    #expect(run.stop() == .poweredOff)
  }

  @Test func pausedDesktopCanBeReset() throws {
    let run = try GuestRun("echo") { $0.engine = .software }
    try run.wait("the first block") { ($0.pixel(0, 0) ?? 0) != 0 }
    let color = run.pixel(0, 0)
    try run.machine.inputHub.press(chord: "a")
    try run.wait("another colour") { $0.pixel(0, 0) != color }
    try run.machine.pause()
    run.machine.reset()
    usleep(100_000)
    #expect(run.pixel(0, 0) != color)
    try run.machine.resume()
    try run.wait("the first colour") { $0.pixel(0, 0) == color }
    #expect(run.stop() == .poweredOff)
  }
}

/// A guest that goes from engine to engine until it ends by itself.
private final class Chain: @unchecked Sendable {
  // SAFETY: `current` and `before` are guarded by `lock`.
  private let lock = Monitor()
  private var current: GuestRun?
  private var before = ""
  private(set) var moves = 0
  private let disk: String

  init(_ guest: String, processors: Int) throws {
    disk = GuestRun.temporaryPath()
    var sectors = [UInt8](repeating: 0, count: 32768 * 512)
    for sector in 1..<32768 {
      sectors[sector * 512] = UInt8(sector & 0xFF)
      sectors[sector * 512 + 1] = UInt8(sector >> 8)
    }
    let file = open(disk, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0, write(file, sectors, sectors.count) == sectors.count else {
      throw GuestRun.Failure(description: "cannot make \(disk)")
    }
    close(file)
    let path = disk
    current = try GuestRun(guest, limit: 120) {
      $0.engine = .software
      $0.memoryBytes = 32 << 20
      $0.processors = processors
      $0.drives = [.init(kind: .hardDisk, path: path)]
    }
  }

  deinit { unlink(disk) }

  var serial: String { lock.withLock { before + (current?.serial ?? "") } }

  /// - Parameter slice: how long each engine gets, microseconds.
  func run(engines: [EngineKind], slice: UInt32) throws -> StopReason {
    let flag = Ended()
    let hands = try Thread(name: "hands") { [self] in
      var answered = 0
      while !flag.isSet {
        let lines = CheckReport.lines(serial)
        for line in lines.dropFirst(answered) { guest?.answer(line) }
        answered = lines.count
        usleep(5000)
      }
    }
    defer {
      flag.set()
      hands.join()
    }
    while moves < 40 {
      usleep(slice)
      do {
        try move(to: engines[moves % engines.count])
      } catch is SnapshotError {
        break
      }
    }
    return try #require(guest).waitForEnd()
  }

  private var guest: GuestRun? { lock.withLock { current } }

  private func move(to engine: EngineKind) throws {
    let saved = try lock.withLock { () -> GuestRun.Saved? in
      let saved = try current?.saved()
      before += current?.serial ?? ""
      current = nil
      return saved
    }
    guard let saved else { return }
    // Whoever still looks at the old machine, holds its disk a moment longer.
    var attempts = 0
    while true {
      do {
        let next = try GuestRun(saved, engine: engine)
        lock.withLock { current = next }
        moves += 1
        return
      } catch let error as ImageError {
        attempts += 1
        guard error.problem == .inUse, attempts < 100 else { throw error }
        usleep(20_000)
      }
    }
  }

  private final class Ended: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
  }
}
