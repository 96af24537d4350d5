import Interpreter
import KVMEngine

/// What 64-bit user code costs under the hybrid engine: a system call and a page fault there and
/// back, and a plain loop, beside bare KVM and the interpreter.
struct UserCode {
  private static let rounds: UInt32 = 20_000
  private static let faults: UInt32 = 500
  private static let loopTurns: UInt32 = 400_000_000
  private static let softwareTurns: UInt32 = 40_000_000

  private static let tables: UInt64 = 0x10000
  private static let lowTable: UInt64 = 0x13000
  private static let gdt: UInt64 = 0x20000
  private static let idt: UInt64 = 0x21000
  private static let tss: UInt64 = 0x22000
  private static let kernel: UInt64 = 0x9000
  private static let faultHandler: UInt64 = 0x9100
  private static let stop: UInt64 = 0x9200
  private static let code: UInt64 = 0x7C00
  private static let memoryBytes = 16 << 20

  private let memory: MemoryBlock
  private let space: AddressSpace
  private let ports = PortBus()
  private let hypervisor: KVMVirtualMachine?

  /// `straight` is the hybrid engine when it has learnt that user code computes: it goes to KVM at
  /// once.
  private enum Engine { case kvm, hybrid, straight, software }

  private init(_ engine: Engine) throws {
    switch engine {
    case .kvm: hypervisor = try KVMVirtualMachine(KVMSystem())
    case .hybrid, .straight: hypervisor = try KVMVirtualMachine(KVMSystem(), localAPICs: .none)
    case .software: hypervisor = nil
    }
    memory = try MemoryBlock(name: "benchmark", size: Self.memoryBytes)
    space = AddressSpace(bus: MemoryBus(), slots: hypervisor ?? UnmappedSlots())
    try space.map(memory, size: memory.size, at: 0)
    makeTables()
  }

  /// 16 MiB mapped on themselves for everybody, with 600000h to 7FFFFFh by pages that are not there;
  /// vector 80h halts, vector 14 maps the page.
  private func makeTables() {
    space.store(Self.tables + 0x1007, at: Self.tables)
    space.store(Self.tables + 0x2007, at: Self.tables + 0x1000)
    for page in UInt64(0)..<8 {
      space.store(page << 21 | 0x87, at: Self.tables + 0x2000 + page * 8)
    }
    space.store(Self.lowTable | 7, at: Self.tables + 0x2018)
    let entries: [UInt64] = [
      0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00AF_FB00_0000_FFFF,
      0x00CF_F300_0000_FFFF, 0x0000_8B02_2000_0067,
    ]
    for (index, entry) in entries.enumerated() {
      space.store(entry, at: Self.gdt + UInt64(index) * 8)
    }
    for (vector, target) in [(UInt64(14), Self.faultHandler), (0x80, Self.stop)] {
      space.store(target | 8 << 16 | 0xEE << 40, at: Self.idt + vector * 16)
    }
    space.store(UInt32(0x6000), at: Self.tss + 4)
    // sysretq
    space.write(Self.kernel, bytes: [0x48, 0x0F, 0x07])
    // push rax; push rcx; mov rax, cr2; mov ecx, eax; shr ecx, 12; and ecx, 511; or eax, 7;
    // mov [13000h + rcx * 8], rax; pop rcx; pop rax; add rsp, 8; iretq
    space.write(
      Self.faultHandler,
      bytes: [
        0x50, 0x51, 0x0F, 0x20, 0xD0, 0x89, 0xC1, 0xC1, 0xE9, 0x0C, 0x81, 0xE1, 0xFF, 0x01, 0, 0,
        0x83, 0xC8, 0x07, 0x48, 0x89, 0x04, 0xCD, 0, 0x30, 0x01, 0, 0x59, 0x58, 0x48, 0x83, 0xC4,
        0x08, 0x48, 0xCF,
      ])
    space.write(Self.stop, bytes: [0xF4])
  }

  private func segment(_ selector: UInt16, isCode: Bool) -> Segment {
    var s = Segment()
    s.selector = selector
    s.limit = 0xFFFF_FFFF
    s.type = isCode ? 11 : 3
    s.privilege = 3
    s.isBig = !isCode
    s.isLong = isCode
    s.granularity = true
    return s
  }

  /// Ring 3 at the code, in 64-bit mode.
  private func enter(_ processor: any Processor, hasHandlers: Bool) {
    var s = processor.systemRegisters()
    s.cs = segment(0x1B, isCode: true)
    s.ss = segment(0x23, isCode: false)
    (s.ds, s.es, s.fs, s.gs) = (s.ss, s.ss, s.ss, s.ss)
    (s.gdt.base, s.gdt.limit) = (Self.gdt, 47)
    (s.idt.base, s.idt.limit) = (Self.idt, hasHandlers ? 0xFFF : 0)
    s.tr.selector = 0x28
    s.tr.base = Self.tss
    s.tr.limit = 0x67
    s.tr.type = 11
    s.tr.isCodeOrData = false
    s.cr0 = 0x8000_0011
    s.cr4 = 0x220
    s.efer = 0x501
    s.cr3 = Self.tables
    processor.setSystemRegisters(s)
    var r = Registers()
    r.rip = Self.code
    r.rsp = 0x7000
    processor.setRegisters(r)
  }

  /// Nanoseconds that `code` takes until it ends with a halt (or, in bare KVM, a shutdown).
  private func time(_ code: [UInt8], _ engine: Engine) throws -> Double {
    space.write(Self.code, bytes: code)
    let processor: any Processor
    switch engine {
    case .kvm:
      guard let hypervisor else { return 0 }
      processor = try KVMProcessor(
        hypervisor, index: 0, processors: 1, ports: ports, memory: space)
    case .hybrid, .straight:
      guard let hypervisor else { return 0 }
      let machine = try HybridMachine(hypervisor, memoryEnd: UInt64(Self.memoryBytes))
      let hybrid = try HybridProcessor(machine, index: 0, ports: ports, memory: space)
      hybrid.interpreter.sleepsWhenHalted = false
      hybrid.interpreter.triesUserCode = engine == .hybrid
      processor = hybrid
    case .software:
      let software = InterpretedProcessor(index: 0, ports: ports, memory: space)
      software.sleepsWhenHalted = false
      processor = software
    }
    processor.attachToCurrentThread()
    processor.reset()
    enter(processor, hasHandlers: engine != .kvm)
    if engine == .hybrid || engine == .straight {
      var state = try processor.state(now: 0)
      state.modelRegisters.removeAll { [0xC000_0081, 0xC000_0082].contains($0.index) }
      state.modelRegisters.append(.init(index: 0xC000_0081, value: 0x0010_0008 << 32))
      state.modelRegisters.append(.init(index: 0xC000_0082, value: Self.kernel))
      try processor.setState(state, now: 0)
    }
    processor.beginRun()
    let start = Monitor.monotonic()
    let exit = processor.run()
    let end = Monitor.monotonic()
    guard exit == .halted || exit == .shutdown else {
      throw HostError("measure user code: the processor came back with \(exit)")
    }
    return Double(end - start)
  }

  private static func little(_ value: UInt32) -> [UInt8] {
    [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  /// Prints the rows.
  static func printRows() throws {
    // mov ebx, n; l: syscall; dec ebx; jnz l; int 80h
    let calls = [0xBB] + little(rounds) + [0x0F, 0x05, 0xFF, 0xCB, 0x75, 0xFA, 0xCD, 0x80]
    for (name, engine) in [("hybrid", Engine.hybrid), ("by KVM", .straight)] {
      printRow(
        "system call and back, \(name)",
        try UserCode(engine).time(calls, engine) / Double(rounds) / 1000)
    }
    // mov ebx, n; mov edi, 600000h; l: mov eax, [rdi]; add rdi, 4096; dec ebx; jnz l; int 80h
    let touches =
      [0xBB] + little(faults) + [0xBF, 0, 0, 0x60, 0]
      + [0x8B, 0x07, 0x48, 0x81, 0xC7, 0, 0x10, 0, 0, 0xFF, 0xCB, 0x75, 0xF3, 0xCD, 0x80]
    for (name, engine) in [("hybrid", Engine.hybrid), ("by KVM", .straight)] {
      printRow(
        "page fault and back, \(name)",
        try UserCode(engine).time(touches, engine) / Double(faults) / 1000)
    }
    for (name, engine, turns) in [
      ("bare KVM", Engine.kvm, loopTurns), ("hybrid", .hybrid, loopTurns),
      ("software", .software, softwareTurns),
    ] {
      // mov ecx, n; l: dec ecx; jnz l; int 80h
      let loop = [0xB9] + little(turns) + [0xFF, 0xC9, 0x75, 0xFC, 0xCD, 0x80]
      let nanoseconds = try UserCode(engine).time(loop, engine)
      printRow("user loop, \(name)", Double(turns) * 2 * 1000 / nanoseconds, unit: "M insn/s")
    }
  }
}
