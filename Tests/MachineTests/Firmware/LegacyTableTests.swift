import BIOS
import Foundation
import Interpreter
import KVMEngine
import Testing

@testable import Machine

/// Tables and services that systems without ACPI look for in the ROM.
struct LegacyTableTests {
  private let rom = ROMImage.bytes(
    ACPIBoard(processors: 2, pciHole: 0x800_0000...MemoryMap.pciMemory.upperBound))

  private func find(_ text: String) -> Int? {
    stride(from: 0, to: 0x10000, by: 16).first {
      Array(rom[$0..<($0 + text.utf8.count)]) == Array(text.utf8)
    }
  }

  @Test func routingTableTellsEveryPinAsTheBridgeHasIt() throws {
    let at = try #require(find("$PIR"))
    let length = Int(rom[at + 6]) | Int(rom[at + 7]) << 8
    let table = Array(rom[at..<(at + length)])
    #expect(table.reduce(0, &+) == 0)
    #expect(table.count == 32 + 16 * 7)
    #expect(Array(table[8...9]) == [0, 8])
    for entry in stride(from: 32, to: length, by: 16) {
      let slot = Int(table[entry + 1] >> 3)
      for pin in 0..<4 {
        let wire = PCIInterrupts.wire(slot: slot, pin: pin)
        #expect(table[entry + 2 + 3 * pin] == 0x60 + UInt8(wire))
        let choices = UInt16(table[entry + 3 + 3 * pin]) | UInt16(table[entry + 4 + 3 * pin]) << 8
        #expect(choices >> UInt16(PCIAssignment.interrupts[wire]) & 1 == 1)
      }
    }
  }

  @Test func serviceDirectoryAddsUpToZeroAndLeadsIntoTheROM() throws {
    let at = try #require(find("_32_"))
    #expect(rom[at..<(at + 16)].reduce(0, &+) == 0)
    let entry = (0..<4).reduce(UInt64(0)) { $0 | UInt64(rom[at + 4 + $1]) << ($1 * 8) }
    #expect(ROMImage.address..<0x100000 ~= entry)
  }

  /// Programs that read the ROM of any PC find nothing wrong with this one.
  @Test func biosdecodeReadsIt() throws {
    var memory = [UInt8](repeating: 0, count: 0xF0000) + rom
    memory[0x40E] = 0
    let text = try Tool.run("/usr/sbin/biosdecode", ["-d"], input: memory)
    for line in [
      "SMBIOS 2.8 present.", "ACPI 2.0 present.", "BIOS32 Service Directory present.",
      "PCI Interrupt Routing 1.0 present.", "Router Device: 00:01.0",
      "Compatible Router: 8086:7000",
    ] { #expect(text.contains(line), "\(line) is not in: \(text)") }
    #expect(!text.lowercased().contains("invalid") && !text.lowercased().contains("bad"))
  }

  @Test func dmidecodeReadsTheInventory() throws {
    let inventory = SMBIOS.structures(processors: 3, memoryBytes: 512 << 20)
    var dump = SMBIOS.entryPoint(inventory, at: 32)
    while dump.count < 32 { dump.append(0) }
    let text = try Tool.run("/usr/sbin/dmidecode", ["--from-dump"], input: dump + inventory.bytes)
    for wrong in ["OUT OF SPEC", "BAD INDEX", "truncated", "broken", "Invalid", "Wrong"] {
      #expect(!text.contains(wrong), "\(text)")
    }
    for right in [
      "SMBIOS 2.8 present.", "Porthole PC", "Size: 512 MB", "Socket Designation: CPU 2",
    ] {
      #expect(text.contains(right), "\(right) is not in: \(text)")
    }
  }
}

/// A program that reads a file.
private enum Tool {
  /// - Returns: what it says to a file with the bytes `input`.
  static func run(_ path: String, _ arguments: [String], input: [UInt8]) throws -> String {
    let file = FileManager.default.temporaryDirectory
      .appendingPathComponent("porthole-tables-\(UUID().uuidString)")
    try Data(input).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try Program.output(path, arguments + [file.path])
  }
}

/// The ROM's 32-bit code, called as a system in protected mode does.
struct Services32Tests {
  private let rig = PCIRig()
  private let space: AddressSpace
  private let processor: InterpretedProcessor
  /// Where the ROM is mapped for the caller: not where it is in real mode.
  private static let mapped: UInt64 = 0x40_0000
  private static let code: UInt64 = 0x1000

  init() throws {
    space = AddressSpace(bus: rig.memory, slots: UnmappedSlots())
    try space.map(MemoryBlock(name: "ram", size: 8 << 20), size: 8 << 20, at: 0)
    let rom = ROMImage.bytes(
      ACPIBoard(processors: 1, pciHole: 0x800_0000...MemoryMap.pciMemory.upperBound))
    space.write(Self.mapped, bytes: rom)
    // CALL EBX in the ROM's segment by way of a far call, then HLT.
    space.write(Self.code, bytes: [0xFF, 0x1D, 0x00, 0x20, 0x00, 0x00, 0xF4])
    for (index, entry) in [0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x0040_9B40_0000_FFFF]
      .enumerated()
    { space.store(UInt64(entry), at: 0x3000 + UInt64(index) * 8) }
    try rig.wire()
    try rig.bus.attach(ISABridge.make(rig.bus.interrupts), slot: 1)
    let usb = PCIFunction(
      name: "usb", PCIIdentity(vendor: 0x1B36, device: 0xD, classCode: 0x0C0330))
    try rig.bus.attach(usb, slot: 3)
    processor = InterpretedProcessor(index: 0, ports: rig.ports, memory: space)
    processor.sleepsWhenHalted = false
  }

  /// Calls `entry`, an offset in the ROM, and gives the registers it leaves.
  private func call(_ entry: UInt32, _ change: (inout Registers) -> Void) -> Registers {
    space.store(entry, at: 0x2000)
    space.store(UInt16(0x18), at: 0x2004)
    var system = processor.systemRegisters()
    system.cr0 = 0x11
    system.gdt.base = 0x3000
    system.gdt.limit = 0x1F
    system.cs = Self.segment(0x08, type: 0xB)
    system.ds = Self.segment(0x10, type: 3)
    system.es = system.ds
    system.ss = system.ds
    processor.setSystemRegisters(system)
    var registers = processor.registers()
    registers.rip = Self.code
    registers.rsp = 0x8000
    registers.rflags = 2
    change(&registers)
    processor.setRegisters(registers)
    #expect(processor.run() == .halted)
    return processor.registers()
  }

  private static func segment(_ selector: UInt16, type: UInt8) -> Segment {
    var segment = Segment()
    segment.selector = selector
    segment.base = 0
    segment.limit = 0xFFFF_FFFF
    segment.type = type
    segment.isCodeOrData = true
    segment.isBig = true
    segment.granularity = true
    return segment
  }

  private func pci(_ change: (inout Registers) -> Void) -> (Registers, status: UInt8, carry: Bool) {
    let found = call(UInt32(bios_layout.directory32)) {
      $0.rax = 0x4943_5024; $0.rbx = 0
    }
    #expect(found.rax & 0xFF == 0 && found.rbx == 0xF0000)
    let result = call(UInt32(truncatingIfNeeded: found.rdx), change)
    return (result, UInt8(result.rax >> 8 & 0xFF), result.rflags & 1 != 0)
  }

  @Test func directoryKnowsNothingButPCI() {
    let entry = UInt32(bios_layout.directory32)
    #expect(
      call(entry) {
        $0.rax = 0x1234; $0.rbx = 0
      }.rax & 0xFF == 0x80)
    #expect(
      call(entry) {
        $0.rax = 0x4943_5024; $0.rbx = 1
      }.rax & 0xFF == 0x81)
  }

  @Test func functionsAreFoundAndRead() {
    let present = pci { $0.rax = 0xB101 }
    #expect(present.0.rdx == 0x2049_4350 && present.0.rbx & 0xFFFF == 0x0210 && !present.carry)
    let device = pci {
      $0.rax = 0xB102; $0.rcx = 0x7000; $0.rdx = 0x8086; $0.rsi = 0
    }
    #expect(device.0.rbx & 0xFFFF == 0x08 && device.status == 0 && !device.carry)
    let second = pci {
      $0.rax = 0xB102; $0.rcx = 0x7000; $0.rdx = 0x8086; $0.rsi = 1
    }
    #expect(second.status == 0x86 && second.carry)
    let kind = pci {
      $0.rax = 0xB103; $0.rcx = 0x0C0330; $0.rsi = 0
    }
    #expect(kind.0.rbx & 0xFFFF == 0x18 && !kind.carry && kind.0.rcx == 0x0C0330)
    #expect(
      pci {
        $0.rax = 0xB108; $0.rbx = 0x18; $0.rdi = 0x0B
      }.0.rcx & 0xFF == 0x0C)
    #expect(
      pci {
        $0.rax = 0xB109; $0.rbx = 0x18; $0.rdi = 0x02
      }.0.rcx & 0xFFFF == 0x000D)
    #expect(
      pci {
        $0.rax = 0xB10A; $0.rbx = 0x18; $0.rdi = 0
      }.0.rcx == 0x000D_1B36)
    #expect(
      pci {
        $0.rax = 0xB10A; $0.rbx = 0x18; $0.rdi = 2
      }.status == 0x87)
    #expect(
      pci {
        $0.rax = 0xB102; $0.rcx = 1; $0.rdx = 0xFFFF
      }.status == 0x83)
    #expect(pci { $0.rax = 0xB10E }.status == 0x81)
  }

  @Test func registersAreWrittenInEveryWidth() {
    _ = pci {
      $0.rax = 0xB10B; $0.rbx = 0x18; $0.rcx = 0x5A; $0.rdi = 0x3C
    }
    #expect(rig.read(3, 0, 0x3C, .byte) == 0x5A)
    _ = pci {
      $0.rax = 0xB10C; $0.rbx = 0x18; $0.rcx = 0x0107; $0.rdi = 0x04
    }
    #expect(rig.read(3, 0, 0x04, .word) == 0x0107)
    _ = pci {
      $0.rax = 0xB10D; $0.rbx = 0x08; $0.rcx = 0x0505_0A0B; $0.rdi = 0x60
    }
    #expect(rig.read(1, 0, 0x60) == 0x0505_0A0B)
    let kept = pci {
      $0.rax = 0xB108; $0.rbx = 0x18; $0.rdi = 0; $0.rdx = 0xABCD_1234
    }
    #expect(kept.0.rdx == 0xABCD_1234)
  }
}
