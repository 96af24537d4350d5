import KVMEngine
import Testing

@testable import Interpreter

/// Breakpoints, single steps, alignment checks, virtual interrupts and other rules of the moment
/// between two instructions (Intel SDM vol. 3, chapters 6, 18 and 21).
@Suite(.serialized) struct DebugTests {
  private func rig(
    _ code: [UInt8], dr7: UInt64, at address: UInt64, ring: UInt8 = 0
  ) throws -> Rig {
    let rig = try Rig()
    rig.protected(code, ring: ring)
    let s = rig.processor.cpu.s
    s.pointee.dr0 = address
    s.pointee.dr7 = 0x400 | dr7
    rig.processor.cpu.breakpointsChanged()
    return rig
  }

  private func status(_ rig: Rig) -> UInt64 { rig.processor.cpu.s.pointee.dr6 & 0xE00F }

  @Test func breakpointsOnCodeStopBeforeTheInstruction() throws {
    // inc eax; inc eax; hlt
    let rig = try rig([0x40, 0x40, 0xF4], dr7: 1, at: 0x7C01)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.stack32(0) == 0x7C01)
    #expect(rig.stack32(2) & UInt32(RFlag.resume) != 0)
    #expect(rig.processor.registers().rax == 1)
    #expect(status(rig) == 1)
  }

  @Test func theResumeFlagPassesABreakpointOnce() throws {
    // inc eax; jmp back, with RF set at first
    let rig = try rig([0x40, 0xEB, 0xFD], dr7: 1, at: 0x7C00)
    rig.set { $0.rflags = 2 | RFlag.resume }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.processor.registers().rax == 1)
  }

  @Test(arguments: [
    // mov [5002h], al within a watched dword; mov al, [5002h]: no write, then an access
    ([UInt8]([0xA2, 2, 0x50, 0, 0, 0xF4]), UInt64(0xD_0001), true),
    ([0xA0, 2, 0x50, 0, 0, 0xF4], 0xD_0001, false), ([0xA0, 2, 0x50, 0, 0, 0xF4], 0xF_0001, true),
    // mov [5004h], al: beyond
    ([0xA2, 4, 0x50, 0, 0, 0xF4], 0xD_0001, false),
    // mov [4FFDh], eax: the last byte
    ([0xA3, 0xFD, 0x4F, 0, 0, 0xF4], 0xD_0001, true),
  ])
  func watchedDataTrapsAfterTheInstruction(code: [UInt8], dr7: UInt64, traps: Bool) throws {
    let rig = try rig(code, dr7: dr7, at: 0x5000)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == (traps ? 1 : nil))
    if traps {
      #expect(rig.stack32(0) == 0x7C05)
      #expect(status(rig) == 1)
    }
  }

  @Test func watchedDataStopsARepeatedStringInBetween() throws {
    // rep stosb
    let rig = try rig([0xF3, 0xAA, 0xF4], dr7: 0x1_0001, at: 0x5003)
    rig.set {
      $0.rdi = 0x5000; $0.rcx = 8
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.processor.registers().rcx == 4)
    #expect(rig.stack32(0) == 0x7C00)
  }

  @Test func portsAreWatchedWithTheirFeature() throws {
    // in al, 80h
    let rig = try rig([0xE4, 0x80, 0xF4], dr7: 0x2_0001, at: 0x80)
    rig.change { $0.cr4 |= Bits.de }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.stack32(0) == 0x7C02)
  }

  @Test func debugRegistersMayBeGuarded() throws {
    // mov eax, dr0
    let rig = try rig([0x0F, 0x21, 0xC0, 0xF4], dr7: 0x2000, at: 0)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.stack32(0) == 0x7C00)
    #expect(status(rig) == 0x2000)
    #expect(rig.processor.cpu.s.pointee.dr7 & 0x2000 == 0)
  }

  @Test func stepsComeOncePerRepetition() throws {
    let rig = try Rig()
    rig.protected([0xF3, 0xAA, 0xF4])
    rig.set {
      $0.rdi = 0x5000; $0.rcx = 3; $0.rflags = 0x102
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.processor.registers().rcx == 2)
  }

  @Test func stackSegmentsHoldTrapsForOneInstruction() throws {
    // mov ss, ax; mov esp, 6800h; hlt
    let rig = try Rig()
    rig.protected([0x8E, 0xD0, 0xBC, 0, 0x68, 0, 0, 0xF4])
    rig.set {
      $0.rax = 0x10; $0.rflags = 0x102
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.stack32(0) == 0x7C07)
    #expect(rig.processor.registers().rsp == 0x6800 - 12)
  }

  // MARK: Alignment

  @Test(arguments: [(UInt64(0x5001), true), (0x5004, false)])
  func usersAskForAlignmentChecks(address: UInt64, faults: Bool) throws {
    // mov eax, [ebx]; int 80h
    let rig = try Rig()
    rig.protected([0x8B, 0x03, 0xCD, 0x80], ring: 3, paging: true)
    rig.change { $0.cr0 |= Bits.am }
    rig.set {
      $0.rbx = address; $0.rflags = 2 | RFlag.alignment
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == (faults ? 17 : 0x80))
    if faults {
      #expect(rig.stack32(0) == 0)
      #expect(rig.stack32(1) == 0x7C00)
    }
  }

  // MARK: Virtual 8086

  private func virtual8086(_ code: [UInt8], flags: UInt64 = 0) throws -> Rig {
    let rig = try Rig()
    rig.protected(code, ring: 3, paging: true)
    rig.set { $0.rflags = 0x20002 | flags }
    rig.change {
      $0.cs.base = 0
      $0.cs.selector = 0
      $0.cs.limit = 0xFFFF
      $0.cs.isBig = false
      $0.ss.base = 0
      $0.ss.selector = 0
      $0.ss.limit = 0xFFFF
      $0.ss.isBig = false
      $0.tr.limit = 0x1FF
      $0.cr4 |= Bits.vme
    }
    // The port map lies at 100h, the interrupts' before it.
    rig.space.store(UInt16(0x100), at: Rig.tss + 102)
    return rig
  }

  @Test func virtualInterruptsAreSwitchedWithoutTheMonitor() throws {
    // sti; pushf; cli; pushf
    let rig = try virtual8086([0xFB, 0x9C, 0xFA, 0x9C])
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rflags & (RFlag.virtualInterrupt | 0x200) == 0x80000)
    _ = rig.processor.run(instructions: 3)
    #expect(rig.space.load(0x6FFE, as: UInt16.self) == 0x3202)
    #expect(rig.space.load(0x6FFC, as: UInt16.self) == 0x3002)
  }

  @Test func aPendingInterruptIsForTheMonitor() throws {
    let rig = try virtual8086([0xFB], flags: RFlag.virtualPending)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
  }

  @Test func interruptsGoToTheProgramOrToTheMonitor() throws {
    // int 21h; handler: iret
    var rig = try virtual8086([0xCD, 0x21, 0x90], flags: RFlag.virtualInterrupt)
    rig.space.store(UInt32(0x0000_9000), at: 0x21 * 4)
    rig.space.write(0x9000, bytes: [0xCF])
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0x9000)
    #expect(rig.processor.registers().rflags & RFlag.virtualInterrupt == 0)
    #expect(rig.space.load(0x6FFE, as: UInt16.self) == 0x3202)
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0x7C02)
    #expect(rig.processor.registers().rflags & RFlag.virtualInterrupt != 0)
    rig = try virtual8086([0xCD, 0x21, 0x90])
    rig.space.store(UInt8(2), at: Rig.tss + 0x100 - 32 + 4)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
  }

  // MARK: Real mode and prefixes

  private func real(_ code: [UInt8], vector: UInt64) throws -> Rig {
    let rig = try Rig()
    rig.real(code)
    rig.space.store(UInt32(0x9000), at: vector * 4)
    rig.space.write(0x9000, bytes: [0xF4])
    return rig
  }

  @Test func aPushAcrossTheSegmentsStartIsAStackFault() throws {
    // push ax with SP 1
    let rig = try real([0x50], vector: 12)
    rig.set { $0.rsp = 1 }
    // The fault finds no room either, nor does the double fault.
    #expect(rig.processor.run() == .shutdown)
  }

  @Test func stacksWrapAtTheirEnd() throws {
    let rig = try real([0x50, 0xF4], vector: 12)
    rig.set {
      $0.rsp = 0; $0.rax = 0x1234
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rsp == 0xFFFE)
    #expect(rig.space.load(0xFFFE, as: UInt16.self) == 0x1234)
  }

  @Test func addressesWrapAtTheSegmentsEnd() throws {
    // mov al, [bx + 10h] with BX FFF8h
    let rig = try real([0x8A, 0x47, 0x10, 0xF4], vector: 13)
    rig.set { $0.rbx = 0xFFF8 }
    rig.space.store(UInt8(0x5A), at: 8)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rax & 0xFF == 0x5A)
  }

  @Test(arguments: [
    [UInt8]([0xF0, 0x89, 0x03]), [0xF0, 0x01, 0xC3], [0xF0, 0x39, 0x03], [0xF0, 0x90],
    [0xF0, 0x0F, 0xA3, 0x03], [0xF0, 0x0F, 0xAE, 0x23],
  ])
  func lockGoesWithFewInstructions(code: [UInt8]) throws {
    let rig = try Rig()
    rig.protected(code)
    rig.set { $0.rbx = 0x5000 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 6)
  }

  @Test(arguments: [
    // monitor; mwait; a VEX prefix behind 66h; EVEX; the bytes of a reserved group
    [UInt8]([0x0F, 0x01, 0xC8]), [0x0F, 0x01, 0xC9], [0x66, 0xC5, 0xF8, 0x58, 0xC0],
    [0x62, 0xF1, 0x7C, 0x48, 0x58, 0xC0], [0x0F, 0xC7, 0xF8], [0x0F, 0xC7, 0x2B],
  ])
  func whatIsNotOfferedIsUndefined(code: [UInt8]) throws {
    let rig = try Rig()
    rig.long(code)
    rig.set { $0.rbx = 0x5000 }
    let hasSeed = code == [0x0F, 0xC7, 0xF8] && HostCPUID.hasSeed
    if hasSeed { rig.space.write(Rig.code + 3, bytes: [0x0F, 0x0B]) }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 6)
  }

  // MARK: Model-specific registers

  @Test func timeIsAdjustedInTwoWays() throws {
    let rig = try Rig()
    defer { withExtendedLifetime(rig) {} }
    let cpu = rig.processor.cpu
    #expect(cpu.setModelRegister(0x3B, 1 << 50))
    let now = try #require(cpu.modelRegister(0x10))
    #expect(now >= 1 << 50)
    #expect(cpu.setModelRegister(0x10, now &+ 1 << 50))
    let adjusted = try #require(cpu.modelRegister(0x3B))
    #expect(adjusted > (1 << 51) - (1 << 45) && adjusted <= 1 << 51)
  }

  @Test func modelRegistersRefuseWhatTheyDoNotKnow() throws {
    let rig = try Rig()
    defer { withExtendedLifetime(rig) {} }
    let cpu = rig.processor.cpu
    #expect(cpu.modelRegister(0x1234_5678) == nil)
    #expect(!cpu.setModelRegister(0x1234_5678, 0))
    #expect(!cpu.setModelRegister(0x277, 2))
    #expect(!cpu.setModelRegister(0xFE, 0))
    #expect(!cpu.setModelRegister(0xC000_0080, 1 << 14))
    #expect(!cpu.setModelRegister(0x176, 1 << 60))
    #expect(cpu.setModelRegister(0x20F, 0x800))
    #expect(cpu.modelRegister(0x20F) == 0x800)
    #expect(cpu.modelRegister(0xFE) == 0x508)
    #expect(cpu.modelRegister(0x179) == 0)
  }
}
