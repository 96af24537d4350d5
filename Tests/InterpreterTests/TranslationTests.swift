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

/// Memory that reads without its device, which a store takes away.
private final class Flash: MemoryDevice, @unchecked Sendable {
  // SAFETY: set once, before the processor runs.
  var window: MemoryWindow?

  func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 { 0x77 }
  func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) { try? window?.unmap() }
}

/// Stores to memory that is only read.
@Suite struct ReadOnlyMemoryTests {
  @Test func aStoreReachesTheDeviceAndTheNextLoadSeesWhatItMadeOfIt() throws {
    let rig = try Rig()
    let flash = Flash()
    let memory = try MemoryBlock(name: "flash", size: 4096)
    memory.base.storeBytes(of: 0x11, as: UInt8.self)
    let window = rig.space.makeWindow(memory)
    flash.window = window
    try rig.space.bus.register(flash, at: 0x200_0000...0x200_0FFF)
    try window.map(at: 0x200_0000, offset: 0, size: 4096, readOnly: true)
    rig.protected(
      [
        0xA0, 0x00, 0x00, 0x00, 0x02,  // MOV AL,[2000000h]
        0x88, 0xC3,  // MOV BL,AL
        0xC6, 0x05, 0x00, 0x00, 0x00, 0x02, 0x70,  // MOV BYTE [2000000h],70h
        0xA0, 0x00, 0x00, 0x00, 0x02,  // MOV AL,[2000000h]
        0xF4,
      ], paging: false)
    #expect(rig.processor.run() == .halted)
    #expect(rig.processor.registers().rbx & 0xFF == 0x11)
    #expect(rig.processor.registers().rax & 0xFF == 0x77)
  }
}
