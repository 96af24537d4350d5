import KVMEngine
import Machine
import Testing

/// Guests that give up, go where a host's KVM can't follow, never listen, or misbehave.
@Suite(.serialized) struct UnsupportedTests {
  @Test(arguments: usableEngines)
  func aTripleFaultResetsTheDesktop(engine: EngineKind) throws {
    let run = try GuestRun("triplefault", limit: 20) {
      $0.onTripleFault = .reset
      $0.engine = engine
    }
    #expect(run.waitForEnd() == .debugExit(7))
    #expect(CheckReport.lines(run.serial) == ["up", "up"])
    #expect(run.log.all == ["vCPU 0 had a triple fault; the desktop resets"])
  }

  @Test(arguments: usableEngines)
  func aTripleFaultStopsTheDesktopWhereAskedTo(engine: EngineKind) throws {
    let run = try GuestRun("triplefault", limit: 20) {
      $0.onTripleFault = .stop
      $0.engine = engine
    }
    #expect(run.waitForEnd() == .tripleFault)
    #expect(CheckReport.lines(run.serial) == ["up"])
  }

  /// A plain host runs FWAIT in real mode; one that can't says which bytes, where and in which mode.
  @Test(arguments: usableEngines)
  func anInstructionThatTheHostLacksIsNamed(engine: EngineKind) throws {
    let run = try GuestRun("fwait", limit: 20) { $0.engine = engine }
    switch run.waitForEnd() {
    case .debugExit(0): #expect(CheckReport.lines(run.serial) == ["before", "after"])
    case .failed(let sentence):
      #expect(CheckReport.lines(run.serial) == ["before"])
      #expect(sentence.contains("on the instruction 9b"))
      #expect(sentence.contains("0000:7c"))
      #expect(sentence.contains("real mode"))
    case let reason: Issue.record("it ended by \(reason)")
    }
  }

  @Test(arguments: usableEngines)
  func protectedModeIsLeftByAReset(engine: EngineKind) throws {
    let run = try GuestRun("extender", limit: 20) { $0.engine = engine }
    #expect(run.waitForEnd() == .debugExit(0))
    #expect(CheckReport.lines(run.serial) == ["protected", "back"])
  }

  @Test(arguments: usableEngines)
  func aBootRecordThatGivesUpIsSaidOnTheScreenAndTriedAgain(engine: EngineKind) throws {
    let run = try GuestRun("giveup") { $0.engine = engine }
    try run.wait("a message on the screen") { run in
      run.machine.textScreen()?.text.isEmpty == false
    }
    let text = run.machine.textScreen()?.text ?? ""
    #expect(text.lowercased().contains("boot"))
    try run.machine.inputHub.press(chord: "space")
    try run.wait("the second start") { CheckReport.lines($0.serial) == ["up", "up"] }
    #expect(run.stop() == .poweredOff)
  }

  @Test(arguments: usableEngines)
  func aGuestThatSpinsWithInterruptsOffStopsAtOnce(engine: EngineKind) throws {
    let run = try GuestRun("spin") { $0.engine = engine }
    try run.wait("its message") { CheckReport.lines($0.serial) == ["spinning"] }
    let start = Monitor.monotonic()
    #expect(run.stop() == .poweredOff)
    #expect(Monitor.monotonic() - start < 1_000_000_000)
  }

  @Test(arguments: usableEngines)
  func aGuestThatSpinsWithInterruptsOffIsReset(engine: EngineKind) throws {
    let run = try GuestRun("spin") { $0.engine = engine }
    try run.wait("its message") { CheckReport.lines($0.serial) == ["spinning"] }
    for count in 2...4 {
      run.machine.reset()
      try run.wait("start \(count)", seconds: 5) {
        CheckReport.lines($0.serial).filter { $0 == "spinning" }.count == count
      }
    }
    #expect(run.stop() == .poweredOff)
  }

  @Test(arguments: usableEngines)
  func portsHammeredAtRandomHurtNobody(engine: EngineKind) throws {
    let run = try GuestRun("hammer") { $0.engine = engine }
    // The screen is looked at meanwhile, whatever mode it is in.
    let viewer = try Thread(name: "viewer") {
      while !run.hasEnded {
        _ = run.machine.capture()
        _ = run.machine.textScreen()
      }
    }
    #expect(run.waitForEnd() == .debugExit(0))
    viewer.join()
    #expect(run.serial.contains("survived"))
  }
}
