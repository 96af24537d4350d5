import Glibc
import KVMEngine
import Machine
import Storage
import Testing

/// The BIOS services as a real-mode program finds them (Guests/services.S).
@Suite(.serialized) struct ServicesTests {
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

  @Test(arguments: usableEngines)
  func everyServiceAnswersARealModeProgram(engine: EngineKind) throws {
    let disk = "/tmp/porthole-services-\(getpid())-\(engine).img"
    try Self.makeDisk(disk)
    defer { unlink(disk) }
    let run = try GuestRun("services", limit: 60) { configuration in
      configuration.memoryBytes = 32 << 20
      configuration.engine = engine
      configuration.drives = [DriveDescription(kind: .hardDisk, path: disk)]
    }
    let started = time(nil)
    let (reason, report) = try run.answerRequests()
    report.expectSuccess(reason, checks: 470)
    #expect(report.values["sent"] == "by INT 14h")
    Self.expectTime(report, from: started, to: time(nil))
    // What the guest wrote last is in the image.
    let last = try Self.bytes(of: disk, at: (Self.diskSectors - 1) * 512, count: 8)
    #expect(last == [0xFF, 0x7F, 0, 0, 0x0D, 0xF0, 0x0D, 0x60])
  }

  /// The guest's clock showed a moment of the test, in UTC.
  private static func expectTime(_ report: CheckReport, from start: time_t, to end: time_t) {
    let said = (report.values["date"] ?? "") + (report.values["time"] ?? "")
    let possible = (start...end).map { second -> String in
      var second = second
      var parts = tm()
      gmtime_r(&second, &parts)
      let fields = [parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec]
      return "\(parts.tm_year + 1900)" + fields.map { $0 < 10 ? "0\($0)" : "\($0)" }.joined()
    }
    #expect(possible.contains(said))
  }

  private static func bytes(of path: String, at offset: Int, count: Int) throws -> [UInt8] {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { throw GuestRun.Failure(description: "cannot open \(path)") }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: count)
    guard pread(file, &bytes, count, off_t(offset)) == count else {
      throw GuestRun.Failure(description: "cannot read \(path)")
    }
    return bytes
  }
}
