import KVMEngine
import Storage
import Testing

@testable import Machine

/// What stock firmware is told.
struct FirmwareFilesTests {
  private static func text(_ kinds: [DriveKind], _ order: [BootDevice]) throws -> String {
    let medium = try Medium(floppy: [UInt8](repeating: 0, count: 1_474_560), name: "zeroes")
    let bytes = FirmwareFiles.bootOrder(kinds.map { Drive($0, medium: medium) }, order)
    #expect(bytes.last == 0)
    return String(decoding: bytes.dropLast(), as: UTF8.self)
  }

  @Test func drivesAreNamedInTheOrderInWhichTheyAreTried() throws {
    #expect(
      try Self.text([.hardDisk, .cdrom, .floppy, .hardDisk], [.cdrom, .hardDisk, .floppy]) == """
        /pci@i0cf8/ide@1,1/drive@1/disk@0
        /pci@i0cf8/ide@1,1/drive@0/disk@0
        /pci@i0cf8/ide@1,1/drive@0/disk@1
        /pci@i0cf8/isa@1/fdc@03f0/floppy@0
        """)
    #expect(try Self.text([.hardDisk], [.floppy]) == "")
  }
}
