import Synchronization

/// What a drive is.
public enum DriveKind: String, Sendable, Codable, CaseIterable {
  case floppy
  case hardDisk = "hard disk"
  case cdrom = "CD"
}

/// A drive as a user asks for it.
public struct DriveDescription: Sendable, Equatable, Codable {
  public var kind: DriveKind
  /// The image's path; nil for a drive that starts empty.
  public var path: String?
  /// Whether the guest can't write. CDs are always read-only.
  public var readOnly: Bool

  public init(kind: DriveKind, path: String?, readOnly: Bool = false) {
    self.kind = kind
    self.path = path
    self.readOnly = readOnly
  }
}

/// An image in a drive.
public struct Medium: Sendable {
  public let path: String
  public let image: any BlockImage
  /// How INT 13h counts its sectors. A CD's is of no use.
  public let geometry: CHSGeometry
  /// What a user should know about it, as whole sentences.
  public let notes: [String]

  /// Opens the image that `description` names, as a medium for such a drive.
  /// - Throws: ``ImageError`` where there is none or it can't be such a medium.
  public init(_ description: DriveDescription) throws(ImageError) {
    guard let path = description.path else {
      throw ImageError("", .noMedium, "the \(description.kind.rawValue) drive is empty")
    }
    let readOnly = description.readOnly || description.kind == .cdrom
    var raw = try RawImage(path: path, readOnly: readOnly)
    var notes: [String] = []
    let first = try raw.bytes(sector: 0)
    switch description.kind {
    case .floppy:
      guard let format = FloppyGeometry(sectorCount: raw.sectorCount, firstSector: first) else {
        throw ImageError(
          path, .oversized,
          "\(path) has \(raw.byteCount) bytes, more than a floppy disk holds; "
            + "give it as a hard disk")
      }
      geometry = format.chs
      raw = RawImage(raw, atLeast: format.chs.sectorCount)
    case .hardDisk:
      try Self.checkPartitions(first, of: raw)
      geometry = DiskGeometry.of(sectorCount: raw.sectorCount, firstSector: first)
    case .cdrom:
      try Self.checkVolume(of: raw)
      geometry = CHSGeometry(cylinders: 1, heads: 1, sectors: 1)
      raw = RawImage(raw, atLeast: (raw.sectorCount + 3) / 4 * 4)
    }
    if raw.byteCount < raw.sectorCount * 512 {
      notes.append(
        "\(path) has \(raw.byteCount) bytes; it is used as a \(description.kind.rawValue) of "
          + "\(raw.sectorCount * 512), the rest as zeroes")
    }
    self.path = path
    image = raw
    self.notes = notes
  }

  /// A medium that is open already.
  public init(path: String, image: any BlockImage, geometry: CHSGeometry) {
    self.path = path
    self.image = image
    self.geometry = geometry
    notes = []
  }

  /// A diskette of `bytes` in memory.
  /// - Parameter name: how messages call it.
  /// - Throws: ``ImageError`` `.oversized`.
  public init(floppy bytes: [UInt8], name: String) throws(ImageError) {
    let sectors = UInt64((bytes.count + 511) / 512)
    guard let format = FloppyGeometry(sectorCount: sectors, firstSector: Array(bytes.prefix(512)))
    else {
      throw ImageError(name, .oversized, "\(name) is more than a floppy disk holds")
    }
    path = name
    geometry = format.chs
    image = MemoryImage(bytes, sectorCount: format.chs.sectorCount)
    notes = []
  }

  private static func checkPartitions(_ first: [UInt8], of image: RawImage) throws(ImageError) {
    guard let table = PartitionTable(first), table.limit > image.sectorCount else { return }
    throw ImageError.truncated(
      image.path, has: image.byteCount, says: table.limit * 512, source: "its partition table")
  }

  /// Blocks that a volume may count and its image may lack: burning programs left the post-gap out.
  private static let postgap: UInt64 = 150

  private static func checkVolume(of image: RawImage) throws(ImageError) {
    guard let volume = try? ISO9660(image, path: image.path) else { return }
    let says = UInt64(volume.blockCount)
    guard says * Sector.perCDBlock > image.sectorCount + postgap * Sector.perCDBlock else { return }
    throw ImageError.truncated(
      image.path, has: image.byteCount, says: says * 2048, source: "its volume descriptor")
  }
}

/// A drive of the PC with the medium in it.
///
/// Media of removable kinds come and go while the machine runs, from any thread.
public final class Drive: Sendable {
  private struct State {
    var medium: Medium?
    var changed = false
    var changes: UInt64 = 0
    var lockCount: UInt8 = 0
  }

  public let kind: DriveKind
  private let state: Mutex<State>

  /// Makes the drive and opens its image.
  /// - Throws: ``ImageError``, also for a hard disk without an image.
  public init(_ description: DriveDescription) throws(ImageError) {
    kind = description.kind
    let isEmpty = description.path == nil && description.kind != .hardDisk
    let medium: Medium? = isEmpty ? nil : try Medium(description)
    state = Mutex(State(medium: medium))
  }

  /// A drive with a medium that is there already.
  public init(_ kind: DriveKind, medium: Medium) {
    self.kind = kind
    state = Mutex(State(medium: medium))
  }

  /// Whether its medium can be taken out.
  public var isRemovable: Bool { kind != .hardDisk }
  /// What is in it now.
  public var medium: Medium? { state.withLock { $0.medium } }
  /// How often the guest locked the medium into the drive, 0 to 255.
  public var lockCount: UInt8 {
    get { state.withLock { $0.lockCount } }
    set { state.withLock { $0.lockCount = newValue } }
  }
  /// Whether the medium was changed since the guest last asked: the diskette change line.
  public var mediaChanged: Bool {
    get { state.withLock { $0.changed } }
    set { state.withLock { $0.changed = newValue } }
  }

  /// How often the medium was changed since the drive was made: who remembers it sees a change that
  /// ``mediaChanged`` told to someone else.
  public var changeCount: UInt64 { state.withLock { $0.changes } }

  /// Takes the medium out; its image is closed when its last transfer has ended.
  /// - Parameter force: even where the guest locked it.
  /// - Throws: ``ImageError`` `.locked`.
  public func eject(force: Bool = false) throws(ImageError) {
    try replace(with: nil, force: force)
  }

  /// Puts the image at `path` in, instead of what was in it.
  /// - Throws: ``ImageError``; the old medium stays then.
  public func insert(path: String, readOnly: Bool = false, force: Bool = false) throws(ImageError) {
    try checkDoor(force: force)
    let medium = try Medium(DriveDescription(kind: kind, path: path, readOnly: readOnly))
    try replace(with: medium, force: force)
  }

  private func checkDoor(force: Bool) throws(ImageError) {
    guard isRemovable else {
      throw ImageError(medium?.path ?? "", .locked, "a hard disk can't be taken out")
    }
    guard force || lockCount == 0 else {
      throw ImageError(
        medium?.path ?? "", .locked, "the guest locked the medium into the \(kind.rawValue) drive")
    }
  }

  private func replace(with medium: Medium?, force: Bool) throws(ImageError) {
    try checkDoor(force: force)
    let old = state.withLock { state in
      let old = state.medium
      state = State(
        medium: medium, changed: true, changes: state.changes &+ 1, lockCount: 0)
      return old
    }
    try old?.image.flush()
  }
}
