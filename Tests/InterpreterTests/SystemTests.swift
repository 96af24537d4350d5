import Glibc
import KVMEngine
import Synchronization
import Testing

@testable import Interpreter

/// Modes, faults and interrupts, against the tables of the Intel SDM vol. 3.
@Suite(.serialized) struct SystemTests {
  @Test func realModeInterruptsPushFlagsAndReturn() throws {
    let rig = try Rig()
    // int 40h; hlt; handler at 0:7D00: mov ax, 1234h; iret
    rig.real([0xCD, 0x40, 0xF4])
    rig.space.write(0x7D00, bytes: [0xB8, 0x34, 0x12, 0xCF])
    rig.space.store(UInt32(0x7D00), at: 0x100)
    rig.set { $0.rflags = 0x203 }
    #expect(rig.processor.run(instructions: 1) == .kicked)
    #expect(rig.processor.registers().rflags & 0x200 == 0)
    #expect(rig.space.load(0x6FFE, as: UInt16.self) == 0x203)
    #expect(rig.space.load(0x6FFC, as: UInt16.self) == 0)
    #expect(rig.space.load(0x6FFA, as: UInt16.self) == 0x7C02)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rax & 0xFFFF == 0x1234)
    #expect(rig.processor.registers().rflags == 0x203)
    #expect(rig.processor.registers().rsp == 0x7000)
  }

  @Test func realModeWordAtTheSegmentsEndIsAFault() throws {
    let rig = try Rig()
    // mov ax, [FFFFh]
    rig.real([0xA1, 0xFF, 0xFF])
    rig.space.store(UInt32(0x7D00), at: 13 * 4)
    rig.space.write(0x7D00, bytes: [0xF4])
    #expect(rig.processor.run() == .halted)
    #expect(rig.space.load(0x6FFA, as: UInt16.self) == 0x7C00)
  }

  @Test func codeThatChangesItselfIsSeen() throws {
    let rig = try Rig()
    // l: inc ax; mov byte [7C00h + 8], 43h (inc bx); nop*; inc cx (becomes inc bx); hlt
    rig.real([0x40, 0xC6, 0x06, 0x08, 0x7C, 0x43, 0x90, 0x90, 0x41, 0xF4])
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rbx == 1)
    #expect(rig.processor.registers().rcx == 0)
    // And once more from the start: what was decoded then is not used.
    rig.space.write(0x7C08, bytes: [0x42])
    rig.space.write(0x7C05, bytes: [0x42])
    rig.set {
      $0.rip = 0x7C00; $0.rdx = 0
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rdx == 1)
  }

  @Test func divideErrorComesWithTheAddressOfTheInstruction() throws {
    let rig = try Rig()
    // xor ecx, ecx; div ecx
    rig.protected([0x31, 0xC9, 0xF7, 0xF1])
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0)
    #expect(rig.stack32(0) == 0x7C02)
    #expect(rig.stack32(1) == 0x08)
  }

  @Test(arguments: [
    // mov [200000h], eax: not present, write, user
    ([UInt8]([0xA3, 0, 0, 0x20, 0]), UInt32(0), UInt32(6)),
    // mov eax, [200000h] on a supervisor page
    ([0xA1, 0, 0, 0x20, 0], 3, 5),
    // mov [200000h], eax on a read-only page
    ([0xA3, 0, 0, 0x20, 0], 5, 7),
  ])
  func pageFaultsSayWhatWasWrong(code: [UInt8], entry: UInt32, error: UInt32) throws {
    let rig = try Rig()
    rig.protected(code, ring: 3, paging: true)
    rig.space.store(0x200000 | entry, at: 0x11000 + 0x200 * 4)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack32(0) == error)
    #expect(rig.stack32(1) == 0x7C00)
    #expect(rig.stack32(2) == 0x1B)
    #expect(rig.stack32(5) == 0x23)
    #expect(rig.processor.systemRegisters().cr2 == 0x200000)
    #expect(rig.processor.registers().rsp == 0x6000 - 24)
  }

  @Test func walksSetAccessedAndDirty() throws {
    let rig = try Rig()
    // mov eax, [200000h]; mov [201000h], eax; hlt
    rig.protected(
      [0xA1, 0, 0, 0x20, 0, 0xA3, 0, 0x10, 0x20, 0, 0xF4], paging: true)
    #expect(rig.processor.run() == .halted)
    #expect(rig.space.load(0x11800, as: UInt32.self) == 0x200027)
    #expect(rig.space.load(0x11804, as: UInt32.self) == 0x201067)
  }

  @Test func interruptGatesChangeRingAndStack() throws {
    let rig = try Rig()
    // int 80h from ring 3
    rig.protected([0xCD, 0x80], ring: 3)
    rig.set { $0.rflags = 0x202 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    #expect(rig.stack32(0) == 0x7C02)
    #expect(rig.stack32(2) == 0x202)
    #expect(rig.stack32(3) == 0x7000)
    #expect(rig.processor.systemRegisters().cs.selector == 8)
    #expect(rig.processor.registers().rflags & 0x200 == 0)
  }

  @Test func softwareMayNotUseGatesOfTheSystem() throws {
    let rig = try Rig()
    rig.protected([0xCD, 0x21], ring: 3)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
    #expect(rig.stack32(0) == 0x21 * 8 + 2)
    #expect(rig.stack32(1) == 0x7C00)
  }

  @Test func aFaultWithoutATableIsAShutdown() throws {
    let rig = try Rig()
    rig.protected([0x0F, 0x0B])
    var s = rig.processor.systemRegisters()
    s.idt.limit = 0
    rig.processor.setSystemRegisters(s)
    #expect(rig.processor.run() == .shutdown)
  }

  @Test func systemCallsGoToRing0AndBack() throws {
    let rig = try Rig()
    // syscall; hlt (a fault in ring 3)   handler: sysretq
    rig.long([0x0F, 0x05, 0xF4], ring: 3)
    rig.space.write(0x9000, bytes: [0x48, 0x0F, 0x07])
    _ = rig.processor.cpu.setModelRegister(0xC000_0081, 0x0010_0008 << 32)
    _ = rig.processor.cpu.setModelRegister(0xC000_0082, 0x9000)
    rig.set { $0.rflags = 0x246 }
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0x9000)
    #expect(rig.processor.registers().rcx == 0x7C02)
    #expect(rig.processor.registers().r11 == 0x246)
    #expect(rig.processor.systemRegisters().cs.privilege == 0)
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0x7C02)
    #expect(rig.processor.systemRegisters().cs.selector == 0x23)
    #expect(rig.processor.systemRegisters().ss.selector == 0x1B)
  }

  @Test func longModeAlignsTheStackOfHandlers() throws {
    let rig = try Rig()
    rig.long([0x0F, 0x0B])
    rig.set { $0.rsp = 0x7003 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 6)
    #expect(rig.processor.registers().rsp == 0x7000 - 40)
    #expect(rig.stack64(3) == 0x7003)
  }

  /// mov eax, [rbp]; mov [rsp + 8], eax; push rax; add [rbp + 8], rax; paddb xmm0, [rbp + 16]; and
  /// mov eax, [r13]; mov eax, [rax + rbp]; mov eax, gs:[rbp]
  private static let stackOperands: [[UInt8]] = [
    [0x8B, 0x45, 0x00], [0x89, 0x44, 0x24, 0x08], [0x50], [0x48, 0x01, 0x45, 0x08],
    [0x66, 0x0F, 0xFC, 0x45, 0x10],
  ]
  private static let otherOperands: [[UInt8]] = [
    [0x41, 0x8B, 0x45, 0x00], [0x8B, 0x04, 0x28], [0x65, 0x8B, 0x45, 0x00],
  ]

  @Test(arguments: stackOperands + otherOperands)
  func addressesThatAreNoneAreFaultsOfTheirSegment(code: [UInt8]) throws {
    let vector: UInt64 = Self.stackOperands.contains(code) ? 12 : 13
    let rig = try Rig()
    rig.long(code, ring: 3)
    rig.set {
      ($0.rbp, $0.rsp, $0.r13) = (1 << 60, 1 << 60, 1 << 60)
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == vector)
    #expect(rig.stack64(0) == 0)
    #expect(rig.stack64(1) == Rig.code)
  }

  @Test func singleStepTrapsAfterTheInstruction() throws {
    let rig = try Rig()
    rig.protected([0x90, 0x90])
    rig.set { $0.rflags = 0x102 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.stack32(0) == 0x7C01)
  }

  @Test func stiHoldsInterruptsForOneInstruction() throws {
    let rig = try Rig()
    // sti; inc eax; inc eax; hlt
    rig.protected([0xFB, 0x40, 0x40, 0xF4])
    rig.processor.requestInterruptWindow = true
    #expect(rig.processor.run() == .interruptWindow)
    #expect(rig.processor.registers().rip == 0x7C02)
    rig.processor.requestInterruptWindow = false
    rig.processor.injectInterrupt(0x40)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x40)
    #expect(rig.stack32(0) == 0x7C02)
    #expect(rig.processor.registers().rax == 1)
  }

  @Test func virtual8086CodeIsHeldByItsPrivilege() throws {
    let rig = try Rig()
    // cli with IOPL 0
    rig.protected([0xFA], ring: 3, paging: true)
    rig.set { $0.rflags = 0x20002 }
    var s = rig.processor.systemRegisters()
    s.cs.base = 0
    s.cs.limit = 0xFFFF
    s.cs.isBig = false
    rig.processor.setSystemRegisters(s)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
    #expect(rig.stack32(3) & 0x20000 != 0)
  }

  @Test func floatingPointRunsOnTheHost() throws {
    let rig = try Rig()
    // fninit; fld1; fldpi; faddp; fstp qword [5000h]; hlt
    rig.protected(
      [0xDB, 0xE3, 0xD9, 0xE8, 0xD9, 0xEB, 0xDE, 0xC1, 0xDD, 0x1D, 0, 0x50, 0, 0, 0xF4])
    #expect(rig.processor.run() == .halted)
    #expect(Double(bitPattern: rig.space.load(0x5000, as: UInt64.self)) == 1 + Double.pi)
  }

  @Test func vectorsRunOnTheHost() throws {
    let rig = try Rig()
    // mov eax, 3; cvtsi2sd xmm9, eax; mulsd xmm9, xmm9; movapd xmm1, xmm9; sqrtsd xmm1, xmm1;
    // cvttsd2si ecx, xmm1; movups [5000h], xmm9; comisd xmm9, xmm1; hlt
    rig.long([
      0xB8, 3, 0, 0, 0, 0xF2, 0x44, 0x0F, 0x2A, 0xC8, 0xF2, 0x45, 0x0F, 0x59, 0xC9, 0x66, 0x41,
      0x0F, 0x28, 0xC9, 0xF2, 0x0F, 0x51, 0xC9, 0xF2, 0x0F, 0x2C, 0xC9, 0x44, 0x0F, 0x11, 0x0C,
      0x25, 0, 0x50, 0, 0, 0x66, 0x44, 0x0F, 0x2F, 0xC9, 0xF4,
    ])
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rcx == 3)
    #expect(Double(bitPattern: rig.space.load(0x5000, as: UInt64.self)) == 9)
    #expect(rig.processor.registers().rflags & 0x45 == 0)
  }

  @Test func unmaskedVectorExceptionsAreTheGuests() throws {
    let rig = try Rig()
    // ldmxcsr [5000h] (divide by zero unmasked); xorps xmm1, xmm1; divss xmm0, xmm1
    rig.long([
      0x0F, 0xAE, 0x14, 0x25, 0, 0x50, 0, 0, 0x0F, 0x57, 0xC9, 0xF3, 0x0F, 0x10, 0x04, 0x25, 4,
      0x50, 0, 0, 0xF3, 0x0F, 0x5E, 0xC1,
    ])
    var s = rig.processor.systemRegisters()
    s.cr4 |= 0x400
    rig.processor.setSystemRegisters(s)
    rig.space.store(UInt32(0x1D80), at: 0x5000)
    rig.space.store(Float(1).bitPattern, at: 0x5004)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 19)
    #expect(rig.stack64(0) == 0x7C14)
  }

  @Test func repeatedStringsMoveAndStop() throws {
    let rig = try Rig()
    // mov esi, 50000h; mov edi, 60001h; mov ecx, 5000; rep movsb; hlt
    rig.protected([
      0xBE, 0, 0, 5, 0, 0xBF, 1, 0, 6, 0, 0xB9, 0x88, 0x13, 0, 0, 0xF3, 0xA4, 0xF4,
    ])
    let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    rig.space.write(0x50000, bytes: bytes)
    #expect(rig.processor.run() == .halted)
    #expect(rig.space.bytes(at: 0x60001, count: 5000) == bytes)
    #expect(rig.processor.registers().rcx == 0)
    #expect(rig.processor.registers().rdi == 0x60001 + 5000)
  }

  @Test func anExitThatWasAskedForEndsALoop() throws {
    let rig = try Rig()
    // jmp $
    rig.protected([0xEB, 0xFE])
    rig.processor.beginRun()
    let processor = rig.processor
    let thread = try Thread(name: "kick") {
      usleep(20_000)
      processor.requestExit()
    }
    #expect(rig.processor.run() == .kicked)
    thread.join()
  }

  @Test func windowsKnowThePagesThatGuestCodeWrites() throws {
    let rig = try Rig()
    let memory = try MemoryBlock(name: "window", size: 1 << 16)
    let window = rig.space.makeWindow(memory)
    try window.map(at: 0xE000_0000, offset: 0, size: 1 << 16)
    // l: mov [E0003000h], eax; hlt; jmp l
    rig.protected([0xA3, 0, 0x30, 0, 0xE0, 0xF4, 0xEB, 0xF8])
    #expect(rig.processor.run() == .halted)
    #expect(Self.dirty(window) == 8)
    rig.set {
      $0.rax = 77; $0.rip = Rig.code
    }
    #expect(rig.processor.run(instructions: 2) == .halted)
    #expect(Self.dirty(window) == 8)
    #expect(memory.base.load(fromByteOffset: 0x3000, as: UInt32.self) == 77)
    // Unmapped: the bus swallows it.
    try window.unmap()
    rig.set {
      $0.rax = 78; $0.rip = Rig.code
    }
    #expect(rig.processor.run(instructions: 2) == .halted)
    #expect(memory.base.load(fromByteOffset: 0x3000, as: UInt32.self) == 77)
  }

  private static func dirty(_ window: MemoryWindow) -> UInt64 {
    var words: [UInt64] = [0]
    words.withUnsafeMutableBufferPointer { _ = window.takeDirtyPages(into: $0) }
    return words[0]
  }
}
