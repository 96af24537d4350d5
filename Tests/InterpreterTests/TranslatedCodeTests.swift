import Glibc
import KVMEngine
import Testing

@testable import Interpreter

/// Runs of operations as instructions of the host. Random code is compared with the host's processor
/// elsewhere; here is when there are such runs, and how they are left.
@Suite struct TranslatedCodeTests {
  private func run(_ rig: Rig) {
    while rig.processor.run() != .halted {}
  }

  @Test func codeIsTranslatedWhenItRanOften() throws {
    let rig = try Rig()
    rig.processor.translationThreshold = 20
    // 1: add eax, 3; xor edx, eax; dec ecx; jnz 1b; hlt
    rig.protected([0x83, 0xC0, 3, 0x31, 0xC2, 0x49, 0x75, 0xF8, 0xF4])
    let translated = rig.processor.environment.translated
    rig.set { $0.rcx = 10 }
    run(rig)
    #expect(translated.used == 0)
    rig.set {
      $0.rip = Rig.code
      $0.rax = 0
      $0.rcx = 100
      $0.rdx = 0
    }
    run(rig)
    #expect(translated.used > 0)
    let expected = (1...100).reduce(UInt64(0)) { $0 ^ UInt64($1) * 3 }
    #expect(rig.processor.registers().rax == 300)
    #expect(rig.processor.registers().rdx == expected)
  }

  @Test func pageFaultInTheMiddleHasWhatCameBefore() throws {
    let rig = try Rig()
    // add eax, ebx; mov ecx, 7; mov [0x800000], eax; add eax, eax: beyond what is mapped
    rig.protected(
      [0x01, 0xD8, 0xB9, 7, 0, 0, 0, 0x89, 0x05, 0, 0, 0x80, 0, 0x01, 0xC0, 0xF4], paging: true)
    rig.set {
      $0.rax = 0xFFFF_FFFF
      $0.rbx = 1
      $0.rcx = 0
    }
    run(rig)
    let registers = rig.processor.registers()
    #expect(registers.rip == Rig.handlers + 14 * 16 + 1)
    #expect(registers.rax == 0 && registers.rcx == 7)
    #expect(rig.processor.systemRegisters().cr2 == 0x80_0000)
    // Error code, EIP, CS, EFLAGS: the sum carried and is zero.
    let frame = registers.rsp
    #expect(rig.space.load(frame + 4, as: UInt32.self) == UInt32(Rig.code) + 7)
    #expect(rig.space.load(frame + 12, as: UInt32.self) & 0x41 == 0x41)
  }

  @Test func codeThatChangesWhatFollowsIsSeen() throws {
    let rig = try Rig()
    // mov byte [next + 1], 9; next: mov al, 1; hlt
    let next = UInt32(Rig.code) + 7
    let address = (0..<4).map { UInt8(truncatingIfNeeded: (next + 1) >> ($0 * 8)) }
    rig.protected([0xC6, 0x05] + address + [9, 0xB0, 1, 0xF4])
    run(rig)
    #expect(rig.processor.registers().rax & 0xFF == 9)
  }

  @Test func aFullPoolIsEmptied() throws {
    let rig = try Rig()
    let translated = TranslatedCode(size: 66 << 10)
    rig.processor.environment.translated = translated
    rig.processor.translationThreshold = 0
    rig.protected([0xF4])
    var fullest = 0
    // Blocks at ever other places: add eax, n; add eax, 1; hlt
    for round in 0..<200 {
      let place = 0x40_0000 + UInt64(round) * 16
      rig.space.write(place, bytes: [0x83, 0xC0, UInt8(round & 0x7F), 0x83, 0xC0, 1, 0xF4])
      rig.set {
        $0.rip = place
        $0.rax = 0
      }
      run(rig)
      #expect(rig.processor.registers().rax == UInt64(round & 0x7F) + 1)
      fullest = max(fullest, translated.used)
    }
    #expect(fullest > 2 << 10 && translated.used < fullest)
  }

  /// 1: inc eax; xor edx, eax; jmp 1b
  private static let endless: [UInt8] = [0xFF, 0xC0, 0x31, 0xC2, 0xEB, 0xFA]

  @Test func anEndlessLoopComesBackWhenAsked() throws {
    let rig = try Rig()
    rig.protected(Self.endless + [0xF4])
    #expect(try rig.runKicked(after: 20_000) == .kicked)
    // It came round far more often than a turn of the loop lets it.
    #expect(rig.processor.registers().rax & 0xFFFF_FFFF > 4096)
    #expect(rig.processor.environment.translated.used > 0)
  }

  @Test func aLoopWhoseCodeADeviceChangesEnds() throws {
    let rig = try Rig()
    rig.protected(Self.endless + [0xF4])
    let space = rig.space
    let device = try Thread(name: "device") {
      usleep(20_000)
      space.write(Rig.code + 4, bytes: [0x90, 0x90])
    }
    defer { device.join() }
    run(rig)
    #expect(rig.processor.registers().rip == Rig.code + 7)
  }

  @Test func interruptsReachALoop() throws {
    let rig = try Rig()
    rig.protected(Self.endless + [0xF4])
    rig.set { $0.rflags = 0x202 }
    let processor = rig.processor
    let device = try Thread(name: "device") {
      usleep(20_000)
      processor.requestExit()
    }
    #expect(rig.processor.run() == .kicked)
    device.join()
    rig.processor.beginRun()
    rig.processor.injectInterrupt(0x40)
    run(rig)
    #expect(rig.halted == 0x40)
  }

  /// Data segments 30h that begins at 1000h and 38h that ends at 301h, and a stack 40h of 16 bits.
  private func addSegments(_ rig: Rig) {
    var s = rig.processor.systemRegisters()
    s.gdt.limit = 0x47
    rig.processor.setSystemRegisters(s)
    let flat = Rig.flat(0x93, flags: 0xC)
    rig.space.store(flat | 0x1000 << 16, at: Rig.gdt + 0x30)
    rig.space.store(UInt64(0x0040_9300_0000_0301), at: Rig.gdt + 0x38)
    rig.space.store(Rig.flat(0x93, flags: 0x8), at: Rig.gdt + 0x40)
  }

  @Test func codeIsForTheWidthOfTheStackThatItFinds() throws {
    let rig = try Rig()
    // mov esp, 20002h; 1: push eax; pop ebx; push eax; add esi, esp; mov ss, ecx; mov esp, 20002h
    // xchg ecx, edx; dec edi; jnz 1b; hlt
    rig.protected([
      0xBC, 2, 0, 2, 0, 0x50, 0x5B, 0x50, 0x01, 0xE6, 0x8E, 0xD1, 0xBC, 2, 0, 2, 0, 0x87, 0xCA,
      0xFF,
      0xCF, 0x75, 0xEE, 0xF4,
    ])
    addSegments(rig)
    rig.set { ($0.rax, $0.rcx, $0.rdx, $0.rsi, $0.rdi) = (0x1234_5678, 0x40, 0x10, 0, 20) }
    run(rig)
    let r = rig.processor.registers()
    #expect(r.rsi == 10 * 0x1_FFFE + 10 * 0x2_FFFE)
    #expect(r.rbx == 0x1234_5678)
    #expect(rig.space.load(0xFFFE, as: UInt32.self) == 0x1234_5678)
  }

  @Test func codeIsForTheSegmentsThatItFinds() throws {
    let rig = try Rig()
    // 1: call f; mov ds, ecx; call f; mov ds, edx; dec edi; jnz 1b; mov ds, ebx; call f
    // f: mov eax, [300h]; add esi, eax; ret
    rig.protected([
      0xE8, 20, 0, 0, 0, 0x8E, 0xD9, 0xE8, 13, 0, 0, 0, 0x8E, 0xDA, 0xFF, 0xCF, 0x75, 0xEE, 0x8E,
      0xDB,
      0xE8, 0, 0, 0, 0, 0xA1, 0, 3, 0, 0, 0x01, 0xC6, 0xC3,
    ])
    addSegments(rig)
    rig.space.store(UInt32(7), at: 0x300)
    rig.space.store(UInt32(70), at: 0x1300)
    rig.set { ($0.rbx, $0.rcx, $0.rdx, $0.rsi, $0.rdi) = (0x38, 0x30, 0x10, 0, 20) }
    run(rig)
    #expect(rig.processor.registers().rsi == 20 * 77)
    // Beyond the limit of the last one.
    #expect(rig.halted == 13)
  }
}
