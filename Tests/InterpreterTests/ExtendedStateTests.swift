import KVMEngine
import Testing

@testable import Interpreter

/// XCR0, XSAVE and its like, and who may use AVX (Intel SDM vol. 1, chapter 13).
@Suite(.serialized) struct ExtendedStateTests {
  private static let area: UInt64 = 0x5000

  /// 64-bit ring 0 with CR4.OSFXSR and OSXSAVE, RAX and RDX all ones, RBX at the area, RCX 0.
  private func rig(_ code: [UInt8], xcr0: UInt64 = 7) throws -> Rig {
    try #require(HostCPUID.vectorState == 7, "this host has no AVX")
    let rig = try Rig()
    rig.long(code)
    var system = rig.processor.systemRegisters()
    system.cr4 |= Bits.osfxsr | Bits.osxmmexcpt | Bits.osxsave
    rig.processor.setSystemRegisters(system)
    rig.processor.cpu.s.pointee.xcr0 = xcr0
    rig.set {
      ($0.rax, $0.rdx, $0.rbx, $0.rcx) = (0xFFFF_FFFF, 0xFFFF_FFFF, Self.area, 0)
    }
    return rig
  }

  /// vpcmpeqd ymm1, ymm1, ymm1
  private static let ones: [UInt8] = [0xC5, 0xF5, 0x76, 0xC9]

  @Test func wideVectorsAreSavedAndComeBack() throws {
    // ones; xsave [rbx]; vzeroall; xrstor [rbx]; hlt
    let rig = try rig(
      Self.ones + [0x0F, 0xAE, 0x23, 0xC5, 0xFC, 0x77, 0x0F, 0xAE, 0x2B, 0xF4])
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(rig.space.load(Self.area + 512, as: UInt64.self) == 7)
    #expect(rig.space.load(Self.area + 160 + 16, as: UInt64.self) == .max)
    #expect(rig.space.load(Self.area + 576 + 16, as: UInt64.self) == .max)
    let fpu = rig.processor.cpu.fpu
    #expect(fpu.load(fromByteOffset: 160 + 16, as: UInt64.self) == .max)
    #expect(fpu.load(fromByteOffset: 576 + 24, as: UInt64.self) == .max)
  }

  @Test func compactImagesSayWhatTheyHold() throws {
    // ones; xsavec [rbx]; vzeroall; xrstor [rbx]; hlt
    let rig = try rig(
      Self.ones + [0x0F, 0xC7, 0x23, 0xC5, 0xFC, 0x77, 0x0F, 0xAE, 0x2B, 0xF4])
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(rig.space.load(Self.area + 512, as: UInt64.self) == 7)
    #expect(rig.space.load(Self.area + 520, as: UInt64.self) == 0x8000_0000_0000_0007)
    #expect(rig.processor.cpu.fpu.load(fromByteOffset: 576 + 16, as: UInt64.self) == .max)
  }

  @Test func whatAnImageLacksBecomesInitial() throws {
    // ones; xrstor [rbx] (an empty image with an MXCSR of 1F80h); hlt
    let rig = try rig(Self.ones + [0x0F, 0xAE, 0x2B, 0xF4])
    rig.space.store(UInt32(0x1F80), at: Self.area + 24)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(rig.processor.cpu.fpu.load(fromByteOffset: 160 + 16, as: UInt64.self) == 0)
    #expect(rig.processor.cpu.fpu.load(fromByteOffset: 576 + 16, as: UInt64.self) == 0)
    #expect(rig.processor.cpu.fpu.load(as: UInt16.self) == 0x37F)
  }

  private static let bad: [(UInt64, UInt64)] = [
    (512, 8), (520, 1), (528, 1), (520, 0x8000_0000_0000_0008), (24, 0x10000),
  ]

  @Test(arguments: bad)
  func badImagesAreProtectionFaults(place: UInt64, value: UInt64) throws {
    let rig = try rig([0x0F, 0xAE, 0x2B, 0xF4])
    rig.space.store(value, at: Self.area + place)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
  }

  @Test func theAreaIsAligned() throws {
    let rig = try rig([0x0F, 0xAE, 0x23, 0xF4])
    rig.set { $0.rbx = Self.area + 16 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
  }

  @Test func vectorsWaitForTheSystemToEnableThem() throws {
    var rig = try rig(Self.ones + [0xF4], xcr0: 3)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 6)
    rig = try self.rig(Self.ones + [0xF4])
    var system = rig.processor.systemRegisters()
    system.cr4 &= ~Bits.osxsave
    rig.processor.setSystemRegisters(system)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 6)
    rig = try self.rig(Self.ones + [0xF4])
    system = rig.processor.systemRegisters()
    system.cr0 |= Bits.ts
    rig.processor.setSystemRegisters(system)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 7)
  }

  @Test(arguments: [
    (UInt64(7), true), (3, true), (1, true), (0, false), (5, false), (0x207, false),
  ])
  func extendedControlTakesWhatGoesTogether(value: UInt64, isAllowed: Bool) throws {
    // xsetbv; xgetbv; hlt
    let rig = try rig([0x0F, 0x01, 0xD1, 0x0F, 0x01, 0xD0, 0xF4])
    rig.set {
      $0.rax = value; $0.rdx = 0
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == (isAllowed ? nil : 13))
    if isAllowed { #expect(rig.processor.registers().rax == value) }
  }

  @Test func identificationFollowsTheControlRegisters() throws {
    // cpuid; hlt
    let rig = try rig([0x0F, 0xA2, 0xF4], xcr0: 3)
    rig.set { $0.rax = 13 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rbx == 576)
    #expect(rig.processor.registers().rcx == 832)
    rig.processor.cpu.s.pointee.xcr0 = 7
    rig.set {
      ($0.rax, $0.rcx, $0.rip) = (13, 0, Rig.code)
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rbx == 832)
    rig.set {
      ($0.rax, $0.rcx, $0.rip) = (1, 0, Rig.code)
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rcx & 1 << 27 != 0)
  }

  @Test func masksKeepFaultsAway() throws {
    // vmaskmovps ymm2, ymm1, [rbx]; vmaskmovps [rbx], ymm1, ymm2; hlt
    let rig = try rig([0xC4, 0xE2, 0x75, 0x2C, 0x13, 0xC4, 0xE2, 0x75, 0x2E, 0x13, 0xF4])
    // The last 8 bytes of the last page that there is: elements 2 to 7 lie beyond.
    rig.set { $0.rbx = (16 << 20) - 8 }
    rig.space.store(UInt64(0x1111_2222_3333_4444), at: (16 << 20) - 8)
    let fpu = rig.processor.cpu.fpu
    fpu.storeBytes(of: UInt64(0x8000_0000_8000_0000), toByteOffset: 176, as: UInt64.self)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(fpu.load(fromByteOffset: 192, as: UInt64.self) == 0x1111_2222_3333_4444)
    fpu.storeBytes(of: UInt64(0x8000_0000), toByteOffset: 184, as: UInt64.self)
    rig.set { $0.rip = Rig.code }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
  }

  @Test func anImageWithAPendingExceptionIsTheGuestsFault() throws {
    // fxrstor [rbx]; fld1; hlt: invalid operation raised and unmasked, the summary bit clear
    let rig = try rig([0x0F, 0xAE, 0x0B, 0xD9, 0xE8, 0xF4])
    var system = rig.processor.systemRegisters()
    system.cr0 |= Bits.ne
    rig.processor.setSystemRegisters(system)
    rig.space.store(UInt32(0x0001_037E), at: Self.area)
    rig.space.store(UInt32(0x1F80), at: Self.area + 24)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 16)
  }

  @Test func unmaskedExceptionsOfMixedConversionsAreTheGuests() throws {
    // cvtps2pi mm0, xmm1 with a NaN and invalid operation unmasked
    let rig = try rig([0x0F, 0x2D, 0xC1, 0xF4])
    let fpu = rig.processor.cpu.fpu
    fpu.storeBytes(of: UInt32(0x1F00), toByteOffset: 24, as: UInt32.self)
    fpu.storeBytes(of: Float.nan.bitPattern, toByteOffset: 176, as: UInt32.self)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 19)
  }
}
