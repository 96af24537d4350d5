import KVMEngine
import Testing

@testable import Interpreter

/// User code that is interpreted first and goes to KVM when it turns out to compute. Where the host
/// has vector registers that the interpreter lacks, all of it goes to KVM, and the results are the
/// same.
@Suite(.serialized) struct UserShareTests {
  @Test func whatCallsTheSystemSoonStaysInTheInterpreter() throws {
    let rig = try Rig(hybrid: true, trials: true)
    // mov ebx, 1000; l: syscall; dec ebx; jnz l; int 80h     kernel: inc rbp; sysretq
    rig.long(
      [0xBB, 0xE8, 0x03, 0x00, 0x00, 0x0F, 0x05, 0xFF, 0xCB, 0x75, 0xFA, 0xCD, 0x80], ring: 3)
    rig.space.write(0x9000, bytes: [0x48, 0xFF, 0xC5, 0x48, 0x0F, 0x07])
    rig.setSystemCalls()
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    #expect(rig.processor.registers().rbp == 1000)
    #expect(rig.processor.registers().rcx == Rig.code + 7)
    #expect(rig.processor.userEntries == 0 || !UserShare.isSafe)
  }

  @Test func whatComputesGoesToTheUserEngine() throws {
    let rig = try Rig(hybrid: true, trials: true)
    // mov ecx, 1000000000; l: dec ecx; jnz l; int 80h
    rig.long([0xB9, 0x00, 0xCA, 0x9A, 0x3B, 0xFF, 0xC9, 0x75, 0xFC, 0xCD, 0x80], ring: 3)
    rig.set { $0.rflags = 0x202 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    #expect(rig.processor.registers().rcx == 0)
    #expect(rig.processor.userEntries == 1)
  }

  /// Code that computes for a while and then calls the system, over and over: its trials get rare.
  @Test func whatComputesEachTimeIsSeldomTried() throws {
    let rig = try Rig(hybrid: true, trials: true)
    // mov ebx, 100; l: mov ecx, 2000000; m: dec ecx; jnz m; syscall; dec ebx; jnz l; int 80h
    rig.long(
      [
        0xBB, 0x64, 0, 0, 0, 0xB9, 0x80, 0x84, 0x1E, 0, 0xFF, 0xC9, 0x75, 0xFC, 0x0F, 0x05, 0xFF,
        0xCB, 0x75, 0xF1, 0xCD, 0x80,
      ], ring: 3)
    rig.space.write(0x9000, bytes: [0x48, 0xFF, 0xC5, 0x48, 0x0F, 0x07])
    rig.setSystemCalls()
    let before = rig.processor.executedInstructions
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rbp == 100)
    #expect(rig.processor.userEntries == 101)
    #expect(rig.processor.executedInstructions - before < 20 * UInt64(UserShare.trial))
  }

  /// User code changes its own code natively; the next trial runs what is there now.
  @Test func codeThatWasWrittenInKVMIsSeenByTheNextTrial() throws {
    let rig = try Rig(hybrid: true, trials: true)
    let code: UInt64 = 0x40_0000
    // b: mov eax, imm32; syscall: so often that it stays in the interpreter
    // then a long loop, which is native, adds 1 to the immediate, and all of it again
    var bytes: [UInt8] = [0xBD, 0x32, 0, 0, 0]  // mov ebp, 50
    bytes += [0xBB, 0x14, 0, 0, 0]  // l: mov ebx, 20
    bytes += [0xB8, 0, 0, 0, 0]  // m: mov eax, 0 (its immediate is at code + 11)
    bytes += [0x0F, 0x05, 0xFF, 0xCB, 0x75, 0xF5]  // syscall; dec ebx; jnz m
    bytes += [0xB9, 0x40, 0x42, 0x0F, 0]  // mov ecx, 1000000
    bytes += [0xFF, 0xC9, 0x75, 0xFC]  // n: dec ecx; jnz n
    bytes += [0xFF, 0x04, 0x25, 0x0B, 0, 0x40, 0]  // inc dword [code + 11]
    bytes += [0xFF, 0xCD, 0x75, 0xDC, 0xCD, 0x80]  // dec ebp; jnz l; int 80h
    rig.long([0x90], ring: 3)
    rig.space.write(code, bytes: bytes)
    // kernel: add r15, rax; sysretq
    rig.space.write(0x9000, bytes: [0x49, 0x01, 0xC7, 0x48, 0x0F, 0x07])
    rig.setSystemCalls()
    rig.set { $0.rip = code }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    #expect(rig.processor.registers().r15 == UInt64(20 * (0..<50).reduce(0, +)))
  }

  /// What CPUID tells user code, and an instruction that the interpreter does not have.
  @Test func userCodeFindsTheHostsProcessor() throws {
    let native = try Rig(hybrid: true)
    let tried = try Rig(hybrid: true, trials: true)
    for rig in [native, tried] {
      // mov eax, 7; xor ecx, ecx; cpuid; int 80h
      rig.long([0xB8, 7, 0, 0, 0, 0x31, 0xC9, 0x0F, 0xA2, 0xCD, 0x80], ring: 3)
      #expect(rig.processor.run() == .halted)
      #expect(rig.halted == 0x80)
    }
    #expect(native.processor.registers() == tried.processor.registers())
  }

  /// Undefined for both is undefined.
  @Test func whatNobodyHasIsTheGuestsFault() throws {
    let rig = try Rig(hybrid: true, trials: true)
    rig.long([0x90, 0x0F, 0x0B], ring: 3)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 6)
    #expect(rig.stack64(0) == Rig.code + 1)
  }

  @Test func vectorRegistersTravelBetweenTrialAndUserEngine() throws {
    let rig = try Rig(hybrid: true, trials: true)
    // mov eax, 7; movd xmm3, eax; mov ecx, 1000000; l: dec ecx; jnz l; paddd xmm3, xmm3;
    // syscall; paddd xmm3, xmm3; movd ebp, xmm3; int 80h
    rig.long(
      [
        0xB8, 7, 0, 0, 0, 0x66, 0x0F, 0x6E, 0xD8, 0xB9, 0x40, 0x42, 0x0F, 0, 0xFF, 0xC9, 0x75, 0xFC,
        0x66, 0x0F, 0xFE, 0xDB, 0x0F, 0x05, 0x66, 0x0F, 0xFE, 0xDB, 0x66, 0x0F, 0x7E, 0xDD, 0xCD,
        0x80,
      ], ring: 3)
    rig.space.write(0x9000, bytes: [0x48, 0x0F, 0x07])
    rig.setSystemCalls()
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    #expect(rig.processor.registers().rbp == 28)
  }
}
