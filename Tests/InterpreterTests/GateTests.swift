import KVMEngine
import Testing

@testable import Interpreter

/// Gates, privilege and tasks (Intel SDM vol. 3, chapters 5 and 8).
@Suite(.serialized) struct GateTests {
  /// call 33h:0 from ring 3, after two arguments.
  private static let call: [UInt8] = [0x6A, 0x11, 0x6A, 0x22, 0x9A, 0, 0, 0, 0, 0x33, 0]

  @Test func callGatesCopyArgumentsToTheInnerStackAndBack() throws {
    let rig = try Rig()
    rig.protected(Self.call, ring: 3)
    rig.addDescriptors(Rig.gate(8, 0x9000, rights: 0xEC, count: 2))
    // retf 8
    rig.space.write(0x9000, bytes: [0xCA, 8, 0])
    _ = rig.processor.run(instructions: 3)
    #expect(rig.processor.systemRegisters().cs.selector == 8)
    #expect(rig.processor.systemRegisters().ss.selector == 0x10)
    #expect(rig.processor.registers().rsp == 0x6000 - 24)
    #expect((0..<6).map { rig.stack32($0) } == [0x7C0B, 0x1B, 0x22, 0x11, 0x7000 - 8, 0x23])
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.systemRegisters().cs.selector == 0x1B)
    #expect(rig.processor.systemRegisters().ss.selector == 0x23)
    #expect(rig.processor.registers().rsp == 0x7000)
    #expect(rig.processor.registers().rip == 0x7C0B)
  }

  @Test(arguments: [
    (UInt64(0x8C), UInt64(13)), (0x6C, 11),
  ])
  func callGatesAreHeldToPrivilegeAndPresence(rights: UInt64, vector: UInt64) throws {
    let rig = try Rig()
    rig.protected(Self.call, ring: 3)
    rig.addDescriptors(Rig.gate(8, 0x9000, rights: rights))
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == vector)
    #expect(rig.stack32(0) == 0x30)
    #expect(rig.stack32(1) == 0x7C04)
  }

  @Test func sixteenBitGatesPushWords() throws {
    let rig = try Rig()
    rig.protected(Self.call, ring: 3)
    rig.addDescriptors(Rig.gate(8, 0x9000, rights: 0xE4, count: 1))
    _ = rig.processor.run(instructions: 3)
    #expect(rig.processor.registers().rip == 0x9000)
    #expect(rig.processor.registers().rsp == 0x6000 - 10)
    #expect(rig.stack32(0) == 0x001B_7C0B)
  }

  @Test func conformingCodeKeepsThePrivilege() throws {
    let rig = try Rig()
    // jmp 30h:9000h
    rig.protected([0xEA, 0, 0x90, 0, 0, 0x30, 0], ring: 3)
    rig.addDescriptors(Rig.descriptor(0, limit: 0xFFFFF, rights: 0x9F, flags: 0xC))
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0x9000)
    #expect(rig.processor.systemRegisters().cs.selector == 0x33)
  }

  @Test func returnsMayNotGoInwards() throws {
    let rig = try Rig()
    // push 8; push 9000h; retf in ring 3
    rig.protected([0x6A, 8, 0x68, 0, 0x90, 0, 0, 0xCB], ring: 3)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
    #expect(rig.stack32(0) == 8)
  }

  @Test func returningOutwardsTakesInnerSegmentsAway() throws {
    let rig = try Rig()
    // iretd to ring 3
    rig.protected([0xCF])
    for (index, value) in [UInt32(0x9000), 0x1B, 0x202, 0x5000, 0x23].enumerated() {
      rig.space.store(value, at: 0x7000 + UInt64(index) * 4)
    }
    _ = rig.processor.run(instructions: 1)
    let system = rig.processor.systemRegisters()
    #expect(system.cs.selector == 0x1B)
    #expect(system.ds.selector == 0)
    #expect(rig.processor.registers().rsp == 0x5000)
    #expect(rig.processor.registers().rflags == 0x202)
  }

  // MARK: Tasks

  private func tasks(_ code: [UInt8], rights: UInt64 = 0x89, limit: UInt64 = 103) throws -> Rig {
    let rig = try Rig()
    rig.protected(code)
    rig.addDescriptors(
      Rig.descriptor(0x23000, limit: limit, rights: rights),
      Rig.gate(0x30, 0, rights: 0xE5))
    rig.makeTask(at: 0x23000, rip: 0x9000)
    return rig
  }

  private func rights(_ rig: Rig, _ selector: UInt64) -> UInt8 {
    rig.space.load(Rig.gdt + selector + 5, as: UInt8.self)
  }

  @Test(arguments: [UInt8(0x30), 0x38]) func jumpsChangeTheTask(selector: UInt8) throws {
    let rig = try tasks([0xEA, 0, 0, 0, 0, selector, 0])
    rig.set { $0.rbx = 0x1234 }
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0x9000)
    #expect(rig.processor.registers().rsp == 0x5F00)
    let system = rig.processor.systemRegisters()
    #expect(system.tr.selector == 0x30)
    #expect(system.cr0 & Bits.ts != 0)
    #expect(rig.space.load(Rig.tss + 32, as: UInt32.self) == 0x7C07)
    #expect(rig.space.load(Rig.tss + 52, as: UInt32.self) == 0x1234)
    #expect(rights(rig, 0x28) == 0x89)
    #expect(rights(rig, 0x30) == 0x8B)
    #expect(rig.processor.registers().rflags & RFlag.nested == 0)
  }

  @Test func calledTasksReturnToTheirCaller() throws {
    let rig = try tasks([0x9A, 0, 0, 0, 0, 0x30, 0, 0xF4])
    rig.space.write(0x9000, bytes: [0xCF])
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rflags & RFlag.nested != 0)
    #expect(rig.space.load(0x23000, as: UInt16.self) == 0x28)
    #expect(rights(rig, 0x28) == 0x8B)
    #expect(rights(rig, 0x30) == 0x8B)
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0x7C07)
    #expect(rig.processor.systemRegisters().tr.selector == 0x28)
    #expect(rights(rig, 0x30) == 0x89)
    #expect(rights(rig, 0x28) == 0x8B)
    #expect(rig.processor.registers().rflags & RFlag.nested == 0)
    #expect(rig.processor.registers().rsp == 0x7000)
  }

  @Test(arguments: [
    (UInt64(0x8B), UInt64(103), UInt64(13)), (0x09, 103, 11), (0x89, 102, 10),
  ])
  func badTasksAreFaultsOfTheCaller(rights: UInt64, limit: UInt64, vector: UInt64) throws {
    let rig = try tasks([0xEA, 0, 0, 0, 0, 0x30, 0], rights: rights, limit: limit)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == vector)
    #expect(rig.stack32(0) == 0x30)
    #expect(rig.stack32(1) == 0x7C00)
  }

  @Test func faultsThroughTaskGatesPushTheirCode() throws {
    let rig = try tasks([0xB8, 0x50, 0, 0, 0, 0x8E, 0xD8])
    rig.space.store(Rig.gate(0x30, 0, rights: 0x85), at: Rig.idt + 13 * 8)
    _ = rig.processor.run(instructions: 2)
    #expect(rig.processor.registers().rip == 0x9000)
    #expect(rig.processor.registers().rsp == 0x5F00 - 4)
    #expect(rig.stack32(0) == 0x50)
    #expect(rig.space.load(Rig.tss + 32, as: UInt32.self) == 0x7C05)
  }

  @Test func sixteenBitTasksHaveSixteenBitState() throws {
    let rig = try tasks([0xEA, 0, 0, 0, 0, 0x30, 0], rights: 0x81, limit: 43)
    let base: UInt64 = 0x23000
    for offset in stride(from: UInt64(0), to: 44, by: 2) {
      rig.space.store(UInt16(0), at: base + offset)
    }
    let fields: [(UInt64, UInt16)] = [
      (14, 0x9000), (16, 2), (18, 0xBEEF), (26, 0x5F00), (34, 0x10), (36, 8), (38, 0x10),
      (40, 0x10),
    ]
    for (offset, value) in fields { rig.space.store(value, at: base + offset) }
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0x9000)
    #expect(rig.processor.registers().rax & 0xFFFF == 0xBEEF)
    #expect(rig.processor.systemRegisters().tr.selector == 0x30)
  }

  @Test func aTaskMayAskForATrap() throws {
    let rig = try tasks([0xEA, 0, 0, 0, 0, 0x30, 0])
    rig.space.store(UInt16(1), at: 0x23000 + 100)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.stack32(0) == 0x9000)
    #expect(rig.processor.cpu.s.pointee.dr6 & 0x8000 != 0)
  }

  // MARK: Fast calls

  @Test func sysenterAndSysexitChangeTheRing() throws {
    let rig = try Rig()
    rig.protected([0x0F, 0x34], ring: 3)
    rig.space.write(0x9000, bytes: [0x0F, 0x35])
    let cpu = rig.processor.cpu
    _ = cpu.setModelRegister(0x174, 8)
    _ = cpu.setModelRegister(0x175, 0x5000)
    _ = cpu.setModelRegister(0x176, 0x9000)
    rig.set {
      $0.rdx = 0xA000; $0.rcx = 0x5800
    }
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0x9000)
    #expect(rig.processor.registers().rsp == 0x5000)
    #expect(rig.processor.systemRegisters().cs.selector == 8)
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rip == 0xA000)
    #expect(rig.processor.registers().rsp == 0x5800)
    #expect(rig.processor.systemRegisters().cs.selector == 0x1B)
    #expect(rig.processor.systemRegisters().ss.selector == 0x23)
  }

  @Test func longModeReturnsToCompatibilityCode() throws {
    let rig = try Rig()
    // iretq to 32-bit code in ring 3: mov eax, esp; int 80h
    rig.long([0x48, 0xCF])
    rig.addDescriptors(Rig.descriptor(0, limit: 0xFFFFF, rights: 0xFB, flags: 0xC))
    rig.space.write(0x9000, bytes: [0x89, 0xE0, 0xCD, 0x80])
    for (index, value) in [UInt64(0x9000), 0x33, 0x202, 0x5000, 0x23].enumerated() {
      rig.space.store(value, at: 0x7000 + UInt64(index) * 8)
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    #expect(rig.processor.registers().rax == 0x5000)
    #expect(rig.stack64(0) == 0x9004)
    #expect(rig.stack64(1) == 0x33)
  }
}
