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
}
