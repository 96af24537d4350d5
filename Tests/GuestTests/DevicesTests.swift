import Machine
import Testing

/// The chips as a program that drives their ports finds them (Guests/devices.S).
@Suite(.serialized, .enabled(if: hasKVM, "this host has no usable /dev/kvm"))
struct DevicesTests {
  @Test func everyDeviceAnswersAtItsPorts() throws {
    let run = try GuestRun("devices", limit: 90) { $0.memoryBytes = 32 << 20 }
    let (reason, report) = try run.answerRequests()
    report.expectSuccess(reason, checks: 215)
  }
}
