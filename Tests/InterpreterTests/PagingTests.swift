import KVMEngine
import Testing

@testable import Interpreter

/// Paging in all its forms (Intel SDM vol. 3, chapter 4).
@Suite(.serialized) struct PagingTests {
  /// 64-bit ring 0, the lowest 2 MiB for the supervisor, the next for everybody.
  private func rig(_ code: [UInt8], cr4: UInt64 = 0) throws -> Rig {
    let rig = try Rig()
    rig.long(code)
    rig.space.store(UInt64(0x83), at: 0x12000)
    rig.change { $0.cr4 |= cr4 }
    return rig
  }

  /// mov eax, [200000h]
  private static let load: [UInt8] = [0x8B, 0x04, 0x25, 0, 0, 0x20, 0]

  @Test func supervisorsMayBeKeptFromUserData() throws {
    var rig = try rig(Self.load, cr4: Bits.smap)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack64(0) == 1)
    // stac; load; clac; load
    rig = try self.rig(
      [0x0F, 0x01, 0xCB] + Self.load + [0x0F, 0x01, 0xCA] + Self.load, cr4: Bits.smap)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack64(1) == 0x7C0D)
  }

  @Test func supervisorsMayBeKeptFromUserCode() throws {
    // mov eax, 200000h; jmp rax
    let rig = try rig([0xB8, 0, 0, 0x20, 0, 0xFF, 0xE0], cr4: Bits.smep)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack64(0) == 0x11)
    #expect(rig.stack64(1) == 0x200000)
  }

  @Test func pagesMayBeNoCode() throws {
    let rig = try rig([0xB8, 0, 0, 0x20, 0, 0xFF, 0xE0])
    rig.space.store(UInt64(1) << 63 | 0x20_0087, at: 0x12008)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack64(0) == 0x11)
  }

  @Test(arguments: [UInt64(1) << 50, 0x4000]) func reservedBitsAreToldApart(bit: UInt64) throws {
    let rig = try rig(Self.load)
    rig.space.store(bit | 0x20_0087, at: 0x12008)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack64(0) == 9)
  }

  @Test func gigabytePagesTranslate() throws {
    // mov eax, [40200000h]
    let rig = try rig([0x8B, 0x04, 0x25, 0, 0, 0x20, 0x40, 0xF4])
    rig.space.store(UInt64(0x87), at: 0x11008)
    rig.space.store(UInt32(0xABCD), at: 0x20_0000)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rax == 0xABCD)
    #expect(rig.space.load(0x11008, as: UInt64.self) == 0xA7)
  }

  @Test func globalPagesGoWithTheirFeature() throws {
    // load; mov rbx, cr4; and bl, 7Fh; mov cr4, rbx; load; hlt
    let rig = try rig(
      Self.load + [0x0F, 0x20, 0xE3, 0x80, 0xE3, 0x7F, 0x0F, 0x22, 0xE3] + Self.load + [0xF4],
      cr4: Bits.pge)
    rig.space.store(UInt64(0x20_0187), at: 0x12008)
    rig.space.store(UInt32(1), at: 0x20_0000)
    rig.space.store(UInt32(2), at: 0x40_0000)
    _ = rig.processor.run(instructions: 1)
    #expect(rig.processor.registers().rax == 1)
    rig.space.store(UInt64(0x40_0187), at: 0x12008)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rax == 2)
  }

  @Test func pagesThatWereInvalidatedBeforeAreForgottenToo() throws {
    // invlpg [rbx]; mov eax, [rbx]; mov rdx, cr3; mov cr3, rdx; mov eax, [rbx]; hlt
    let rig = try rig([
      0x0F, 0x01, 0x3B, 0x8B, 0x03, 0x0F, 0x20, 0xDA, 0x0F, 0x22, 0xDA, 0x8B, 0x03, 0xF4,
    ])
    rig.space.store(UInt32(1), at: 0x20_0000)
    rig.space.store(UInt32(2), at: 0x40_0000)
    rig.set { $0.rbx = 0x20_0000 }
    _ = rig.processor.run(instructions: 2)
    #expect(rig.processor.registers().rax == 1)
    rig.space.store(UInt64(0x40_0087), at: 0x12008)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rax == 2)
  }

  @Test(arguments: UInt64(0)..<4) func contextsAreInvalidated(kind: UInt64) throws {
    // load; invpcid rcx, [rbx]; load; hlt
    let rig = try rig(
      Self.load + [0x66, 0x0F, 0x38, 0x82, 0x0B] + Self.load + [0xF4])
    rig.space.store(UInt32(1), at: 0x20_0000)
    rig.space.store(UInt32(2), at: 0x40_0000)
    rig.space.store(UInt64(0x20_0000), at: 0x5008)
    rig.set {
      $0.rbx = 0x5000; $0.rcx = kind
    }
    _ = rig.processor.run(instructions: 1)
    rig.space.store(UInt64(0x40_0087), at: 0x12008)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(rig.processor.registers().rax == 2)
  }

  @Test func contextsOfNoKindAreProtectionFaults() throws {
    let rig = try rig([0x66, 0x0F, 0x38, 0x82, 0x0B])
    rig.set {
      $0.rbx = 0x5000; $0.rcx = 4
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
  }

  @Test func processContextsNeedACleanStart() throws {
    // mov cr4, rax; mov cr3, rbx; hlt
    let code: [UInt8] = [0x0F, 0x22, 0xE0, 0x0F, 0x22, 0xDB, 0xF4]
    var rig = try rig(code)
    rig.set {
      $0.rax = 0x220 | Bits.pcide; $0.rbx = 1 << 63 | 0x10005
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(rig.processor.systemRegisters().cr3 == 0x10005)
    rig = try self.rig(code)
    rig.change { $0.cr3 |= 8 }
    rig.set { $0.rax = 0x220 | Bits.pcide }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
    rig = try self.rig(code)
    rig.set {
      $0.rax = 0x220; $0.rbx = 1 << 63 | 0x10000
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
  }

  /// Two contexts whose page 200000h differs: context 1 from 10000h on has 200000h there, context 2
  /// from 14000h on 400000h; both have a global page at 600000h.
  private func contexts(_ code: [UInt8]) throws -> Rig {
    let rig = try rig(code, cr4: Bits.pge | Bits.pcide)
    for (index, entry) in [UInt64(0x15007), 0x16007].enumerated() {
      rig.space.store(entry, at: 0x14000 + UInt64(index) * 0x1000)
    }
    rig.space.store(UInt64(0x83), at: 0x16000)
    rig.space.store(UInt64(0x40_0087), at: 0x16008)
    for table in [UInt64(0x12000), 0x16000] {
      rig.space.store(UInt64(0x60_0187), at: table + 24)
      rig.space.store(UInt64(0x80_0087), at: table + 32)
    }
    for (index, page) in [UInt64(0x20_0000), 0x40_0000, 0x60_0000, 0x80_0000].enumerated() {
      rig.space.store(UInt32(index + 1), at: page)
    }
    rig.change { $0.cr3 = 0x10001 }
    rig.set {
      ($0.rbx, $0.rsi, $0.rdi) = (0x20_0000, 1 << 63 | 0x10001, 1 << 63 | 0x14002)
      $0.rbp = 0x60_0000
    }
    return rig
  }
  /// mov cr3, rdi; mov cr3, rsi; mov eax, [rbx]
  private static let second: [UInt8] = [0x0F, 0x22, 0xDF]
  private static let first: [UInt8] = [0x0F, 0x22, 0xDE]
  private static let look: [UInt8] = [0x8B, 0x03]

  @Test func contextsKeepTheirTranslationsApart() throws {
    // look; second; mov ecx, [rbx]; first; mov edx, [rbx]; second; look; hlt
    let rig = try contexts(
      [0x8B, 0x03] + Self.second + [0x8B, 0x0B] + Self.first + [0x8B, 0x13] + Self.second
        + [0x44, 0x8B, 0x03, 0xF4])
    #expect(rig.processor.run() == .halted)
    let r = rig.processor.registers()
    #expect([r.rax, r.rcx, r.rdx, r.r8] == [1, 2, 1, 2])
    #expect(rig.processor.systemRegisters().cr3 == 0x14002)
  }

  @Test func codeOfAContextIsNotAnothers() throws {
    // call rbx; second; call rbx; first; call rbx; hlt: adds what lies there
    let rig = try contexts(
      [0xFF, 0xD3] + Self.second + [0xFF, 0xD3] + Self.first + [0xFF, 0xD3, 0xF4])
    // add eax, 1; ret and add eax, 100; ret
    rig.space.write(0x20_0000, bytes: [0x83, 0xC0, 1, 0xC3])
    rig.space.write(0x40_0000, bytes: [0x83, 0xC0, 100, 0xC3])
    rig.set { $0.rax = 0 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(rig.processor.registers().rax == 102)
  }

  @Test func aContextLoadedWithoutBit63IsForgotten() throws {
    // look; second; mov cr3, r9 (the first, flushing); look; hlt
    let rig = try contexts(
      Self.look + Self.second + [0x41, 0x0F, 0x22, 0xD9] + Self.look + [0xF4])
    rig.set { $0.r9 = 0x10001 }
    _ = rig.processor.run(instructions: 1)
    rig.space.store(UInt64(0x80_0087), at: 0x12008)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rax == 4)
  }

  struct Invalidation: Sendable {
    /// The type, the context and the linear address of INVPCID.
    let kind: UInt64
    let context: UInt64
    let address: UInt64
    /// It is carried out in the first context, not in the second.
    let isCurrent: Bool
    /// What the changed pages at 200000h and 600000h (a global one) are read as afterwards: 0 for
    /// either.
    let local: UInt64
    let global: UInt64
  }

  private static let invalidations = [
    Invalidation(kind: 0, context: 1, address: 0x20_0000, isCurrent: true, local: 4, global: 0),
    Invalidation(kind: 0, context: 1, address: 0x20_0000, isCurrent: false, local: 4, global: 0),
    Invalidation(kind: 1, context: 1, address: 0, isCurrent: true, local: 4, global: 0),
    Invalidation(kind: 1, context: 1, address: 0, isCurrent: false, local: 4, global: 0),
    Invalidation(kind: 2, context: 0, address: 0, isCurrent: true, local: 4, global: 4),
    Invalidation(kind: 2, context: 0, address: 0, isCurrent: false, local: 4, global: 4),
    Invalidation(kind: 3, context: 0, address: 0, isCurrent: true, local: 4, global: 0),
    Invalidation(kind: 3, context: 0, address: 0, isCurrent: false, local: 4, global: 0),
  ]

  /// Both pages are read in the first context, then changed; INVPCID in the first or the second; then
  /// both are read in the first again, whose other translations may be kept.
  @Test(arguments: invalidations) func invalidationsReachTheirContext(_ what: Invalidation) throws {
    let nothing: [UInt8] = [0x90, 0x90, 0x90]
    // mov edx, [rbp]; invpcid rcx, [r12]; mov r8d, [rbp]
    let rig = try contexts(
      Self.look + [0x8B, 0x55, 0x00] + (what.isCurrent ? nothing : Self.second)
        + [0x66, 0x41, 0x0F, 0x38, 0x82, 0x0C, 0x24] + (what.isCurrent ? nothing : Self.first)
        + Self.look + [0x44, 0x8B, 0x45, 0x00, 0xF4])
    rig.space.store(what.context, at: 0x5000)
    rig.space.store(what.address, at: 0x5008)
    rig.set {
      $0.rcx = what.kind; $0.r12 = 0x5000
    }
    _ = rig.processor.run(instructions: 2)
    #expect(rig.processor.registers().rax == 1)
    #expect(rig.processor.registers().rdx == 3)
    rig.space.store(UInt64(0x80_0087), at: 0x12008)
    for table in [UInt64(0x12000), 0x16000] { rig.space.store(UInt64(0x80_0187), at: table + 24) }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(rig.processor.registers().rax == what.local)
    let global = rig.processor.registers().r8
    #expect(what.global == 0 ? global == 3 || global == 4 : global == what.global)
  }

  @Test func processContextsAreOffered() {
    #expect(HostCPUID.result(1, 0).ecx & 1 << 17 != 0)
    #expect(HostCPUID.result(7, 0).ebx & 1 << 10 != 0)
  }

  /// 32-bit code under PAE: pointers at 10000h, one directory with 2 MiB pages.
  private func pae(_ code: [UInt8], pointer: UInt64 = 0x11001) throws -> Rig {
    let rig = try Rig()
    rig.protected(code)
    rig.space.store(pointer, at: 0x10000)
    for page in UInt64(0)..<8 { rig.space.store(page << 21 | 0x87, at: 0x11000 + page * 8) }
    rig.change {
      $0.cr4 |= Bits.pae; $0.efer = Bits.nxe; $0.cr3 = 0x10000
    }
    return rig
  }

  /// mov eax, cr0; bts eax, 31; mov cr0, eax; mov eax, [400000h]; hlt
  private static let enable: [UInt8] = [
    0x0F, 0x20, 0xC0, 0x0F, 0xBA, 0xE8, 31, 0x0F, 0x22, 0xC0, 0xA1, 0, 0, 0x40, 0, 0xF4,
  ]

  @Test func physicalAddressExtensionTranslates() throws {
    let rig = try pae(Self.enable)
    rig.space.store(UInt64(0x60_0087), at: 0x11010)
    rig.space.store(UInt32(77), at: 0x60_0000)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
    #expect(rig.processor.registers().rax == 77)
  }

  @Test func pointersWithReservedBitsAreRefusedWhenLoaded() throws {
    let rig = try pae(Self.enable, pointer: 0x11003)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
  }

  @Test func pointersAreLoadedWithTheDirectoryBase() throws {
    // after paging is on: change the table; the load still goes the old way, until mov cr3
    let rig = try pae(
      Array(Self.enable.dropLast()) + [
        0x0F, 0x20, 0xDB, 0x0F, 0x22, 0xDB, 0xA1, 0, 0, 0, 0x40, 0xF4,
      ])
    _ = rig.processor.run(instructions: 4)
    rig.space.store(UInt64(0x13001), at: 0x10008)
    rig.space.store(UInt64(0x87), at: 0x13000)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == nil)
  }

  @Test func largePagesReachAbove4GiB() throws {
    // mov eax, [400000h] by a 4 MiB page with reserved bit 21
    let rig = try Rig()
    rig.protected([0xA1, 0, 0, 0x40, 0], paging: true)
    rig.change { $0.cr4 |= Bits.pse }
    rig.space.store(UInt32(0x60_0087), at: 0x10004)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack32(0) == 9)
  }

  @Test func repeatedStringsRestartWhereTheyFaulted() throws {
    // rep movsb towards a page that is not there
    let rig = try Rig()
    rig.protected([0xF3, 0xA4], paging: true)
    rig.space.store(UInt32(0), at: 0x11000 + 0x101 * 4)
    rig.set {
      $0.rsi = 0x50000; $0.rdi = 0x100FF0; $0.rcx = 100
    }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.processor.registers().rcx == 84)
    #expect(rig.processor.registers().rdi == 0x101000)
    #expect(rig.processor.registers().rsi == 0x50010)
    #expect(rig.stack32(1) == 0x7C00)
    #expect(rig.stack32(3) & UInt32(RFlag.resume) != 0)
  }
}
