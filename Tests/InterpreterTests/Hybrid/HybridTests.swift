import Glibc
import KVMEngine
import Testing

@testable import Interpreter

/// 64-bit user code in this host's KVM, everything else in the interpreter: what goes from one to
/// the other and back.
@Suite(.serialized) struct HybridTests {
  @Test func aLoopOfUserCodeNeedsOneEntry() throws {
    let rig = try Rig(hybrid: true)
    // mov ecx, 1000000000; l: dec ecx; jnz l; int 80h
    rig.long([0xB9, 0x00, 0xCA, 0x9A, 0x3B, 0xFF, 0xC9, 0x75, 0xFC, 0xCD, 0x80], ring: 3)
    rig.set { $0.rflags = 0x202 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    #expect(rig.stack64(0) == Rig.code + 11)
    #expect(rig.stack64(1) == 0x1B)
    #expect(rig.stack64(2) & 0x3202 == 0x202)
    #expect(rig.stack64(3) == 0x7000)
    #expect(rig.stack64(4) == 0x23)
    #expect(rig.processor.registers().rcx == 0)
    #expect(rig.processor.userEntries == 1)
  }

  @Test func everyRegisterTravelsBothWays() throws {
    let rig = try Rig(hybrid: true)
    // not rax .. not r15 (but rsp), int 80h
    rig.long(
      [
        0x48, 0xF7, 0xD0, 0x48, 0xF7, 0xD3, 0x48, 0xF7, 0xD1, 0x48, 0xF7, 0xD2, 0x48, 0xF7, 0xD6,
        0x48, 0xF7, 0xD7, 0x48, 0xF7, 0xD5, 0x49, 0xF7, 0xD0, 0x49, 0xF7, 0xD1, 0x49, 0xF7, 0xD2,
        0x49, 0xF7, 0xD3, 0x49, 0xF7, 0xD4, 0x49, 0xF7, 0xD5, 0x49, 0xF7, 0xD6, 0x49, 0xF7, 0xD7,
        0xFD, 0xF9, 0xCD, 0x80,
      ],
      ring: 3)
    rig.set {
      ($0.rax, $0.rbx, $0.rcx, $0.rdx, $0.rsi, $0.rdi, $0.rbp) = (1, 2, 3, 4, 5, 6, 7)
      ($0.r8, $0.r9, $0.r10, $0.r11, $0.r12, $0.r13, $0.r14, $0.r15) = (
        8, 9, 10, 11, 12, 13, 14, 15
      )
    }
    #expect(rig.processor.run() == .halted)
    let r = rig.processor.registers()
    #expect([r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp] == (1...7).map { ~UInt64($0) })
    #expect([r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15] == (8...15).map { ~UInt64($0) })
    #expect(rig.stack64(2) & 0x401 == 0x401)
    #expect(rig.stack64(2) & 0x200 == 0)
  }

  @Test func systemCallsGoToTheInterpreterAndBack() throws {
    let rig = try Rig(hybrid: true)
    // mov ebx, 1000; l: syscall; dec ebx; jnz l; int 80h     kernel: inc rbp; sysretq
    rig.long(
      [0xBB, 0xE8, 0x03, 0x00, 0x00, 0x0F, 0x05, 0xFF, 0xCB, 0x75, 0xFA, 0xCD, 0x80], ring: 3)
    rig.space.write(0x9000, bytes: [0x48, 0xFF, 0xC5, 0x48, 0x0F, 0x07])
    rig.setSystemCalls()
    rig.set { $0.rflags = 0x247 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    #expect(rig.processor.registers().rbp == 1000)
    #expect(rig.processor.registers().rcx == Rig.code + 7)
    #expect(rig.processor.registers().r11 & 0x200 == 0x200)
    #expect(rig.stack64(1) == 0x23)
  }

  @Test func systemCallsAreUndefinedWhileTheGuestHasThemOff() throws {
    let rig = try Rig(hybrid: true)
    rig.long([0x90, 0x0F, 0x05], ring: 3)
    var s = rig.processor.systemRegisters()
    s.efer &= ~1
    rig.processor.setSystemRegisters(s)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 6)
    #expect(rig.stack64(0) == Rig.code + 1)
  }

  struct Fault: Sendable {
    let code: [UInt8]
    let entry: UInt64
    let error: UInt64
    let address: UInt64
  }

  /// Not present: read, write; the supervisor's: read; read-only: write; not executable: fetch; not
  /// user space: read.
  private static let faults = [
    Fault(
      code: [0x90, 0x8B, 0x04, 0x25, 0x23, 0x01, 0, 2], entry: 0, error: 4, address: 0x200_0123),
    Fault(
      code: [0x90, 0x89, 0x04, 0x25, 0x23, 0x01, 0, 2], entry: 0, error: 6, address: 0x200_0123),
    Fault(
      code: [0x90, 0x8B, 0x04, 0x25, 0x10, 0, 0x40, 0], entry: 0x40_0083, error: 5,
      address: 0x40_0010),
    Fault(
      code: [0x90, 0x89, 0x04, 0x25, 0x10, 0, 0x40, 0], entry: 0x40_0085, error: 7,
      address: 0x40_0010),
    Fault(
      code: [0x90, 0xE9, 0x0A, 0x84, 0x3F, 0], entry: 0x40_0087 | 1 << 63, error: 0x15,
      address: 0x40_0010),
    Fault(
      code: [0x90, 0x48, 0xB8, 8, 0, 0, 0, 0, 0x88, 0xFF, 0xFF, 0x8B, 0x00], entry: 0, error: 4,
      address: 0xFFFF_8800_0000_0008),
  ]

  @Test(arguments: faults)
  func pageFaultsComeWithAddressAndCause(fault: Fault) throws {
    let (code, entry, error, address) = (fault.code, fault.entry, fault.error, fault.address)
    let rig = try Rig(hybrid: true)
    rig.long(code, ring: 3)
    if entry != 0 { rig.space.store(entry, at: 0x12010) }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 14)
    #expect(rig.stack64(0) == error)
    let isFetch = error & 16 != 0
    let isLast = address >> 40 != 0
    #expect(rig.stack64(1) == (isFetch ? address : Rig.code + (isLast ? 11 : 1)))
    #expect(rig.stack64(2) == 0x1B)
    #expect(rig.processor.systemRegisters().cr2 == address)
  }

  struct Trap: Sendable {
    let code: [UInt8]
    let vector: UInt64
    let offset: UInt64
    let error: UInt64?
  }

  private static let traps = [
    // ud2
    Trap(code: [0x90, 0x0F, 0x0B], vector: 6, offset: 1, error: nil),
    // xor ecx, ecx; div ecx
    Trap(code: [0x90, 0x31, 0xC9, 0xF7, 0xF1], vector: 0, offset: 3, error: nil),
    // int3
    Trap(code: [0x90, 0xCC, 0x90], vector: 3, offset: 2, error: nil),
    // int 3, of two bytes
    Trap(code: [0x90, 0xCD, 0x03, 0x90], vector: 3, offset: 3, error: nil),
    // int 80h
    Trap(code: [0x90, 0xCD, 0x80, 0x90], vector: 0x80, offset: 3, error: nil),
    // int 21h, a gate of the system
    Trap(code: [0x90, 0xCD, 0x21], vector: 13, offset: 1, error: 0x21 * 8 + 2),
    // hlt
    Trap(code: [0x90, 0xF4], vector: 13, offset: 1, error: 0),
    // cli
    Trap(code: [0x90, 0xFA], vector: 13, offset: 1, error: 0),
    // in al, 60h
    Trap(code: [0x90, 0xE4, 0x60], vector: 13, offset: 1, error: 0),
    // mov rax, cr0
    Trap(code: [0x90, 0x0F, 0x20, 0xC0], vector: 13, offset: 1, error: 0),
    // mov eax, [rax], which is no address
    Trap(
      code: [0x48, 0xB8, 0xF0, 0xDE, 0xBC, 0x9A, 0x78, 0x56, 0x34, 0x12, 0x8B, 0x00], vector: 13,
      offset: 10, error: 0),
    // int1
    Trap(code: [0x90, 0xF1, 0x90], vector: 1, offset: 2, error: nil),
    // pushfq; or dword [rsp], 100h; popfq; nop; nop: the first after is stepped
    Trap(
      code: [0x9C, 0x81, 0x0C, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9D, 0x90, 0x90], vector: 1,
      offset: 10, error: nil),
    // fninit; push 0; fldcw [rsp]; fldz; fldz; fdivp; fwait
    Trap(
      code: [0xDB, 0xE3, 0x6A, 0x00, 0xD9, 0x2C, 0x24, 0xD9, 0xEE, 0xD9, 0xEE, 0xDE, 0xF9, 0x9B],
      vector: 16, offset: 13, error: nil),
    // ldmxcsr of 0; divss of 0
    Trap(
      code: [0x31, 0xC0, 0x50, 0x0F, 0xAE, 0x14, 0x24, 0x0F, 0x57, 0xC0, 0xF3, 0x0F, 0x5E, 0xC0],
      vector: 19, offset: 10, error: nil),
  ]

  @Test(arguments: traps)
  func exceptionsAreTheGuests(trap: Trap) throws {
    let (code, vector, offset, error) = (trap.code, trap.vector, trap.offset, trap.error)
    let rig = try Rig(hybrid: true)
    rig.long(code, ring: 3)
    var s = rig.processor.systemRegisters()
    s.cr0 |= 0x20
    s.cr4 |= 0x400
    rig.processor.setSystemRegisters(s)
    // No I/O bitmap.
    rig.space.store(UInt16(0x68), at: Rig.tss + 0x66)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == vector)
    #expect(rig.stack64(error == nil ? 0 : 1) == Rig.code + offset)
    if let error { #expect(rig.stack64(0) == error) }
    #expect(rig.processor.userEntries > 0)
  }

  @Test func portsAreWhatTheGuestsBitmapAllows() throws {
    let rig = try Rig(hybrid: true)
    let device = Echo()
    try rig.ports.register(device, at: 0x60...0x61)
    // in al, 60h; mov ebx, eax; in al, 61h
    rig.long([0xE4, 0x60, 0x89, 0xC3, 0xE4, 0x61], ring: 3)
    var s = rig.processor.systemRegisters()
    s.tr.limit = 0x68 + 0x20
    rig.processor.setSystemRegisters(s)
    rig.space.store(UInt16(0x68), at: Rig.tss + 0x66)
    rig.space.store(UInt8(2), at: Rig.tss + 0x68 + 0xC)
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 13)
    #expect(rig.stack64(1) == Rig.code + 4)
    #expect(rig.processor.registers().rbx & 0xFF == 0x60)
  }

  @Test func deviceMemoryIsReadAndWrittenByUserCode() throws {
    let rig = try Rig(hybrid: true)
    let device = EchoMemory()
    try rig.space.bus.register(device, at: 0xE000_0000...0xE000_0FFF)
    // mov edi, 600000h; mov [rdi + 8], ecx; mov eax, [rdi + 16]; movdqu xmm0, [rdi]; int 80h
    rig.long(
      [
        0xBF, 0x00, 0x00, 0x60, 0x00, 0x89, 0x4F, 0x08, 0x8B, 0x47, 0x10, 0x0F, 0xB6, 0x5F, 0x03,
        0x48, 0x8B, 0x57, 0x20, 0xCD, 0x80,
      ],
      ring: 3)
    rig.space.store(UInt64(0xE000_0087), at: 0x12018)
    rig.set { $0.rcx = 0x1234_5678 }
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x80)
    #expect(device.written == [8: 0x1234_5678])
    #expect(rig.processor.registers().rax == 0x13121110)
    #expect(rig.processor.registers().rbx == 3)
    #expect(rig.processor.registers().rdx == 0x2726252423222120)
  }

  @Test func anExitThatWasAskedForEndsAnEndlessLoop() throws {
    let rig = try Rig(hybrid: true)
    rig.long([0x48, 0xFF, 0xC0, 0xEB, 0xFB], ring: 3)
    rig.set { $0.rflags = 0x202 }
    for _ in 0..<20 { #expect(try rig.runKicked(after: 1000) == .kicked) }
    let first = rig.processor.registers()
    #expect(first.rip == Rig.code || first.rip == Rig.code + 3)
    #expect(first.rax > 1000)
    // An interrupt goes to its handler with the loop's address.
    #expect(rig.processor.canAcceptInterrupt)
    rig.processor.injectInterrupt(0x40)
    rig.processor.beginRun()
    #expect(rig.processor.run() == .halted)
    #expect(rig.halted == 0x40)
    #expect(rig.stack64(0) == first.rip)
    #expect(rig.stack64(2) & 0x200 == 0x200)
  }

  @Test func anExitAskedForBeforeTheEntryIsNotLost() throws {
    let rig = try Rig(hybrid: true)
    rig.long([0x48, 0xFF, 0xC0, 0xEB, 0xFB], ring: 3)
    for _ in 0..<100 {
      rig.processor.beginRun()
      rig.processor.requestExit()
      #expect(rig.processor.run() == .kicked)
    }
  }

  @Test func aSegmentBaseThatUserCodeSetsIsTheGuests() throws {
    let rig = try Rig(hybrid: true)
    // mov eax, gs:[8]; int 80h
    rig.long(
      [
        0x65, 0x8B, 0x04, 0x25, 0x08, 0x00, 0x00, 0x00, 0x64, 0x8B, 0x1C, 0x25, 0x08, 0x00, 0x00,
        0x00, 0xCD, 0x80,
      ], ring: 3)
    rig.space.store(UInt32(77), at: 0x5008)
    rig.space.store(UInt32(78), at: 0x5108)
    var s = rig.processor.systemRegisters()
    s.gs.base = 0x5000
    s.fs.base = 0x5100
    rig.processor.setSystemRegisters(s)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rax == 77)
    #expect(rig.processor.registers().rbx == 78)
    #expect(rig.processor.systemRegisters().gs.base == 0x5000)
    #expect(rig.processor.systemRegisters().fs.base == 0x5100)
  }
}

/// Answers port 60h + n with 60h + n.
private final class Echo: PortDevice {
  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { 0x60 + UInt32(offset) }
  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {}
}

/// Answers each byte with its offset; remembers what is written.
private final class EchoMemory: MemoryDevice, @unchecked Sendable {
  var written: [UInt64: UInt64] = [:]
  func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    (0..<UInt64(width.bytes)).reduce(0) { $0 | ((offset + $1) & 0xFF) << ($1 * 8) }
  }
  func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) { written[offset] = value }
}
