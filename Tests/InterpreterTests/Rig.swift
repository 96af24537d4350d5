import CInterpreter
import Glibc
import KVMEngine
import Synchronization

@testable import Interpreter

/// Memory slots of nobody.
final class NoSlots: MemorySlots {
  func setSlot(
    _ index: UInt32, guestAddress: UInt64, host: UnsafeMutableRawPointer, size: Int,
    options: SlotOptions
  ) throws(HostError) {}
  func removeSlot(_ index: UInt32) throws(HostError) {}
  func takeDirtyPages(_ index: UInt32, into bitmap: UnsafeMutableBufferPointer<UInt64>) {}
}

/// Random numbers that are the same in every run.
struct Dice: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}

/// A processor with 16 MiB of memory and nothing else.
///
/// Low memory: page tables from 10000h, a GDT at 20000h, an IDT at 21000h, a TSS at 22000h, code at
/// 7C00h, handlers that halt from 30000h on, 16 bytes each.
final class Rig {
  let ram: MemoryBlock
  let space: AddressSpace
  let ports = PortBus()
  let processor: InterpretedProcessor

  static let code: UInt64 = 0x7C00
  static let gdt: UInt64 = 0x20000
  static let idt: UInt64 = 0x21000
  static let tss: UInt64 = 0x22000
  static let handlers: UInt64 = 0x30000

  /// The VM that runs user code; nil: the interpreter runs all.
  let machine: HybridMachine?
  let hybrid: HybridProcessor?

  /// - Parameters:
  ///   - hybrid: 64-bit user code runs in this host's KVM.
  ///   - trials: there, it is interpreted first.
  init(hybrid isHybrid: Bool = false, trials: Bool = false) throws {
    ram = try MemoryBlock(name: "ram", size: 16 << 20)
    let hypervisor = isHybrid ? try KVMVirtualMachine(KVMSystem(), localAPICs: .none) : nil
    machine = try hypervisor.map { try HybridMachine($0, memoryEnd: 16 << 20) }
    space = AddressSpace(bus: MemoryBus(), slots: hypervisor ?? NoSlots())
    try space.map(ram, size: 16 << 20, at: 0)
    if let machine {
      try KVMProcessor.installKickHandler()
      let hybrid = try HybridProcessor(machine, index: 0, ports: ports, memory: space)
      self.hybrid = hybrid
      processor = hybrid.interpreter
      processor.attachToCurrentThread()
    } else {
      hybrid = nil
      processor = InterpretedProcessor(index: 0, ports: ports, memory: space)
    }
    processor.sleepsWhenHalted = false
    processor.triesUserCode = trials
    processor.translationThreshold = 0
  }

  /// Real mode at 0:7C00.
  func real(_ code: [UInt8]) {
    space.write(Self.code, bytes: code)
    var s = processor.systemRegisters()
    s.cs.base = 0
    s.cs.selector = 0
    processor.setSystemRegisters(s)
    set {
      $0.rip = Self.code; $0.rsp = 0x7000; $0.rflags = 2
    }
  }

  func set(_ change: (inout Registers) -> Void) {
    var r = processor.registers()
    change(&r)
    processor.setRegisters(r)
  }

  /// A code or data descriptor without a base.
  static func flat(_ rights: UInt64, flags: UInt64) -> UInt64 {
    0x000F_0000_0000_FFFF | rights << 40 | flags << 52
  }

  /// The tables: 08 code 0, 10 data 0, 1B code 3, 23 data 3, 28 TSS; in long mode 08 and 1B are
  /// 64-bit code. Vector n goes to its handler in ring 0; 80h may be called from ring 3.
  private func makeTables(long: Bool) {
    let code: UInt64 = long ? 0xA : 0xC
    let entries: [UInt64] = [
      0, Self.flat(0x9B, flags: code), Self.flat(0x93, flags: 0xC),
      Self.flat(0xFB, flags: code), Self.flat(0xF3, flags: 0xC),
      0x0000_8B02_2000_0067,
    ]
    for (index, entry) in entries.enumerated() {
      space.store(entry, at: Self.gdt + UInt64(index) * 8)
    }
    for vector in UInt64(0)..<256 {
      let handler = Self.handlers + vector * 16
      space.write(handler, bytes: [0xF4, 0xEB, 0xFD])
      let rights: UInt64 = vector == 0x80 || vector == 3 ? 0xEE : 0x8E
      let gate = handler & 0xFFFF | 8 << 16 | rights << 40 | (handler >> 16 & 0xFFFF) << 48
      space.store(gate, at: Self.idt + vector * (long ? 16 : 8))
      if long { space.store(UInt64(0), at: Self.idt + vector * 16 + 8) }
    }
    space.store(UInt32(0x6000), at: Self.tss + 4)
    space.store(UInt32(long ? 0 : 0x10), at: Self.tss + 8)
  }

  private func segment(_ selector: UInt16, code: Bool, ring: UInt8, long: Bool = false) -> Segment {
    var s = Segment()
    s.selector = selector | UInt16(ring)
    s.limit = 0xFFFF_FFFF
    s.type = code ? 11 : 3
    s.privilege = ring
    s.isBig = !long
    s.isLong = long
    s.granularity = true
    return s
  }

  /// 32-bit protected mode with flat segments; with `paging`, two levels that map 4 MiB on
  /// themselves, user pages all of them.
  func protected(_ code: [UInt8], ring: UInt8 = 0, paging: Bool = false) {
    space.write(Self.code, bytes: code)
    makeTables(long: false)
    var s = processor.systemRegisters()
    setSegments(&s, ring: ring, long: false)
    s.cr0 = 0x11
    s.cr4 = 0x200
    if paging {
      s.cr3 = 0x10000
      s.cr0 |= 0x8000_0000
      space.store(UInt32(0x11007), at: 0x10000)
      for page in UInt64(0)..<1024 { space.store(UInt32(page << 12 | 7), at: 0x11000 + page * 4) }
    }
    processor.setSystemRegisters(s)
    set {
      $0.rip = Self.code; $0.rsp = 0x7000; $0.rflags = 2
    }
  }

  /// 64-bit mode, 16 MiB mapped on themselves by large pages for everybody.
  func long(_ code: [UInt8], ring: UInt8 = 0) {
    space.write(Self.code, bytes: code)
    makeTables(long: true)
    var s = processor.systemRegisters()
    setSegments(&s, ring: ring, long: true)
    s.cr0 = 0x8000_0011
    s.cr4 = 0x220
    s.efer = 0xD01
    s.cr3 = 0x10000
    space.store(UInt64(0x11007), at: 0x10000)
    space.store(UInt64(0x12007), at: 0x11000)
    for page in UInt64(0)..<8 { space.store(page << 21 | 0x87, at: 0x12000 + page * 8) }
    processor.setSystemRegisters(s)
    set {
      $0.rip = Self.code; $0.rsp = 0x7000; $0.rflags = 2
    }
  }

  private func setSegments(_ s: inout SystemRegisters, ring: UInt8, long: Bool) {
    s.cs = segment(ring == 0 ? 0x08 : 0x18, code: true, ring: ring, long: long)
    s.ss = segment(ring == 0 ? 0x10 : 0x20, code: false, ring: ring)
    (s.ds, s.es, s.fs, s.gs) = (s.ss, s.ss, s.ss, s.ss)
    s.gdt.base = Self.gdt
    s.gdt.limit = 47
    s.idt.base = Self.idt
    s.idt.limit = long ? 0xFFF : 0x7FF
    s.tr.selector = 0x28
    s.tr.base = Self.tss
    s.tr.limit = 0x67
    s.tr.type = 11
    s.tr.isCodeOrData = false
    s.tr.present = true
  }

  /// Runs on a thread of its own, where the kick signal is not blocked, and asks for an exit after
  /// `microseconds`.
  func runKicked(after microseconds: UInt32) throws -> ProcessorExit {
    let processor = self.processor
    processor.beginRun()
    let answer = Answer()
    let thread = try Thread(name: "vcpu") {
      processor.attachToCurrentThread()
      answer.exit.withLock { $0 = processor.run() }
    }
    usleep(microseconds)
    processor.requestExit()
    thread.join()
    return answer.exit.withLock { $0 }
  }

  private final class Answer: Sendable {
    let exit = Mutex<ProcessorExit>(.served)
  }

  /// SYSCALL leads to 9000h, with interrupts off there; SYSRET to selectors 23h and 1Bh.
  func setSystemCalls() {
    _ = processor.cpu.setModelRegister(0xC000_0081, 0x0010_0008 << 32)
    _ = processor.cpu.setModelRegister(0xC000_0082, 0x9000)
    _ = processor.cpu.setModelRegister(0xC000_0084, 0x200)
  }

  /// The vector whose handler halted; nil where none did.
  var halted: UInt64? {
    let rip = processor.registers().rip
    guard rip > Self.handlers, rip < Self.handlers + 4096, rip & 15 == 1 else { return nil }
    return (rip - Self.handlers) / 16
  }

  /// The dword, or qword, `index` places above the stack pointer.
  func stack32(_ index: UInt64) -> UInt32 {
    space.load(processor.registers().rsp + index * 4, as: UInt32.self)
  }
  func stack64(_ index: UInt64) -> UInt64 {
    space.load(processor.registers().rsp + index * 8, as: UInt64.self)
  }
}
