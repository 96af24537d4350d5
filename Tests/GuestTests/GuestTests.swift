import Display
import KVMEngine
import Machine
import Testing

/// Our own guests on real KVM, from power-on to what they draw and answer.
@Suite(.serialized, .enabled(if: hasKVM, "this host has no usable /dev/kvm"))
struct GuestTests {
  @Test func bootSectorDrawsThroughTheBankedWindow() throws {
    let run = try GuestRun("firstlight")
    try run.wait("the first picture") { $0.pixel(0, 0) == 0x3060C0 }
    let size = run.machine.capture().size
    #expect(size == FrameSize(width: 1024, height: 768))
    #expect(run.pixel(1023, 0) == 0x3060C0)
    #expect(run.pixel(0, 1) == 0)
    #expect(run.stop() == .poweredOff)
  }

  @Test func keyReachesARealModeProgramThroughTheBIOS() throws {
    let run = try GuestRun("echo")
    try run.wait("the first block") { ($0.pixel(0, 0) ?? 0) != 0 }
    let before = run.pixel(0, 0)
    try run.machine.inputHub.press(chord: "a")
    try run.wait("another colour") { $0.pixel(0, 0) != before }
    #expect(run.stop() == .poweredOff)
  }

  @Test func ringThreeProgramDrawsTypesAndFollowsThePointer() throws {
    let run = try GuestRun("demo", scene: PadScene.number)
    try run.wait("its message on the serial port") { $0.serial.contains("demo ready") }
    try run.machine.inputHub.type("Hello, (World)!_")
    // The space and, below the rows that are looked at, the underscore have no ink.
    try run.wait("the typed text") { PadScene.inkedCells($0) == 14 }
    let pointer = (x: 716, y: 384)
    #expect(run.pixel(pointer.x + 3, pointer.y + 8) == 0xFFFFFF)
    #expect(run.stop() == .poweredOff)
  }

  @Test func resetBootsAgain() throws {
    let run = try GuestRun("echo")
    try run.wait("the first block") { ($0.pixel(0, 0) ?? 0) != 0 }
    let first = run.pixel(0, 0)
    try run.machine.inputHub.press(chord: "a")
    try run.wait("another colour") { $0.pixel(0, 0) != first }
    run.machine.reset()
    try run.wait("the first colour again") { $0.pixel(0, 0) == first }
    #expect(run.stop() == .poweredOff)
  }

  @Test func controlAltDeleteRestartsThroughTheBIOS() throws {
    let run = try GuestRun("echo")
    try run.wait("the first block") { ($0.pixel(0, 0) ?? 0) != 0 }
    let first = run.pixel(0, 0)
    try run.machine.inputHub.press(chord: "a")
    try run.wait("another colour") { $0.pixel(0, 0) != first }
    try run.machine.inputHub.press(chord: "ctrl-alt-del")
    try run.wait("the first colour again") { $0.pixel(0, 0) == first }
    #expect(run.stop() == .poweredOff)
  }

  @Test func stoppingIsQuickWhateverTheGuestDoes() throws {
    for _ in 0..<20 {
      let run = try GuestRun("demo")
      let start = Monitor.monotonic()
      #expect(run.stop() == .poweredOff)
      #expect(Monitor.monotonic() - start < 5_000_000_000)
    }
  }
}
