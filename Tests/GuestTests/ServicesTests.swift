import Glibc
import KVMEngine
import Machine
import Storage
import Testing

/// The BIOS services as a real-mode program finds them (Guests/services.S).
@Suite(.serialized, .enabled(if: hasKVM, "this host has no usable /dev/kvm"))
struct ServicesTests {
  static let diskSectors = 32768

  /// A hard disk whose sectors each begin with their own number.
  private static func makeDisk(_ path: String) throws {
    var bytes = [UInt8](repeating: 0, count: diskSectors * 512)
    for sector in 1..<diskSectors {
      bytes[sector * 512] = UInt8(sector & 0xFF)
      bytes[sector * 512 + 1] = UInt8(sector >> 8)
    }
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0, write(file, bytes, bytes.count) == bytes.count else {
      throw GuestRun.Failure(description: "cannot make \(path)")
    }
    close(file)
  }

  @Test func everyServiceAnswersARealModeProgram() throws {
    let disk = "/tmp/porthole-services-\(getpid()).img"
    try Self.makeDisk(disk)
    defer { unlink(disk) }
    let run = try GuestRun("services", limit: 120) { configuration in
      configuration.memoryBytes = 32 << 20
      configuration.drives = [DriveDescription(kind: .hardDisk, path: disk)]
    }
    let (reason, report) = try run.answerRequests()
    report.expectSuccess(reason, checks: 30)
  }
}
