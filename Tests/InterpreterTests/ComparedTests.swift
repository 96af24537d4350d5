import KVMEngine
import Testing

@testable import Interpreter

/// What comparisons with the host's processor, and with QEMU's in software, found to be wrong once.
@Suite(.serialized) struct ComparedTests {
  @Test func enablingInterruptsDoesNotHoldAStep() throws {
    let rig = try Rig()
    // sti; nop, with TF
    rig.protected([0xFB, 0x90])
    rig.set { $0.rflags = 0x102 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.stack32(0) == 0x7C01)
  }

  @Test func anInterruptTakesThePlaceOfAStep() throws {
    var rig = try Rig()
    // int 80h, with TF
    rig.protected([0xCD, 0x80])
    rig.set { $0.rflags = 0x102 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    // into, which is not taken; nop
    rig = try Rig()
    rig.protected([0xCE, 0x90])
    rig.set { $0.rflags = 0x102 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 1)
    #expect(rig.stack32(0) == 0x7C01)
  }

  @Test func sixteenBitTasksTakeTheWideSegmentsAway() throws {
    let rig = try Rig()
    // jmp 30h:0
    rig.protected([0xEA, 0, 0, 0, 0, 0x30, 0])
    rig.addDescriptors(Rig.descriptor(0x23000, limit: 43, rights: 0x81))
    for (offset, value) in [(14, 0x9000), (16, 2), (26, 0x5F00), (34, 0x10), (36, 8), (38, 0x10)] {
      rig.space.store(UInt16(value), at: 0x23000 + UInt64(offset))
    }
    rig.space.store(UInt16(0x10), at: 0x23000 + 40)
    rig.space.write(0x9000, bytes: [0xF4])
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rip == 0x9001)
    #expect(rig.processor.systemRegisters().ds.selector == 0x10)
    #expect(rig.processor.systemRegisters().fs.selector == 0)
    #expect(rig.processor.systemRegisters().gs.selector == 0)
  }

  @Test func changesAcrossPagesFaultAtTheSecondPagesStart() throws {
    let rig = try Rig()
    // add [200FFEh], eax: the second page is not there
    rig.protected([0x01, 0x05, 0xFE, 0x0F, 0x20, 0], paging: true)
    rig.space.store(UInt32(0), at: 0x11000 + 0x201 * 4)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack32(0) == 2)
    #expect(rig.processor.systemRegisters().cr2 == 0x20_1000)
  }

  @Test func doubleShiftsAskForAPageToWriteTo() throws {
    let rig = try Rig()
    // shld [200000h], eax, 3
    rig.protected([0x0F, 0xA4, 0x05, 0, 0, 0x20, 0, 3], paging: true)
    rig.space.store(UInt32(0), at: 0x11000 + 0x200 * 4)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack32(0) == 2)
  }

  // MARK: x87 and MMX

  /// 64-bit code with x87 exceptions as the processor's own.
  private func rig(_ code: [UInt8]) throws -> Rig {
    let rig = try Rig()
    rig.long(code)
    rig.change { $0.cr0 |= Bits.ne }
    return rig
  }

  /// fxrstor [5000h]
  private static let load: [UInt8] = [0x0F, 0xAE, 0x0C, 0x25, 0, 0x50, 0, 0]

  private func store(_ control: UInt16, _ status: UInt16, in rig: Rig) {
    rig.space.store(control, at: 0x5000)
    rig.space.store(status, at: 0x5002)
    rig.space.store(UInt32(0x1F80), at: 0x5018)
  }

  @Test func aVectorStoreThatFaultsLeavesTheStackAlone() throws {
    // fninit; movq [2000000h], mm0
    let rig = try rig([0xDB, 0xE3, 0x0F, 0x7F, 0x04, 0x25, 0, 0, 0, 2])
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.processor.cpu.fpu.load(fromByteOffset: 4, as: UInt8.self) == 0)
  }

  @Test(arguments: [
    (UInt16(0x37F), UInt16(0x8080), UInt64(0)), (0x37E, 1, 0x8081), (0x37F, 0x8095, 0x15),
  ])
  func summaryBitsFollowFlagsAndMasks(control: UInt16, status: UInt16, seen: UInt64) throws {
    // fxrstor; fnstsw ax; hlt
    let rig = try rig(Self.load + [0xDF, 0xE0, 0xF4])
    store(control, status, in: rig)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rax & 0xFFFF == seen)
  }

  @Test func encodingsThatOnlyProcessorsKnowAreExecuted() throws {
    // fninit; fld1; fldz; fxch st1 as DD C9; fstp qword [5000h]; fstp st0 as DF D0; hlt
    let rig = try rig([
      0xDB, 0xE3, 0xD9, 0xE8, 0xD9, 0xEE, 0xDD, 0xC9, 0xDD, 0x1C, 0x25, 0, 0x50, 0, 0, 0xDF, 0xD0,
      0xF4,
    ])
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(Double(bitPattern: rig.space.load(0x5000, as: UInt64.self)) == 1)
    #expect(rig.processor.cpu.fpu.load(fromByteOffset: 4, as: UInt8.self) == 0)
  }

  @Test func conversionsFromMemoryAreNotOfMMX() throws {
    // fxrstor with an exception that waits; cvtpi2ps xmm0, [5200h]; hlt
    var rig = try rig(Self.load + [0x0F, 0x2A, 0x04, 0x25, 0, 0x52, 0, 0, 0xF4])
    store(0x37E, 1, in: rig)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    // From a register they are.
    rig = try self.rig(Self.load + [0x0F, 0x2A, 0xC0, 0xF4])
    store(0x37E, 1, in: rig)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 16)
  }

  @Test func theUnitsPointersAreTheGuests() throws {
    // fninit; fld dword [5000h]; emms; fnstenv [5100h]; hlt
    let rig = try rig([
      0xDB, 0xE3, 0xD9, 0x04, 0x25, 0, 0x50, 0, 0, 0x0F, 0x77, 0xD9, 0x34, 0x25, 0, 0x51, 0, 0,
      0xF4,
    ])
    #expect(rig.processor.run() == .halted)
    #expect(rig.space.load(0x510C, as: UInt32.self) == 0x7C02)
    #expect(rig.space.load(0x5110, as: UInt32.self) == 0x0104_0000)
    #expect(rig.space.load(0x5114, as: UInt32.self) == 0x5000)
  }
}
