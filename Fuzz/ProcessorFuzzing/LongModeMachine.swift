import Interpreter
import KVMEngine

/// Memory and a software processor in 64-bit ring 3, that runs a case until an exception.
///
/// The memory and the code of ``RandomCase`` lie where they lie in this process, so that the same
/// registers name the same bytes on both sides. Every exception's handler halts in ring 0; the next
/// case begins with the IRETQ of that handler, so that nothing is forgotten in between.
package final class LongModeMachine {
  private let ram: MemoryBlock
  private let space: AddressSpace
  private let processor: InterpretedProcessor

  private static let pages: UInt64 = 0x1000
  private static let gdt: UInt64 = 0x8000
  private static let idt: UInt64 = 0x9000
  private static let tss: UInt64 = 0xA000
  private static let handlers: UInt64 = 0xB000
  private static let returner: UInt64 = 0xC000
  private static let stack: UInt64 = 0xE000
  private static let imageAt: UInt64 = 0xF000
  private static let arenaAt: UInt64 = 0x20000
  private static let codeAt: UInt64 = 0x30000
  private static let codeSelector: UInt64 = 0x1B
  private static let dataSelector: UInt64 = 0x23

  package init() throws(HostError) {
    ram = try MemoryBlock(name: "ram", size: 1 << 20)
    space = AddressSpace(bus: MemoryBus(), slots: UnmappedSlots())
    try space.map(ram, size: 1 << 20, at: 0)
    processor = InterpretedProcessor(index: 0, ports: PortBus(), memory: space)
    processor.sleepsWhenHalted = false
    makePages()
    makeTables()
    enterLongMode()
    space.write(Self.codeAt, bytes: [UInt8](repeating: 0xCC, count: 4096))
  }

  /// Whether code is translated at once, or never.
  package var translates: Bool {
    get { processor.translationThreshold != nil }
    set { processor.translationThreshold = newValue ? 0 : nil }
  }

  /// The arena's bytes.
  package var arena: UnsafeMutableRawBufferPointer {
    let start = ram.base + Int(Self.arenaAt)
    return UnsafeMutableRawBufferPointer(start: start, count: RandomCase.arenaBytes)
  }

  /// The FXSAVE image that a case begins with, and after it the one that it ends with.
  package var image: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: ram.base + Int(Self.imageAt), count: 512)
  }

  /// Runs `code` and tells how it ended; the registers are changed.
  package func run(_ code: [UInt8], _ registers: inout [UInt64], _ flags: UInt64) -> Outcome? {
    space.write(Self.codeAt + (RandomCase.entry & 4095), bytes: code)
    defer {
      space.write(
        Self.codeAt + (RandomCase.entry & 4095), bytes: [UInt8](repeating: 0xCC, count: code.count))
    }
    let frame = Self.stack - 40
    for (index, value) in [
      RandomCase.entry, Self.codeSelector, flags | 0x202, registers[4], Self.dataSelector,
    ].enumerated() { space.store(value, at: frame + UInt64(index * 8)) }
    var r = processor.registers()
    (r.rax, r.rcx, r.rdx, r.rbx) = (registers[0], registers[1], registers[2], registers[3])
    (r.rbp, r.rsi, r.rdi) = (registers[5], registers[6], registers[7])
    (r.r8, r.r9, r.r10, r.r11) = (registers[8], registers[9], registers[10], registers[11])
    (r.r12, r.r13, r.r14, r.r15) = (registers[12], registers[13], registers[14], registers[15])
    (r.rip, r.rsp, r.rflags) = (Self.returner, frame, 2)
    processor.setRegisters(r)
    guard case .halted = processor.run() else { return nil }
    let after = processor.registers()
    let vector = (after.rip &- Self.handlers) / 16
    guard vector < 32 else { return nil }
    let hasCode = [8, 10, 11, 12, 13, 14, 17].contains(vector)
    func word(_ index: UInt64) -> UInt64 {
      space.load(after.rsp &+ (index + (hasCode ? 1 : 0)) * 8, as: UInt64.self)
    }
    registers = [
      after.rax, after.rcx, after.rdx, after.rbx, word(3), after.rbp, after.rsi, after.rdi,
      after.r8, after.r9, after.r10, after.r11, after.r12, after.r13, after.r14, after.r15,
    ]
    return Outcome(
      vector: vector, error: hasCode ? space.load(after.rsp, as: UInt64.self) : 0,
      address: processor.systemRegisters().cr2, rip: word(0), flags: word(2))
  }

  // MARK: Tables

  /// The lowest 2 MiB on themselves for ring 0; the arena and the code for everybody.
  private func makePages() {
    let root = Self.pages
    space.store(root + 0x1007, at: root)
    space.store(root + 0x2007, at: root + 0x1000)
    space.store(UInt64(0x83), at: root + 0x2000)
    let top = RandomCase.arena >> 30 & 511
    space.store(root + 0x3007, at: root + 0x1000 + top * 8)
    for (address, table) in [
      (RandomCase.arena, root + 0x4000), (RandomCase.codePage, root + 0x5000),
    ] {
      space.store(table | 7, at: root + 0x3000 + (address >> 21 & 511) * 8)
    }
    // Data is not for executing, on both sides: what a return finds there must never run.
    let never: UInt64 = 1 << 63
    for (page, rights) in [never | 7, never | 7, never | 5].enumerated() {
      space.store(
        (Self.arenaAt + UInt64(page) << 12) | rights, at: root + 0x4000 + UInt64(page * 8))
    }
    space.store(Self.codeAt | 7, at: root + 0x5000)
  }

  private func makeTables() {
    let descriptors: [UInt64] = [
      0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00AF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF,
    ]
    for (index, entry) in descriptors.enumerated() {
      space.store(entry, at: Self.gdt + UInt64(index * 8))
    }
    for vector in UInt64(0)..<32 {
      let handler = Self.handlers + vector * 16
      // fxsave64 [image]; hlt
      space.write(handler, bytes: [0x48, 0x0F, 0xAE, 0x04, 0x25, 0, 0xF0, 0, 0, 0xF4])
      // INT 3 and INTO may be called from ring 3.
      let rights: UInt64 = vector == 3 || vector == 4 ? 0xEE : 0x8E
      space.store(handler & 0xFFFF | 8 << 16 | rights << 40, at: Self.idt + vector * 16)
      space.store(UInt64(0), at: Self.idt + vector * 16 + 8)
    }
    space.store(Self.stack, at: Self.tss + 4)
    // No port is free.
    space.store(UInt16(0x68), at: Self.tss + 102)
    // fxrstor64 [image]; iretq
    space.write(Self.returner, bytes: [0x48, 0x0F, 0xAE, 0x0C, 0x25, 0, 0xF0, 0, 0, 0x48, 0xCF])
    space.store(UInt32(0x1F80), at: Self.imageAt + 24)
  }

  private func enterLongMode() {
    var s = processor.systemRegisters()
    var code = Segment()
    (code.selector, code.limit, code.type, code.privilege) = (0x08, 0xFFFF_FFFF, 11, 0)
    (code.isLong, code.granularity) = (true, true)
    var data = code
    (data.selector, data.type, data.isLong, data.isBig) = (0x10, 3, false, true)
    (s.cs, s.ss) = (code, data)
    (s.ds, s.es, s.fs, s.gs) = (data, data, data, data)
    s.gdt.base = Self.gdt
    s.gdt.limit = 39
    s.idt.base = Self.idt
    s.idt.limit = 511
    (s.tr.selector, s.tr.base, s.tr.limit, s.tr.type) = (0x28, Self.tss, 0x67, 11)
    (s.tr.isCodeOrData, s.tr.present) = (false, true)
    (s.cr0, s.cr3, s.cr4, s.efer) = (0x8001_0031, Self.pages, 0x620, 0xD00)
    processor.setSystemRegisters(s)
  }
}

/// How a case ended.
package struct Outcome: Sendable {
  package var vector: UInt64
  package var error: UInt64
  /// CR2; only page faults have one.
  package var address: UInt64
  package var rip: UInt64
  package var flags: UInt64
}
