import Glibc
import Interpreter
import KVMEngine
import Synchronization
import Testing

/// Interrupts and kicks from another thread while guest code runs, at any instruction.
@Suite(.serialized) struct InjectionTests {
  private final class Wire: Sendable {
    let pending = Atomic<Int>(0)
    let isDone = Atomic<Bool>(false)
  }

  /// The guest turns interrupts off and on, loads SS, and halts; its handler counts.
  private func makeGuest() throws -> (AddressSpace, InterpretedProcessor) {
    let ram = try MemoryBlock(name: "ram", size: 1 << 20)
    let space = AddressSpace(bus: MemoryBus(), slots: UnmappedSlots())
    try space.map(ram, size: 1 << 20, at: 0)
    let processor = InterpretedProcessor(index: 0, ports: PortBus(), memory: space)
    processor.sleepsWhenHalted = false
    space.store(UInt32(0x5000), at: 0x20 * 4)
    // inc dword [600h]; iret
    space.write(0x5000, bytes: [0x66, 0xFF, 0x06, 0x00, 0x06, 0xCF])
    // sti; inc ax; cli; inc bx; mov cx, ss; mov ss, cx; sti; push ax; pop dx; hlt; jmp 7C00h
    space.write(
      0x7C00,
      bytes: [
        0xFB, 0x40, 0xFA, 0x43, 0x8C, 0xD1, 0x8E, 0xD1, 0xFB, 0x50, 0x5A, 0xF4, 0xEB, 0xF2,
      ])
    var s = processor.systemRegisters()
    (s.cs.base, s.cs.selector) = (0, 0)
    processor.setSystemRegisters(s)
    var r = processor.registers()
    (r.rip, r.rsp, r.rflags) = (0x7C00, 0x7000, 2)
    processor.setRegisters(r)
    return (space, processor)
  }

  @Test func noInterruptOfAnotherThreadIsLost() throws {
    let (space, processor) = try makeGuest()
    let total = 3_000
    let wire = Wire()
    let other = try Thread(name: "interrupter") {
      for number in 0..<total {
        wire.pending.add(1, ordering: .sequentiallyConsistent)
        processor.requestExit()
        if number % 3 == 0 { usleep(UInt32(number % 40)) }
      }
      while !wire.isDone.load(ordering: .relaxed) {
        usleep(500)
        processor.requestExit()
      }
    }
    defer {
      wire.isDone.store(true, ordering: .relaxed)
      other.join()
    }
    let end = time(nil) + 50
    var injected = 0
    while space.load(0x600, as: UInt32.self) < total, time(nil) < end {
      processor.beginRun()
      if wire.pending.load(ordering: .sequentiallyConsistent) > 0 {
        if processor.canAcceptInterrupt {
          wire.pending.subtract(1, ordering: .sequentiallyConsistent)
          processor.injectInterrupt(0x20)
          injected += 1
        } else {
          processor.requestInterruptWindow = true
        }
      }
      if case .interruptWindow = processor.run() { processor.requestInterruptWindow = false }
    }
    #expect(injected == total)
    #expect(space.load(0x600, as: UInt32.self) == UInt32(total))
    #expect(wire.pending.load(ordering: .relaxed) == 0)
  }
}
