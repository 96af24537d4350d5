import KVMEngine
import Machine
import Testing

/// Guests that give up, go where a host's KVM can't follow, never listen, or misbehave.
@Suite(.serialized, .enabled(if: hasKVM, "this host has no usable /dev/kvm"))
struct UnsupportedTests {
  @Test func aTripleFaultResetsTheDesktop() throws {
    let run = try GuestRun("triplefault", limit: 20) { $0.onTripleFault = .reset }
    #expect(run.waitForEnd() == .debugExit(7))
    #expect(CheckReport.lines(run.serial) == ["up", "up"])
    #expect(run.log.all == ["vCPU 0 had a triple fault; the desktop resets"])
  }

  @Test func aTripleFaultStopsTheDesktopWhereAskedTo() throws {
    let run = try GuestRun("triplefault", limit: 20) { $0.onTripleFault = .stop }
    #expect(run.waitForEnd() == .tripleFault)
    #expect(CheckReport.lines(run.serial) == ["up"])
  }

  /// A plain host runs FWAIT in real mode; one that can't says which bytes, where and in which mode.
  @Test func anInstructionThatTheHostLacksIsNamed() throws {
    let run = try GuestRun("fwait", limit: 20)
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

  @Test func protectedModeIsLeftByAReset() throws {
    let run = try GuestRun("extender", limit: 20)
    #expect(run.waitForEnd() == .debugExit(0))
    #expect(CheckReport.lines(run.serial) == ["protected", "back"])
  }

  @Test func aBootRecordThatGivesUpIsSaidOnTheScreenAndTriedAgain() throws {
    let run = try GuestRun("giveup")
    try run.wait("a message on the screen") { run in
      run.machine.textScreen()?.text.isEmpty == false
    }
    let text = run.machine.textScreen()?.text ?? ""
    #expect(text.lowercased().contains("boot"))
    try run.machine.inputHub.press(chord: "space")
    try run.wait("the second start") { CheckReport.lines($0.serial) == ["up", "up"] }
    #expect(run.stop() == .poweredOff)
  }

  @Test func aGuestThatSpinsWithInterruptsOffStopsAtOnce() throws {
    let run = try GuestRun("spin")
    try run.wait("its message") { $0.serial.contains("spinning") }
    let start = Monitor.monotonic()
    #expect(run.stop() == .poweredOff)
    #expect(Monitor.monotonic() - start < 1_000_000_000)
  }

  @Test func aGuestThatSpinsWithInterruptsOffIsReset() throws {
    let run = try GuestRun("spin")
    try run.wait("its message") { $0.serial.contains("spinning") }
    for count in 2...4 {
      run.machine.reset()
      try run.wait("start \(count)", seconds: 5) {
        CheckReport.lines($0.serial).filter { $0 == "spinning" }.count == count
      }
    }
    #expect(run.stop() == .poweredOff)
  }

  @Test func portsHammeredAtRandomHurtNobody() throws {
    let run = try GuestRun("hammer")
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
