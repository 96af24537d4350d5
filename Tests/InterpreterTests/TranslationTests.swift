import KVMEngine
import Testing

@testable import Interpreter

/// What the processor remembers of page tables, and when it has to forget it.
@Suite struct TranslationTests {
  @Test func aPageThatWasFlushedBeforeItsFirstUseIsForgottenWithAllOthers() throws {
    let rig = try Rig()
    rig.protected(
      [
        0x0F, 0x01, 0x3D, 0x00, 0x00, 0x30, 0x00,  // INVLPG [300000h]
        0xA1, 0x00, 0x00, 0x30, 0x00,  // MOV EAX,[300000h]
        0xC7, 0x05, 0x00, 0x1C, 0x01, 0x00, 0x07, 0x10, 0x30, 0x00,  // its entry: page 301000h
        0x0F, 0x20, 0xD9, 0x0F, 0x22, 0xD9,  // MOV ECX,CR3; MOV CR3,ECX
        0x8B, 0x1D, 0x00, 0x00, 0x30, 0x00,  // MOV EBX,[300000h]
        0xF4,
      ], paging: true)
    rig.space.store(UInt32(0x1111), at: 0x30_0000)
    rig.space.store(UInt32(0x2222), at: 0x30_1000)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rax == 0x1111)
    #expect(rig.processor.registers().rbx == 0x2222)
  }
}
