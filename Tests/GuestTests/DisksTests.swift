import Glibc
import KVMEngine
import Machine
import Storage
import Testing

/// The disk controllers as a real-mode program drives them, compared with INT 13h (Guests/disks.S).
@Suite(.serialized) struct DisksTests {
  private static func make(_ path: String, sectors: Int) throws {
    var bytes = [UInt8](repeating: 0, count: sectors * 512)
    for sector in 1..<sectors {
      bytes[sector * 512] = UInt8(truncatingIfNeeded: sector)
      bytes[sector * 512 + 1] = UInt8(truncatingIfNeeded: sector >> 8)
      bytes[sector * 512 + 511] = UInt8(truncatingIfNeeded: sector &* 31)
    }
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0, write(file, bytes, bytes.count) == bytes.count else {
      throw GuestRun.Failure(description: "cannot make \(path)")
    }
    close(file)
  }

  @Test(arguments: usableEngines)
  func controllersAndFirmwareSeeTheSameDisks(engine: EngineKind) throws {
    let disk = "/tmp/porthole-disks-\(getpid())-\(engine).img"
    let disc = "/tmp/porthole-disks-\(getpid())-\(engine).iso"
    try Self.make(disk, sectors: 32768)
    try Self.make(disc, sectors: 4096)
    defer {
      unlink(disk)
      unlink(disc)
    }
    let run = try GuestRun("disks", limit: 60) { configuration in
      configuration.engine = engine
      configuration.drives = [
        DriveDescription(kind: .hardDisk, path: disk), DriveDescription(kind: .cdrom, path: disc),
      ]
    }
    let (reason, report) = try run.answerRequests()
    report.expectSuccess(reason, checks: 35)
  }
}
