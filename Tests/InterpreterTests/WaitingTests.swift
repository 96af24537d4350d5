import Glibc
import KVMEngine
import Synchronization
import Testing

@testable import Interpreter

/// PAUSE, MONITOR and MWAIT (Intel SDM vol. 2B).
@Suite(.serialized) struct WaitingTests {
  /// A processor that offers MONITOR, in 64-bit ring 0, with RAX at the line and ECX as told.
  private func rig(
    _ code: [UInt8], ring: UInt8 = 0, ecx: UInt64 = 0, offersMasked: Bool = true
  ) throws -> Rig {
    let rig = try Rig()
    try KVMProcessor.installKickHandler()
    rig.processor.cpuid = { leaf, subleaf in
      var result = HostCPUID.result(leaf, subleaf)
      if leaf == 1 { result.ecx |= 1 << 3 }
      if leaf == 5 { result = CPUIDResult(eax: 64, ebx: 64, ecx: offersMasked ? 3 : 1) }
      return result
    }
    rig.long(code, ring: ring)
    rig.set {
      $0.rax = Self.line; $0.rcx = ecx
    }
    rig.processor.sleepsWhenHalted = true
    return rig
  }

  private static let line: UInt64 = 0x50_0000
  private static let monitor: [UInt8] = [0x0F, 0x01, 0xC8]
  private static let wait: [UInt8] = [0x0F, 0x01, 0xC9]

  @Test(arguments: [monitor, wait])
  func whatIsNotOfferedIsUndefined(code: [UInt8]) throws {
    let rig = try Rig()
    rig.long(code)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 6)
    let user = try self.rig(code, ring: 3)
    user.processor.sleepsWhenHalted = false
    #expect(user.processor.run() == .halted)
    #expect(user.halted == 6)
  }

  @Test func extensionsThatThereAreNotAreProtectionFaults() throws {
    for (code, ecx) in [(Self.monitor, UInt64(1)), (Self.wait, 2), (Self.wait, 1)] {
      let rig = try self.rig(code, ecx: ecx, offersMasked: false)
      rig.processor.sleepsWhenHalted = false
      #expect(rig.processor.run() == .halted)
      #expect(rig.halted == 13)
    }
  }

  @Test func theWatchedAddressIsCheckedAsARead() throws {
    let rig = try self.rig(Self.monitor)
    rig.processor.sleepsWhenHalted = false
    rig.set { $0.rax = 0x200_0000 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack64(0) == 0)
    #expect(rig.processor.systemRegisters().cr2 == 0x200_0000)
  }

  /// Runs for some milliseconds, again and again, until it is so.
  private func run(
    _ rig: Rig, until isSo: (Registers) -> Bool, _ place: SourceLocation = #_sourceLocation
  ) throws {
    for _ in 0..<500 {
      #expect(try rig.runKicked(after: 5000) == .kicked, sourceLocation: place)
      if isSo(rig.processor.registers()) { return }
    }
    Issue.record("it never was", sourceLocation: place)
  }

  /// monitor; mwait; inc rbx; jmp to self
  private static let watching = monitor + wait + [0x48, 0xFF, 0xC3, 0xEB, 0xFE]

  @Test func aStoreToTheLineEndsTheWait() throws {
    let rig = try self.rig(Self.watching)
    try run(rig) { $0.rip == Rig.code + 6 }
    #expect(try rig.runKicked(after: 20_000) == .kicked)
    #expect(rig.processor.registers().rbx == 0)
    rig.space.store(UInt32(7), at: Self.line + 60)
    try run(rig) { $0.rbx == 1 }
  }

  @Test func aStoreBetweenTheTwoIsNotLost() throws {
    let rig = try self.rig(Self.watching)
    _ = rig.processor.run(instructions: 1)
    rig.space.store(UInt32(7), at: Self.line)
    try run(rig) { $0.rbx == 1 }
  }

  @Test func withoutALineThereIsNoWait() throws {
    let rig = try self.rig(Self.wait + [0x48, 0xFF, 0xC3, 0xEB, 0xFE])
    try run(rig) { $0.rbx == 1 }
  }

  @Test(arguments: [UInt64(0), 1])
  func maskedInterruptsEndTheWaitIfAsked(ecx: UInt64) throws {
    // monitor; mov ecx, edx; mwait; inc rbx; jmp to self
    let rig = try self.rig(Self.monitor + [0x89, 0xD1] + Array(Self.watching.dropFirst(3)))
    rig.set { $0.rdx = ecx }
    rig.processor.requestInterruptWindow = true
    try run(rig) { $0.rip >= Rig.code + 8 }
    if ecx == 1 { try run(rig) { $0.rbx == 1 } }
    #expect(try rig.runKicked(after: 20_000) == .kicked)
    #expect(rig.processor.registers().rbx == ecx)
  }

  @Test func anInterruptEndsTheWait() throws {
    let rig = try self.rig(Self.watching)
    rig.set { $0.rflags = 0x202 }
    try run(rig) { $0.rip == Rig.code + 6 }
    rig.processor.injectInterrupt(0x40)
    rig.processor.sleepsWhenHalted = false
    rig.processor.beginRun()
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x40)
    #expect(rig.stack64(0) == Rig.code + 6)
  }

  /// Four processors that take turns by a ticket lock: each waits for one certain other, which the
  /// host may have put aside.
  @Test func spinningProcessorsLetOthersRun() throws {
    let rig = try Rig()
    // l: mov eax, 1; lock xadd [5000h], eax; w: cmp [5040h], eax; je g; pause; jmp w;
    // g: inc dword [5080h]; inc dword [5040h]; dec ecx; jnz l; hlt
    rig.protected([
      0xB8, 1, 0, 0, 0, 0xF0, 0x0F, 0xC1, 0x05, 0, 0x50, 0, 0, 0x39, 0x05, 0x40, 0x50, 0, 0, 0x74,
      0x04, 0xF3, 0x90, 0xEB, 0xF4, 0xFF, 0x05, 0x80, 0x50, 0, 0, 0xFF, 0x05, 0x40, 0x50, 0, 0,
      0x49, 0x75, 0xD8, 0xF4,
    ])
    let turns: UInt64 = 2000
    rig.set { $0.rcx = turns }
    let system = rig.processor.systemRegisters()
    let registers = rig.processor.registers()
    let ended = Atomic<Int>(0)
    var threads: [Thread] = []
    for number in 0..<4 {
      let processor = InterpretedProcessor(index: 0, ports: rig.ports, memory: rig.space)
      processor.sleepsWhenHalted = false
      processor.hasSiblings = true
      processor.setSystemRegisters(system)
      processor.setRegisters(registers)
      threads.append(
        try Thread(name: "vcpu\(number)") {
          processor.attachToCurrentThread()
          if processor.run() == .halted { ended.add(1, ordering: .relaxed) }
        })
    }
    for thread in threads { thread.join() }
    #expect(ended.load(ordering: .relaxed) == 4)
    #expect(rig.space.load(0x5080, as: UInt32.self) == 4 * UInt32(turns))
  }
}
