import Glibc
import KVMEngine
import ProcessorFuzzing
import Synchronization
import Testing

/// Any bytes as mode, registers, tables and code end in a fault, an exit or at the limit.
@Suite(.serialized) struct HostileCaseTests {
  private func input(_ dice: inout Seeded, mode: Int) -> [UInt8] {
    var bytes = (0..<92).map { _ in UInt8(truncatingIfNeeded: dice.next()) }
    bytes[0] = UInt8(mode)
    if dice.next() & 1 == 0 { for index in 19..<27 { bytes[index] = 0 } }
    return bytes
  }

  @Test(arguments: 0..<HostileMachine.modes) func anyStateIsSurvivedStepByStep(mode: Int) throws {
    let machine = try HostileMachine()
    var dice = Seeded(UInt64(mode) + 100)
    for _ in 0..<500 {
      let isLoaded = input(&dice, mode: mode).withUnsafeBytes { machine.load($0) }
      #expect(isLoaded)
      machine.step(limit: 60)
    }
  }

  private final class Done: Sendable {
    let flag = Atomic<Bool>(false)
  }

  @Test(arguments: 0..<HostileMachine.modes) func anyStateComesBackWhenAsked(mode: Int) throws {
    let machine = try HostileMachine()
    let done = Done()
    let processor = machine.processor
    let kicker = try Thread(name: "kicker") {
      while !done.flag.load(ordering: .relaxed) {
        usleep(100)
        processor.requestExit()
      }
    }
    defer {
      done.flag.store(true, ordering: .relaxed)
      kicker.join()
    }
    var dice = Seeded(UInt64(mode) + 200)
    for _ in 0..<300 {
      _ = input(&dice, mode: mode).withUnsafeBytes { machine.load($0) }
      machine.run()
    }
  }

  /// What the coverage-guided run found.
  @Test(arguments: HostileInputs.all) func knownInputsAreSurvived(bytes: [UInt8]) throws {
    let machine = try HostileMachine()
    _ = bytes.withUnsafeBytes { machine.load($0) }
    machine.step(limit: 100)
  }
}
