import Testing

@testable import Storage

@Suite struct DriveTests {
  let files = TemporaryImages()

  func refusal(_ kind: DriveKind, _ path: String?) -> ImageError? {
    do throws(ImageError) { _ = try Drive(DriveDescription(kind: kind, path: path)) } catch {
      return error
    }
    return nil
  }

  @Test func aShortDisketteIsPadded() throws {
    let path = files.make("boot.bin", [UInt8](repeating: 0x90, count: 300))
    let drive = try Drive(DriveDescription(kind: .floppy, path: path))
    let medium = try #require(drive.medium)
    #expect(medium.image.sectorCount == 2880)
    #expect(try medium.image.bytes(sector: 2879) == [UInt8](repeating: 0, count: 512))
    #expect(medium.notes.count == 1)
  }

  @Test func refusesWhatItsKindCannotBe() {
    #expect(refusal(.floppy, files.make("big.img", size: 4 << 20))?.problem == .oversized)
    #expect(refusal(.hardDisk, nil)?.problem == .noMedium)
    #expect(refusal(.cdrom, nil) == nil)
    let disk = partitioned(
      first: 63, count: 100_000, start: tuple(0, 1, 1), end: tuple(1023, 254, 63))
    let cut = refusal(.hardDisk, files.make("cut.img", disk, size: 1 << 20))
    #expect(cut?.problem == .truncated)
    #expect(cut?.description.contains("truncated") == true)
    var cd = CDImage()
    cd.put(16 * 2048 + 80, little32(5000))
    #expect(refusal(.cdrom, files.make("cut.iso", cd.data))?.problem == .truncated)
    cd.put(16 * 2048 + 80, little32(40 + 150))
    #expect(refusal(.cdrom, files.make("short.iso", cd.data)) == nil)
  }

  @Test func aCDIsNeverWritten() throws {
    let path = files.make("desk.iso", CDImage().data)
    let drive = try Drive(DriveDescription(kind: .cdrom, path: path, readOnly: false))
    #expect(drive.medium?.image.isReadOnly == true)
    #expect(refusal(.cdrom, path) == nil)
  }

  @Test func mediaChangeAndAreLocked() throws {
    let first = files.make("a.img", size: 1440 << 10)
    let second = files.make("b.img", size: 720 << 10)
    let drive = try Drive(DriveDescription(kind: .floppy, path: first))
    #expect(!drive.mediaChanged)
    drive.lockCount = 1
    #expect(throws: ImageError.self) { try drive.eject() }
    #expect(throws: ImageError.self) { try drive.insert(path: second) }
    drive.lockCount = 0
    try drive.insert(path: second)
    #expect(drive.mediaChanged)
    #expect(drive.medium?.geometry == CHSGeometry(cylinders: 80, heads: 2, sectors: 9))
    drive.mediaChanged = false
    #expect(throws: ImageError.self) { try drive.insert(path: "\(files.folder)/none") }
    #expect(drive.medium?.path == second && !drive.mediaChanged)
    try drive.eject()
    #expect(drive.medium == nil && drive.mediaChanged)
    let again = try RawImage(path: second, readOnly: false)
    #expect(again.sectorCount == 1440)
  }

  @Test func aBuiltInDisketteIsWrittenInMemory() throws {
    let medium = try Medium(floppy: [UInt8](repeating: 7, count: 700), name: "demo")
    let drive = Drive(.floppy, medium: medium)
    let image = try #require(drive.medium?.image)
    #expect(image.sectorCount == 2880)
    #expect(try image.bytes(sector: 1)[187...188] == [7, 0])
    try [UInt8](repeating: 9, count: 512).withUnsafeBytes {
      try image.write(sector: 2879, count: 1, from: $0)
    }
    #expect(try image.bytes(sector: 2879) == [UInt8](repeating: 9, count: 512))
    #expect(throws: ImageError.self) { try image.bytes(sector: 2880) }
    #expect(throws: ImageError.self) {
      try Medium(floppy: [UInt8](repeating: 7, count: 4 << 20), name: "demo")
    }
  }

  @Test func aHardDiskStaysWhereItIs() throws {
    let path = files.make("disk.img", size: 1 << 20)
    let drive = try Drive(DriveDescription(kind: .hardDisk, path: path))
    #expect(!drive.isRemovable)
    #expect(throws: ImageError.self) { try drive.eject(force: true) }
    #expect(drive.medium != nil)
  }
}
