import Machine
import Testing

/// The chips as a program that drives their ports finds them (Guests/devices.S).
@Suite(.serialized) struct DevicesTests {
  @Test(arguments: usableEngines)
  func everyDeviceAnswersAtItsPorts(engine: EngineKind) throws {
    let run = try GuestRun("devices", limit: 90) {
      $0.memoryBytes = 32 << 20
      $0.engine = engine
    }
    let (reason, report) = try run.answerRequests()
    report.expectSuccess(reason, checks: 210)
  }
}
