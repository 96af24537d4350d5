import Interpreter
import KVMEngine

/// A processor that gets any bytes as mode, registers, tables and code.
///
/// Nothing is compared: it has to come back. The first byte is the mode, the second and third choose
/// control bits, then 16 bytes choose registers, 8 bytes disturb descriptors and page tables, and the
/// rest is code.
package final class HostileMachine {
  package let processor: InterpretedProcessor
  private let ram: MemoryBlock
  private let space: AddressSpace

  private static let size = 1 << 20
  private static let code: UInt64 = 0x7C00
  private static let gdt: UInt64 = 0x2000
  private static let idt: UInt64 = 0x3000
  private static let tss: UInt64 = 0x4000
  private static let pages: UInt64 = 0x10000
  /// How many modes there are.
  package static let modes = 12

  package init() throws(HostError) {
    ram = try MemoryBlock(name: "ram", size: Self.size)
    space = AddressSpace(bus: MemoryBus(), slots: UnmappedSlots())
    try space.map(ram, size: Self.size, at: 0)
    processor = InterpretedProcessor(index: 0, ports: PortBus(), memory: space)
    processor.sleepsWhenHalted = false
  }

  /// Sets everything up from the bytes. False where there are too few.
  package func load(_ input: UnsafeRawBufferPointer) -> Bool {
    guard input.count > 28 else { return false }
    let seed = input.loadUnaligned(fromByteOffset: 19, as: UInt64.self)
    clear()
    processor.reset()
    processor.translationThreshold = seed & 1 == 0 ? 0 : nil
    let mode = Int(input[0]) % Self.modes
    makeTables(isLong: mode >= 8)
    if seed != 0 {
      var dice = Seeded(seed)
      disturb(&dice)
    }
    setSystem(mode, input[1], input[2])
    setRegisters(input, mode)
    space.write(Self.code, from: UnsafeRawBufferPointer(rebasing: input[27...].prefix(512)))
    return true
  }

  /// Runs the code: one instruction at a time, `limit` of them at most.
  package func step(limit: Int) { _ = processor.run(instructions: limit) }

  /// Runs the code as blocks until something outside is needed; somebody has to ask for an exit.
  package func run() {
    processor.beginRun()
    _ = processor.run()
  }

  private func clear() {
    let zeros = UnsafeRawBufferPointer(start: Self.zeros, count: Self.size)
    space.write(0, from: zeros)
  }

  // SAFETY: never written to and never freed.
  private nonisolated(unsafe) static let zeros: UnsafeMutableRawPointer = {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    return memory
  }()

  // MARK: Tables

  /// 08 code, 10 data, 18 and 20 the same for ring 3, 28 and 30 in 16 bits, 38 TSS, 40 LDT, 48 call
  /// gate, 50 task gate, 58 another TSS.
  private func makeTables(isLong: Bool) {
    let code: UInt64 = isLong ? 0x00AF_9B00_0000_FFFF : 0x00CF_9B00_0000_FFFF
    let dpl3: UInt64 = 0x60 << 40
    let entries: [UInt64] = [
      0, code, 0x00CF_9300_0000_FFFF, code | dpl3, 0x00CF_F300_0000_FFFF, 0x0000_9B00_0000_FFFF,
      0x0000_9300_0000_FFFF, 0x0000_8B00_4000_0067, 0x0000_8200_2000_0FFF, 0x0000_EC00_0008_7C00,
      0x0000_E500_0058_0000, 0x0000_8900_4800_0067,
    ]
    for (index, entry) in entries.enumerated() {
      space.store(entry, at: Self.gdt + UInt64(index * 8))
    }
    for vector in UInt64(0)..<256 {
      let gate: UInt64 = Self.code | 8 << 16 | 0xEE << 40
      space.store(gate, at: Self.idt + vector * (isLong ? 16 : 8))
    }
    for base in [Self.tss, Self.tss + 0x800] {
      space.store(UInt32(0x6000), at: base + 4)
      space.store(UInt32(isLong ? 0 : 0x10), at: base + 8)
      space.store(UInt32(Self.pages), at: base + 28)
      space.store(UInt32(Self.code), at: base + 32)
      space.store(UInt32(0x6800), at: base + 56)
      for (index, selector) in [UInt32(0x10), 8, 0x10, 0x10, 0x10, 0x10].enumerated() {
        space.store(selector, at: base + 72 + UInt64(index * 4))
      }
    }
    makePages()
  }

  /// Two levels at 10000h, PAE at 12000h, four levels at 15000h: the lowest MiB on itself.
  private func makePages() {
    space.store(UInt32(0x11007), at: 0x10000)
    space.store(UInt64(0x13001), at: 0x12000)
    space.store(UInt64(0x14007), at: 0x13000)
    space.store(UInt64(0x16007), at: 0x15000)
    space.store(UInt64(0x13007), at: 0x16000)
    for page in UInt64(0)..<256 {
      space.store(UInt32(page << 12 | 7), at: 0x11000 + page * 4)
      space.store(page << 12 | 7, at: 0x14000 + page * 8)
    }
  }

  /// Changes some entries of the tables: bits, or all of them.
  private func disturb(_ dice: inout Seeded) {
    let places: [(UInt64, UInt64)] = [
      (Self.gdt, 12), (Self.idt, 256), (Self.tss, 32), (0x11000, 128), (0x14000, 256), (0x13000, 2),
      (0x10000, 2), (0x15000, 1), (0x16000, 1),
    ]
    for _ in 0..<(1 + dice.below(12)) {
      let (base, count) = dice.pick(places, or: (Self.gdt, 12))
      let at = base + dice.below(count) * 8
      let old = space.load(at, as: UInt64.self)
      let new = dice.once(in: 2) ? dice.next() : old ^ 1 << dice.below(64)
      space.store(new, at: at)
    }
  }

  // MARK: State

  private func segment(_ selector: UInt16, code: Bool, ring: UInt8) -> Segment {
    var s = Segment()
    s.selector = selector | UInt16(ring)
    s.limit = 0xFFFF_FFFF
    (s.type, s.privilege, s.isBig, s.granularity) = (code ? 11 : 3, ring, true, true)
    return s
  }

  /// Modes: 0 real, 1 virtual-8086, 2 and 3 16-bit, 4 and 5 32-bit, 6 paged, 7 PAE (by a control bit in
  /// ring 0 or 3), 8 and 9 long, 10 compatibility, 11 16-bit compatibility.
  private func setSystem(_ mode: Int, _ control: UInt8, _ more: UInt8) {
    var s = processor.systemRegisters()
    guard mode != 0 else {
      (s.cs.base, s.cs.selector) = (0, 0)
      processor.setSystemRegisters(s)
      return
    }
    let ring: UInt8 = [3, 5, 9, 10, 11].contains(mode) || mode >= 6 && control & 1 != 0 ? 3 : 0
    s.cs = segment(ring == 0 ? 0x08 : 0x18, code: true, ring: ring)
    s.ss = segment(ring == 0 ? 0x10 : 0x20, code: false, ring: ring)
    if mode == 2 || mode == 3 || mode == 11 {
      (s.cs.isBig, s.cs.limit, s.ss.isBig, s.ss.limit) = (false, 0xFFFF, false, 0xFFFF)
    }
    if mode == 8 || mode == 9 { (s.cs.isLong, s.cs.isBig) = (true, false) }
    (s.ds, s.es, s.fs, s.gs) = (s.ss, s.ss, s.ss, s.ss)
    (s.gdt.base, s.gdt.limit, s.idt.base, s.idt.limit) = (Self.gdt, 95, Self.idt, 0x7FF)
    (s.tr.selector, s.tr.base, s.tr.limit, s.tr.type) = (0x38, Self.tss, 0x67, 11)
    (s.tr.isCodeOrData, s.tr.present) = (false, true)
    (s.ldt.selector, s.ldt.base, s.ldt.limit) = (0x40, Self.gdt, 0xFFF)
    (s.ldt.type, s.ldt.isCodeOrData, s.ldt.present) = (2, false, true)
    s.cr0 =
      0x11 | (control & 2 != 0 ? 0x10000 : 0) | UInt64(more & 0x2C) | UInt64(control & 4) << 16
    s.cr4 = (control & 8 != 0 ? 0x600 : 0) | (control & 0x10 != 0 ? 0x90 : 0) | UInt64(more & 3)
    if control & 0x20 != 0 { s.cr4 |= 0x300000 }
    switch mode {
    case 1: s.cr0 |= more & 0x40 != 0 ? 1 << 31 : 0
    case 6: s.cr0 |= 1 << 31
    case 7:
      s.cr0 |= 1 << 31
      s.cr4 |= 0x20
    case 8...:
      s.cr0 |= 1 << 31
      s.cr4 |= 0x20
      s.efer = 0xD01
      s.idt.limit = 0xFFF
    default: break
    }
    s.cr3 = mode == 7 ? 0x12000 : (mode >= 8 ? 0x15000 : Self.pages)
    processor.setSystemRegisters(s)
    if mode == 1 { makeVirtual8086(&s) }
  }

  /// Segments as virtual-8086 mode has them.
  private func makeVirtual8086(_ s: inout SystemRegisters) {
    var r = processor.registers()
    r.rflags = 0x20002
    processor.setRegisters(r)
    var flat = segment(0, code: false, ring: 3)
    (flat.selector, flat.limit, flat.isBig, flat.granularity) = (0, 0xFFFF, false, false)
    (s.cs, s.ss, s.ds, s.es, s.fs, s.gs) = (flat, flat, flat, flat, flat, flat)
    processor.setSystemRegisters(s)
  }

  private static let values: [UInt64] = [
    0, 1, 2, 7, 0xFF, 0x1000, 0x50000, 0x51000, 0x6800, 0x7C00, 0x7BC0, 0x7FFF, 0x8000, 0xFFFF,
    0x10000, 0xFFFE, 0xFF000, 0xFFFFD, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF,
    0x8000_0000_0000, .max, 1 << 63, 0x2000, 0x3008, 0x4000, 0x14010, 0x38, 0xC000_0080, 0x10,
  ]

  private func setRegisters(_ input: UnsafeRawBufferPointer, _ mode: Int) {
    func value(_ index: Int) -> UInt64 {
      let byte = input[3 + index]
      let value = Self.values[Int(byte & 31)]
      return byte & 0x80 != 0 ? value &+ UInt64(byte >> 5 & 3) : value
    }
    var r = processor.registers()
    (r.rax, r.rcx, r.rdx, r.rbx) = (value(0), value(1), value(2), value(3))
    (r.rbp, r.rsi, r.rdi, r.r8) = (value(5), value(6), value(7), value(8))
    (r.r9, r.r10, r.r11, r.r12) = (value(9), value(10), value(11), value(12))
    (r.r13, r.r14) = (value(13), value(14))
    r.rsp = input[7] & 1 == 0 ? 0x6C00 : value(4)
    r.rip = Self.code
    // Arithmetic flags, TF, IF, DF, IOPL, NT, AC.
    let bits = UInt64(input[18]) << 8 | UInt64(input[17])
    let alignment: UInt64 = bits & 0x8000 != 0 ? 0x40000 : 0
    r.rflags = 2 | (bits & 0x7FD5) | alignment | (mode == 1 ? 0x20000 : 0)
    processor.setRegisters(r)
  }
}

/// What libFuzzer calls.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  guard let machine = sharedMachine,
    machine.load(UnsafeRawBufferPointer(start: bytes, count: count))
  else { return 0 }
  machine.step(limit: 100)
  return 0
}

// SAFETY: libFuzzer calls from one thread.
private nonisolated(unsafe) let sharedMachine = try? HostileMachine()
