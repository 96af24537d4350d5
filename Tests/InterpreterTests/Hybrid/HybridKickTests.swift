import Glibc
import KVMEngine
import Synchronization
import Testing

@testable import Interpreter

/// Signals that come while user code raises exceptions: each is delivered once, to whom it belongs.
@Suite(.serialized) struct HybridKickTests {
  /// The counters that handlers increment.
  private static let counters: UInt64 = 0x5000

  /// Where the task is that only counts: inc rax; jmp to it.
  private static let idler: UInt64 = 0x8000

  /// inc dword [counter]
  private func increment(_ counter: UInt64) -> [UInt8] {
    let at = Self.counters + counter * 4
    return [0xFF, 0x04, 0x25, UInt8(at & 0xFF), UInt8(at >> 8), 0, 0]
  }

  /// Counts vectors 0, 1, 3 and 14, and system calls as 15; each goes on behind the instruction, of 2
  /// bytes for #DE and 7 for #PF.
  private func writeHandlers(_ rig: Rig) {
    let back: [UInt8] = [0x48, 0xCF]
    let handlers: [(UInt64, [UInt8])] = [
      (0, increment(0) + [0x48, 0x83, 0x04, 0x24, 2] + back),
      (1, increment(1) + back),
      (3, increment(3) + back),
      (14, increment(14) + [0x48, 0x83, 0xC4, 8, 0x48, 0x83, 0x04, 0x24, 7] + back),
    ]
    for (vector, code) in handlers {
      rig.space.write(Rig.handlers + vector * 16, bytes: code)
    }
    rig.setSystemCalls()
    rig.addDescriptors(Rig.flat(0xF3, flags: 0xC), Rig.flat(0xFB, flags: 0xA))
    _ = rig.processor.cpu.setModelRegister(0xC000_0081, 0x0028_0008 << 32)
    rig.space.write(0x9000, bytes: increment(15) + [0x48, 0x0F, 0x07])
  }

  /// Runs `code` in ring 3, in a loop of so many rounds, while another thread asks for exits. With
  /// each exit another task gets its turn, as with a timer's interrupt: one that only counts.
  private func run(_ code: [UInt8], rounds: UInt32) throws -> Rig {
    let rig = try Rig(hybrid: true)
    // mov ebx, rounds; l: code; dec ebx; jnz l; int 80h
    let count = (0..<4).map { UInt8(truncatingIfNeeded: rounds >> UInt32($0 * 8)) }
    let jump = [0x75, UInt8(truncatingIfNeeded: -(code.count + 4))]
    rig.long([0xBB] + count + code + [0xFF, 0xCB] + jump + [0xCD, 0x80], ring: 3)
    writeHandlers(rig)
    rig.set { $0.rflags = 0x202 }
    rig.space.write(Self.idler, bytes: [0x48, 0xFF, 0xC0, 0xEB, 0xFB])
    let processor = rig.processor
    let isOver = Atomic<Bool>(false)
    let thread = try Thread(name: "vcpu") {
      processor.attachToCurrentThread()
      var other = processor.registers()
      other.rip = Self.idler
      repeat {
        if processor.systemRegisters().cs.privilege == 3 {
          let current = processor.registers()
          processor.setRegisters(other)
          other = current
        }
        processor.beginRun()
      } while processor.run() == .kicked
      isOver.store(true, ordering: .releasing)
    }
    var dice = Dice(state: 99)
    while !isOver.load(ordering: .acquiring) {
      processor.requestExit()
      let pause = dice.next() % 60
      if pause > 10 { usleep(UInt32(pause)) }
    }
    thread.join()
    return rig
  }

  private func count(_ rig: Rig, _ counter: UInt64) -> UInt32 {
    rig.space.load(Self.counters + counter * 4, as: UInt32.self)
  }

  /// int3
  private static let breakpoint: [UInt8] = [0xCC]
  /// xor ecx, ecx; div ecx
  private static let divide: [UInt8] = [0x31, 0xC9, 0xF7, 0xF1]
  /// mov eax, [2000123h]
  private static let load: [UInt8] = [0x8B, 0x04, 0x25, 0x23, 0x01, 0, 2]
  /// syscall
  private static let call: [UInt8] = [0x0F, 0x05]
  /// int1
  private static let trap: [UInt8] = [0xF1]

  @Test func exceptionsOfEveryKindAreDeliveredOnce() throws {
    let rounds: UInt32 = 1500
    let rig = try run(
      Self.breakpoint + Self.divide + Self.load + Self.call, rounds: rounds)
    #expect(rig.halted == 0x80)
    #expect(count(rig, 3) == rounds)
    #expect(count(rig, 0) == rounds)
    #expect(count(rig, 14) == rounds)
    #expect(count(rig, 15) == rounds)
  }

  struct Kind: Sendable {
    let code: [UInt8]
    let counter: UInt64
  }
  private static let kinds = [
    Kind(code: breakpoint, counter: 3), Kind(code: divide, counter: 0),
    Kind(code: load, counter: 14), Kind(code: call, counter: 15), Kind(code: trap, counter: 1),
  ]

  @Test(arguments: kinds) func exceptionsOfOneKindAreDeliveredOnce(kind: Kind) throws {
    let rounds: UInt32 = 2000
    let rig = try run(kind.code, rounds: rounds)
    #expect(rig.halted == 0x80)
    #expect(count(rig, kind.counter) == rounds)
    for other in [UInt64(0), 1, 3, 14, 15] where other != kind.counter {
      #expect(count(rig, other) == 0)
    }
  }
}
