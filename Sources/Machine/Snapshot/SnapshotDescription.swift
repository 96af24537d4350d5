import Glibc
import Input
import KVMEngine
import Storage

/// What a snapshot says of itself: the machine that it needs, independent of the engine.
public struct SnapshotDescription: Codable, Equatable, Sendable {
  /// A drive, and the image that was in it.
  public struct DriveRecord: Codable, Equatable, Sendable {
    public var drive: DriveDescription
    /// The image's length; 0 without one.
    public var bytes: UInt64
    /// When the image was last written, nanoseconds since 1970.
    public var modified: Int64
  }

  public var memoryBytes: Int
  public var processors: Int
  /// The engine that ran it, for people.
  public var engine: String
  public var drives: [DriveRecord]
  /// Bytes of the disk that is built in; nil without one.
  public var builtInFloppyBytes: Int?
  public var bootOrder: [DriveKind]
  /// What a reset boots; nil for media.
  public var directBoot: DirectBootFiles?
  /// Which firmware started it.
  public var firmwareKind: FirmwareKind
  /// Which processors the guest sees, as a user writes it.
  public var cpu: String
  /// Where that firmware keeps its variables, if anywhere.
  public var firmwareVariables: String?
  /// What the guest believes its keyboard types, by name.
  public var keyboard: String
  public var debugExit: Bool
  public var stopsOnTripleFault: Bool
  /// Of the firmware, whose services a guest may be in the middle of.
  var firmware: UInt64
  /// The machine's clock, nanoseconds.
  var elapsed: UInt64
  /// The host's time-stamp counter at that moment, which the processors' are counted from.
  var timestamp: UInt64
  var isA20Open: Bool

  /// The record of `drive`, with what the host says of its image now.
  static func record(_ drive: DriveDescription) -> DriveRecord {
    var drive = drive
    var status = stat()
    guard let path = drive.path, stat(path, &status) == 0 else {
      return DriveRecord(drive: drive, bytes: 0, modified: 0)
    }
    drive.path = wholePath(path)
    let time = status.st_mtim
    return DriveRecord(
      drive: drive, bytes: UInt64(clamping: status.st_size),
      modified: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
  }

  /// `path` from the root on: whoever restores may do it from another folder.
  static func wholePath(_ path: String) -> String {
    guard let whole = realpath(path, nil) else { return path }
    defer { free(whole) }
    return String(cString: whole)
  }

  /// Names this program's firmware.
  static var firmwareMark: UInt64 {
    ROMImage.bytes.withUnsafeBytes { SnapshotFile.checksum(0, $0) }
  }

  /// Reads what the snapshot at `path` says of itself.
  public static func read(_ path: String) throws(SnapshotError) -> SnapshotDescription {
    try read(SnapshotReader(path: path))
  }

  static func read(_ reader: SnapshotReader) throws(SnapshotError) -> SnapshotDescription {
    guard let section = try reader.next(), section.kind == .description else {
      throw reader.damaged("it does not begin with a description")
    }
    guard let value = SnapshotValue(decoding: section.bytes),
      let description = try? SnapshotDecoder.decode(SnapshotDescription.self, from: value)
    else { throw reader.damaged("its description can't be read") }
    if let problem = description.problem { throw reader.damaged(problem) }
    return description
  }

  private var problem: String? {
    let granularity = MachineConfiguration.memoryGranularity
    guard memoryBytes >= 2 * granularity, memoryBytes % granularity == 0 else {
      return "its memory is no machine's"
    }
    guard 1...MachineConfiguration.maximumProcessors ~= processors else {
      return "it has \(processors) processors"
    }
    guard (1...(4 << 20)).contains(builtInFloppyBytes ?? 1) else {
      return "its built-in disk is too large"
    }
    return nil
  }
}

extension MachineConfiguration {
  /// The machine of the snapshot at `path`, to go on where it stood. Screen, serial port, name and
  /// engine are those of any machine; media are those of the snapshot, and may be replaced by as
  /// many of the same kind.
  public init(restoring path: String) throws(SnapshotError) {
    self.init()
    let description = try SnapshotDescription.read(path)
    restore = path
    memoryBytes = description.memoryBytes
    processors = description.processors
    drives = description.drives.map(\.drive)
    builtInFloppy = description.builtInFloppyBytes.map { [UInt8](repeating: 0, count: $0) }
    bootOrder = description.bootOrder
    directBoot = description.directBoot
    firmware = description.firmwareKind
    do throws(CPUModel.Problem) { cpu = try CPUModel(description.cpu) } catch {
      throw SnapshotError("cannot go on from \(path): \(error)")
    }
    firmwareVariables = description.firmwareVariables
    guard let layout = KeyboardLayout.named(description.keyboard) else {
      throw SnapshotError(
        "cannot go on from \(path): there is no keyboard layout \"\(description.keyboard)\"")
    }
    keyboard = layout
    debugExit = description.debugExit
    onTripleFault = description.stopsOnTripleFault ? .stop : .reset
  }
}
