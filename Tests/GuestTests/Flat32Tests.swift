import Display
import Machine
import Testing

/// An unpaged 32-bit program that draws into the linear frame buffer (Guests/flat32.S).
@Suite(.serialized) struct Flat32Tests {
  @Test(arguments: usableEngines)
  func drawsItsTestCardAndAnswersAKey(engine: EngineKind) throws {
    let run = try GuestRun("flat32") { $0.engine = engine }
    try run.wait("the test card") { $0.serial.contains("card drawn") }
    let frame = run.machine.capture()
    #expect(frame.size == FrameSize(width: 800, height: 600))
    // A few places by eye, then the whole picture.
    #expect(run.pixel(0, 0) == 0xFFFFFF)
    #expect(run.pixel(100, 100) == 0xC0C0C0)
    #expect(run.pixel(600, 400) == 0x0000C0)
    #expect(run.pixel(400, 100) == 0xFFFFFF)
    #expect(run.pixel(16 + 128 * 3, 450) == 0x808080)
    #expect(run.machine.textScreen() == nil)
    try Golden.expect(frame, "flat32")
    try run.machine.inputHub.press(chord: "x")
    try run.machine.inputHub.press(chord: "esc")
    #expect(run.waitForEnd() == .debugExit(32))
  }
}
