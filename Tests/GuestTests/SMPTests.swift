import Machine
import Testing

/// Several processors, started and set to work by Guests/smp.S.
@Suite(.serialized) struct SMPTests {
  @Test(arguments: usableEngines, [1, 2, 4])
  func processorsCountTogetherAndInterruptEachOther(engine: EngineKind, count: Int) throws {
    try expectAll(engine, count)
  }

  @Test func sixteenProcessorsInSoftwareWorkOnAHostWithFewer() throws {
    try expectAll(.software, MachineConfiguration.maximumProcessors)
  }

  private func expectAll(_ engine: EngineKind, _ count: Int) throws {
    let run = try GuestRun("smp") {
      $0.engine = engine
      $0.processors = count
    }
    let reason = run.waitForEnd()
    #expect(reason == .debugExit(UInt8(count)), "\(run.serial)")
    #expect(
      run.serial
        == ["alive", "done", "sums", "interrupts", "self", "timer", ""]
        .joined(separator: "\r\n"))
  }

  /// A reset brings the others back to where they wait for a start-up message.
  @Test(arguments: usableEngines)
  func resetStopsTheOthersUntilTheyAreStartedAgain(engine: EngineKind) throws {
    let run = try GuestRun("smp") {
      $0.engine = engine
      $0.processors = 3
    }
    try run.wait("the others") { $0.serial.contains("alive") }
    run.machine.reset()
    #expect(run.waitForEnd() == .debugExit(3))
    #expect(run.serial.hasSuffix("timer\r\n"))
  }
}
