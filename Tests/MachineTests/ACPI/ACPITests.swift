import Foundation
import Testing

@testable import Machine

struct ACPITests {
  private static func board(_ processors: Int) -> ACPIBoard {
    ACPIBoard(
      processors: processors, pciHole: 0x800_0000...MemoryMap.pciMemory.upperBound,
      hasFloppyController: true)
  }

  /// A table of the ROM, found as a system finds it.
  private struct Walk {
    let rom: [UInt8]
    func dword(_ address: Int) -> Int {
      (0..<4).reduce(0) { $0 | Int(rom[address - 0xF0000 + $1]) << ($1 * 8) }
    }
    func bytes(_ address: Int, _ count: Int) -> [UInt8] {
      Array(rom[(address - 0xF0000)..<(address - 0xF0000 + count)])
    }
    func table(_ address: Int) -> (signature: String, bytes: [UInt8]) {
      let all = bytes(address, dword(address + 4))
      return (String(decoding: all.prefix(4), as: UTF8.self), all)
    }
    var pointer: Int? {
      stride(from: 0xF0000, to: 0x100000, by: 16).first {
        bytes($0, 8) == Array("RSD PTR ".utf8)
      }
    }
  }

  @Test(arguments: [1, 4, 16])
  func everyTableIsFoundFromTheROMAndAddsUpToZero(processors: Int) throws {
    let walk = Walk(rom: ROMImage.bytes(Self.board(processors)))
    let pointer = try #require(walk.pointer)
    #expect(walk.bytes(pointer, 20).reduce(0, &+) == 0)
    #expect(walk.bytes(pointer, 36).reduce(0, &+) == 0)
    for (root, size) in [(walk.dword(pointer + 16), 4), (walk.dword(pointer + 24), 8)] {
      let (signature, bytes) = walk.table(root)
      #expect(signature == (size == 4 ? "RSDT" : "XSDT"))
      #expect(bytes.reduce(0, &+) == 0)
      let entries = stride(from: 36, to: bytes.count, by: size).map { walk.dword(root + $0) }
      let tables = entries.map { walk.table($0) }
      #expect(tables.map { $0.signature } == ["FACP", "APIC", "HPET"])
      for table in tables { #expect(table.bytes.reduce(0, &+) == 0) }
      #expect(tables[0].bytes.count == 244)
      let dsdt = walk.table(walk.dword(entries[0] + 40))
      #expect(dsdt.signature == "DSDT")
      #expect(dsdt.bytes.reduce(0, &+) == 0)
      #expect(walk.dword(entries[0] + 36) == Int(MemoryMap.acpiControl))
      #expect(tables[1].bytes.count == 44 + 8 * processors + 12 + 10 * 5 + 6)
    }
    #expect(walk.rom.reduce(0, &+) == 0)
  }

  @Test func tablesForOtherFirmwareCountFromTheirBeginning() {
    let tables = ACPITables(Self.board(2), facs: nil)
    #expect(Array(tables.bytes.prefix(4)) == Array("FACS".utf8))
    for pointer in tables.pointers {
      let target = (0..<4).reduce(0) { $0 | Int(tables.bytes[pointer.offset + $1]) << ($1 * 8) }
      #expect(target < tables.bytes.count)
    }
    for checksum in tables.checksums {
      let range = checksum.start..<(checksum.start + checksum.length)
      #expect(tables.bytes[range].reduce(0, &+) == 0)
    }
  }

  @Test func lengthsOfPackagesAreEncodedInEverySize() {
    let short = AML.package([[UInt8](repeating: 0, count: 10)])
    #expect(Array(short.prefix(3)) == [0x12, 12, 1])
    let long = AML.package([[UInt8](repeating: 0, count: 70)])
    // 73 bytes: the low four bits, then the rest.
    #expect(Array(long.prefix(4)) == [0x12, 0x49, 0x04, 1])
    #expect(AML.identifier("PNP0A03") == [0x0C, 0x41, 0xD0, 0x0A, 0x03])
    #expect(AML.path("\\_SB_.PCI0") == [0x5C, 0x2E] + Array("_SB_PCI0".utf8))
    #expect(AML.integer(0x1234) == [0x0B, 0x34, 0x12])
  }

  /// Intel's disassembler reads every table without a warning, and its compiler takes what the
  /// disassembler wrote.
  @Test func disassemblerHasNothingToSay() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("porthole-acpi-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let walk = Walk(rom: ROMImage.bytes(Self.board(16)))
    let pointer = try #require(walk.pointer)
    let root = walk.dword(pointer + 16)
    var tables = stride(from: 36, to: walk.table(root).bytes.count, by: 4).map {
      walk.table(walk.dword(root + $0))
    }
    tables.append(walk.table(walk.dword(walk.dword(root + 36) + 40)))
    for table in tables {
      let file = folder.appendingPathComponent("\(table.signature).aml")
      try Data(table.bytes).write(to: file)
      let text = try Program.output("/usr/bin/iasl", ["-d", file.path])
      #expect(
        !text.lowercased().contains("warning") && !text.lowercased().contains("error"), "\(text)")
      let source = try String(
        contentsOf: folder.appendingPathComponent("\(table.signature).dsl"), encoding: .utf8)
      #expect(!source.contains("Warning") && !source.contains("Unknown"), "\(source)")
    }
    let compiled = try Program.output(
      "/usr/bin/iasl",
      [
        "-vw", "3168", "-p", folder.appendingPathComponent("again").path,
        folder.appendingPathComponent("DSDT.dsl").path,
      ])
    #expect(compiled.contains("0 Errors, 0 Warnings"), "\(compiled)")
  }
}
