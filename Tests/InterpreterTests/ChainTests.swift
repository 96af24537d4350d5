import KVMEngine
import Testing

@testable import Interpreter

/// Blocks that know where they lead still notice when that changes.
@Suite(.serialized) struct ChainTests {
  private func runToHalt(_ rig: Rig) -> Registers {
    for _ in 0..<100 {
      rig.processor.beginRun()
      if case .halted = rig.processor.run() { break }
    }
    return rig.processor.registers()
  }

  /// The same bytes by two names: what is pushed and where a jump leads follow CS.
  @Test func aliasesOfRealModeCodeKeepTheirOwnAddresses() throws {
    let rig = try Rig()
    // inc bx; call 1f; 1: pop ax; inc bx; jmp 2f; 2: hlt
    rig.real([0x43, 0xE8, 0x00, 0x00, 0x58, 0x43, 0xEB, 0x00, 0xF4])
    for _ in 0..<4 {
      for (segment, start) in [(UInt16(0), UInt64(0x7C00)), (0x7C0, 0), (0x700, 0xC00)] {
        var s = rig.processor.systemRegisters()
        s.cs.selector = segment
        s.cs.base = UInt64(segment) << 4
        rig.processor.setSystemRegisters(s)
        rig.set {
          $0.rip = start; $0.rsp = 0x7000; $0.rax = 0
        }
        let after = runToHalt(rig)
        #expect(after.rax == start + 4)
        #expect(after.rip == start + 9)
      }
    }
  }

  /// A loop changes an instruction of the function that it calls.
  @Test func linkedBlocksThatAreWrittenToAreDecodedAnew() throws {
    let rig = try Rig()
    // mov ecx, 50; 1: inc edx; call f; inc byte [f + 1]; dec ecx; jnz 1b; hlt
    rig.long([
      0xB9, 50, 0, 0, 0, 0xFF, 0xC2, 0xE8, 0xF4, 0x0F, 0, 0, 0xFE, 0x04, 0x25, 0x01, 0x8C, 0, 0,
      0xFF, 0xC9, 0x75, 0xEE, 0xF4,
    ])
    // f, in another page: add al, 0; inc edx; ret
    rig.space.write(0x8C00, bytes: [0x04, 0x00, 0xFF, 0xC2, 0xC3])
    rig.set { $0.rax = 0 }
    let after = runToHalt(rig)
    #expect(after.rcx == 0)
    #expect(after.rax == UInt64(UInt8(truncatingIfNeeded: 50 * 49 / 2)))
  }

  /// One page of code at two addresses, with other pages behind it.
  @Test func jumpsOutOfAPageFollowTheTranslationOfTheMoment() throws {
    let rig = try Rig()
    rig.long([])
    // The tables of 16 MiB to 18 MiB: 4 KiB pages, 4 of them used.
    rig.space.store(UInt64(0x15007), at: 0x12000 + 8 * 8)
    let pages: [UInt64] = [0x50000, 0x51000, 0x50000, 0x52000]
    for (index, page) in pages.enumerated() {
      rig.space.store(page | 7, at: 0x15000 + UInt64(index) * 8)
    }
    // At the page's end: inc edx; jmp to the next page's 10h.
    rig.space.write(0x50FF0, bytes: [0xFF, 0xC2, 0xEB, 0x1C])
    rig.space.write(0x51010, bytes: [0xB8, 1, 0, 0, 0, 0xF4])
    rig.space.write(0x52010, bytes: [0xB8, 2, 0, 0, 0, 0xF4])
    for _ in 0..<4 {
      for (address, expected) in [(UInt64(0x100_0FF0), UInt64(1)), (0x100_2FF0, 2)] {
        rig.set {
          $0.rip = address; $0.rax = 0
        }
        #expect(runToHalt(rig).rax == expected)
      }
    }
    // The page behind changes its place.
    rig.space.store(UInt64(0x52007), at: 0x15008)
    rig.processor.setSystemRegisters(rig.processor.systemRegisters())
    rig.set { $0.rip = 0x100_0FF0 }
    #expect(runToHalt(rig).rax == 2)
  }

  /// Code that two address spaces share, and what each has behind it.
  @Test func jumpsFollowTheAddressSpaceOfTheMoment() throws {
    let rig = try Rig()
    // 1: inc edx; jmp 1000010h; 2: mov cr3, rcx; xchg rbx, rcx; dec edi; jnz 1b; hlt
    rig.long([
      0xFF, 0xC2, 0xE9, 0x09, 0x84, 0xFF, 0x00, 0x0F, 0x22, 0xD9, 0x48, 0x87, 0xCB, 0xFF, 0xCF,
      0x75,
      0xEF, 0xF4,
    ])
    for (tables, page) in [(UInt64(0x10000), UInt64(0x51000)), (0x16000, 0x54000)] {
      rig.space.store(tables + 0x1007, at: tables)
      rig.space.store(tables + 0x2007, at: tables + 0x1000)
      for large in UInt64(0)..<8 {
        rig.space.store(large << 21 | 0x87, at: tables + 0x2000 + large * 8)
      }
      rig.space.store(tables + 0x3007, at: tables + 0x2000 + 8 * 8)
      rig.space.store(page | 7, at: tables + 0x3000)
    }
    // add esi, n; jmp 2b
    for (page, value) in [(UInt64(0x51000), UInt8(1)), (0x54000, 100)] {
      rig.space.write(page + 0x10, bytes: [0x83, 0xC6, value, 0xE9, 0xEF, 0x7B, 0x00, 0xFF])
    }
    rig.set { ($0.rcx, $0.rbx, $0.rdi, $0.rsi) = (0x16000, 0x10000, 20, 0) }
    #expect(runToHalt(rig).rsi == 10 * 1 + 10 * 100)
  }

  /// Two blocks in two pages that lead to each other.
  @Test func anEndlessLoopOfBlocksComesBackWhenAsked() throws {
    let rig = try Rig()
    // inc eax; jmp 8C00h, and there: inc edx; jmp 7C00h
    rig.long([0xFF, 0xC0, 0xE9, 0xF9, 0x0F, 0, 0])
    rig.space.write(0x8C00, bytes: [0xFF, 0xC2, 0xE9, 0xF9, 0xEF, 0xFF, 0xFF])
    #expect(try rig.runKicked(after: 20_000) == .kicked)
    #expect(rig.processor.registers().rax > 4096)
  }

  /// A comparison and its jump are one, and still two where a jump leads between them.
  @Test func jumpsBehindComparisonsWorkByThemselves() throws {
    let rig = try Rig()
    // cmp eax, ebx; 1: jb 2f; mov ecx, 1; hlt; 2: mov ecx, 2; hlt
    rig.long([0x39, 0xD8, 0x72, 0x06, 0xB9, 1, 0, 0, 0, 0xF4, 0xB9, 2, 0, 0, 0, 0xF4])
    for (a, b, start, flags, expected) in [
      (UInt64(1), UInt64(2), Rig.code, UInt64(2), UInt64(2)), (2, 1, Rig.code, 3, 1),
      (1, 2, Rig.code + 2, 2, 1), (2, 1, Rig.code + 2, 3, 2),
    ] {
      for _ in 0..<3 {
        rig.set {
          $0.rip = start; $0.rax = a; $0.rbx = b; $0.rflags = flags
        }
        #expect(runToHalt(rig).rcx == expected)
      }
    }
  }

  /// LOCK before a conditional jump is #UD, also behind a comparison.
  @Test func lockedJumpsBehindComparisonsFault() throws {
    let rig = try Rig()
    // cmp eax, eax; lock jz +0; hlt
    rig.long([0x39, 0xC0, 0xF0, 0x74, 0x00, 0xF4])
    #expect(runToHalt(rig).rip != Rig.code + 6)
    #expect(rig.halted == 6)
  }

  /// What follows a conditional jump that does not jump runs in the same block, and from outside.
  @Test func blocksGoOnBehindJumpsThatAreNotTaken() throws {
    let rig = try Rig()
    // xor eax, eax; mov ecx, 10; 1: test ecx, 1; jz 2f; add eax, ecx; 2: dec ecx; jnz 1b; hlt
    rig.long([
      0x31, 0xC0, 0xB9, 10, 0, 0, 0, 0xF7, 0xC1, 1, 0, 0, 0, 0x74, 0x02, 0x01, 0xC8, 0xFF, 0xC9,
      0x75, 0xF2, 0xF4,
    ])
    for _ in 0..<3 {
      rig.set { $0.rip = Rig.code }
      #expect(runToHalt(rig).rax == 25)
    }
  }

  /// MOV EAX with its immediate in the next page: found again, and anew when either page changes.
  @Test func instructionsAcrossPagesFollowTheirBytes() throws {
    let rig = try Rig()
    // mov byte [8001h], 5; jmp 7FFEh
    rig.long([0xC6, 0x04, 0x25, 0x01, 0x80, 0, 0, 5, 0xE9, 0xF1, 0x03, 0, 0])
    rig.space.write(0x7FFE, bytes: [0xB8, 1, 0, 0, 0, 0xF4])
    func run(from start: UInt64) -> UInt64 {
      rig.set {
        $0.rip = start; $0.rax = 0
      }
      return runToHalt(rig).rax
    }
    for _ in 0..<3 { #expect(run(from: 0x7FFE) == 1) }
    rig.space.write(0x8000, bytes: [2])
    for _ in 0..<3 { #expect(run(from: 0x7FFE) == 0x201) }
    rig.space.write(0x7FFF, bytes: [7])
    for _ in 0..<3 { #expect(run(from: 0x7FFE) == 0x207) }
    for _ in 0..<3 { #expect(run(from: Rig.code) == 0x5_0207) }
  }
}
