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
  /// The image's format; nil where its contents tell (``DiskImage/open(path:readOnly:format:cache:)``).
  public var format: ImageFormat?
  /// Nil for ``CacheMode/writeback``.
  public var cache: CacheMode?
  /// Nil for ``DiscardMode/unmap``.
  public var discard: DiscardMode?

  public init(
    kind: DriveKind, path: String?, readOnly: Bool = false, format: ImageFormat? = nil,
    cache: CacheMode? = nil, discard: DiscardMode? = nil
  ) {
    self.kind = kind
    self.path = path
    self.readOnly = readOnly
    self.format = format
    self.cache = cache
    self.discard = discard
  }
}

/// An image in a drive.
public struct Medium: Sendable {
  public let path: String
  public let image: any BlockImage
  /// The image where a disk gives back what the guest trims; nil where it does not.
  let trimmed: (any StoredImage)?
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
    let stored = try DiskImage.open(
      path: path, readOnly: readOnly, format: description.format,
      cache: description.cache ?? .writeback)
    let first = try stored.bytes(sector: 0)
    var sectors = stored.sectorCount
    switch description.kind {
    case .floppy:
      guard let format = FloppyGeometry(sectorCount: sectors, firstSector: first) else {
        throw ImageError(
          path, .oversized,
          "\(path) has \(stored.byteCount) bytes, more than a floppy disk holds; "
            + "give it as a hard disk")
      }
      geometry = format.chs
      sectors = max(sectors, format.chs.sectorCount)
    case .hardDisk:
      try Self.checkPartitions(first, of: stored)
      geometry = DiskGeometry.of(sectorCount: sectors, firstSector: first)
    case .cdrom:
      try Self.checkVolume(of: stored)
      geometry = CHSGeometry(cylinders: 1, heads: 1, sectors: 1)
      sectors = (sectors + 3) / 4 * 4
    }
    notes =
      stored.byteCount >= sectors * 512
      ? []
      : [
        "\(path) has \(stored.byteCount) bytes; it is used as a \(description.kind.rawValue) of "
          + "\(sectors * 512), the rest as zeroes"
      ]
    image = Self.padded(stored, to: sectors)
    let trims = description.kind == .hardDisk && description.discard != .ignore
    trimmed = trims && stored.givesRoomBack ? stored : nil
    self.path = path
  }

  private static func padded(_ image: any StoredImage, to sectors: UInt64) -> any BlockImage {
    guard sectors > image.sectorCount else { return image }
    guard let raw = image as? RawImage else { return PaddedImage(image, sectorCount: sectors) }
    raw.pad(to: sectors)
    return raw
  }

  /// A medium that is open already.
  public init(path: String, image: any BlockImage, geometry: CHSGeometry) {
    self.path = path
    self.image = image
    trimmed = image as? any StoredImage
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
    trimmed = nil
    notes = []
  }

  private static func checkPartitions(_ first: [UInt8], of image: any StoredImage)
    throws(ImageError)
  {
    guard let table = PartitionTable(first), table.limit > image.sectorCount else { return }
    throw ImageError.truncated(
      image.path, has: image.byteCount, says: table.limit * 512, source: "its partition table")
  }

  /// Blocks that a volume may count and its image may lack: burning programs left the post-gap out.
  private static let postgap: UInt64 = 150

  private static func checkVolume(of image: any StoredImage) throws(ImageError) {
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
