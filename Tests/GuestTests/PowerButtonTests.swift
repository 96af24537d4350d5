import Machine
import Testing

/// The power button, as a system with ACPI sees it (Guests/button.S).
@Suite(.serialized) struct PowerButtonTests {
  @Test(arguments: usableEngines)
  func pressedButtonInterruptsAndTheGuestSwitchesItselfOff(engine: EngineKind) throws {
    let run = try GuestRun("button") { $0.engine = engine }
    try run.wait("the guest") { $0.serial.contains("ready") }
    #expect(run.machine.pressPowerButton())
    #expect(run.waitForEnd() == .poweredOff)
    #expect(run.serial == "ready\r\npressed\r\n")
  }

  @Test func guestThatDoesNotListenRunsOn() throws {
    let run = try GuestRun("pulse") { $0.engine = .software }
    try run.wait("a pulse") { $0.serial.contains(".") }
    #expect(!run.machine.pressPowerButton())
    try run.wait("another pulse") { $0.serial.count > 1 }
    #expect(run.stop() == .poweredOff)
  }
}
