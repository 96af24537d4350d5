import Glibc
import KVMEngine
import Synchronization
import Testing

@testable import Interpreter

/// Any bytes in any mode end in a fault, an exit or at the limit of instructions.
@Suite(.serialized) struct FuzzTests {
  /// The same as whole blocks, which run until somebody asks for an exit.
  @Test func blocksOfAnyBytesComeBackWhenAsked() throws {
    let rig = try Rig()
    let processor = rig.processor
    let isDone = Done()
    let kicker = try Thread(name: "kicker") {
      while !isDone.flag.load(ordering: .relaxed) {
        usleep(100)
        processor.requestExit()
      }
    }
    defer {
      isDone.flag.store(true, ordering: .relaxed)
      kicker.join()
    }
    var dice = Dice(state: 0x1357_9BDF)
    for index in 0..<3_000 {
      let code = (0..<256).map { _ in UInt8.random(in: 0...255, using: &dice) }
      processor.reset()
      switch index % 4 {
      case 0: rig.real(code)
      case 1: rig.protected(code, ring: 3, paging: true)
      case 2: rig.long(code)
      default: rig.protected(code)
      }
      rig.set {
        $0.rax = dice.next()
        $0.rcx = dice.next()
        $0.rbx = 0x50000
        $0.rsi = Rig.code &- 64
        $0.rdi = Rig.code &+ 64
        $0.rbp = 0x6800
      }
      processor.beginRun()
      _ = processor.run()
    }
  }

  private final class Done: Sendable {
    let flag = Atomic<Bool>(false)
  }

  @Test(arguments: 0..<6) func anyBytesInAnyModeAreSurvived(mode: Int) throws {
    let rig = try Rig()
    var dice = Dice(state: 0xABCD_EF01 + UInt64(mode))
    for _ in 0..<3_000 {
      let code = (0..<48).map { _ in UInt8.random(in: 0...255, using: &dice) }
      rig.processor.reset()
      switch mode {
      case 0: rig.real(code)
      case 1: rig.protected(code)
      case 2: rig.protected(code, ring: 3, paging: true)
      case 3: rig.long(code)
      case 4: rig.long(code, ring: 3)
      default:
        rig.protected(code, ring: 3, paging: true)
        rig.set { $0.rflags = 0x20002 }
      }
      rig.set {
        $0.rax = dice.next()
        $0.rcx = dice.next() & 0xFFFF
        $0.rdx = dice.next()
        $0.rbx = 0x50000
        $0.rsi = 0x51000 + dice.next() & 0xFF
        $0.rdi = 0x52000 + dice.next() & 0xFF
        $0.rbp = 0x6800
      }
      _ = rig.processor.run(instructions: 60)
      // The same bytes from the block cache, without the single steps.
      if mode & 1 == 0 { continue }
      rig.set { $0.rip = Rig.code }
      _ = rig.processor.run(instructions: 60)
    }
  }
}
