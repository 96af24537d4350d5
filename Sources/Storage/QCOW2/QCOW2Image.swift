import KVMEngine

/// A qcow2 image, version 2 or 3.
///
/// One lock guards it; a request holds it until it is done, as the controllers, which have one
/// request under way each, can't tell.
public final class QCOW2Image: StoredImage, @unchecked Sendable {
  // SAFETY: `volume` and `isScheduled` are used with `lock` held only.
  private let lock = Monitor()
  private let volume: QCOW2Volume
  public let path: String
  public let isReadOnly: Bool
  public var format: ImageFormat { .qcow2 }
  public let backing: (any StoredImage)?
  /// Whether what is kept in memory goes to the file by itself after a while.
  private let settles: Bool
  private var isScheduled = false

  /// The image in `file`, which is open and locked, over `backing`.
  /// - Parameter settles: what is kept in memory goes to the file by itself after a while.
  init(
    _ file: any HostFile, _ header: QCOW2Header, backing: (any StoredImage)?,
    settles: Bool = false
  ) throws(ImageError) {
    self.settles = settles && !file.isReadOnly
    volume = try QCOW2Volume(file, header, backing: backing)
    path = file.path
    isReadOnly = file.isReadOnly
    self.backing = backing
  }

  deinit {
    // Whoever needs to know whether this went well has flushed before.
    if !isReadOnly { try? volume.flush() }
  }

  /// Runs `body` with the lock held.
  func locked<Result>(
    _ body: (QCOW2Volume) throws(ImageError) -> Result
  ) throws(ImageError) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body(volume)
  }

  public var byteCount: UInt64 { lock.withLock { volume.header.size } }
  public var sectorCount: UInt64 { (byteCount + 511) / 512 }

  public func read(
    sector: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    let length = count &* Sector.bytes
    try locked { volume throws(ImageError) in
      guard volume.holds(sector, count), buffer.count >= length else {
        throw ImageError.outOfRange(path, sector: sector, count: count)
      }
      try volume.read(
        UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]), at: sector * 512)
    }
  }

  public func write(
    sector: UInt64, count: Int, from buffer: UnsafeRawBufferPointer
  ) throws(ImageError) {
    guard !isReadOnly else { throw ImageError.readOnly(path) }
    let length = count &* Sector.bytes
    try locked { volume throws(ImageError) in
      guard volume.holds(sector, count), buffer.count >= length else {
        throw ImageError.outOfRange(path, sector: sector, count: count)
      }
      try volume.write(UnsafeRawBufferPointer(rebasing: buffer[..<length]), at: sector * 512)
      scheduleSettling()
    }
  }

  /// Lock held.
  private func scheduleSettling() {
    guard settles, !isScheduled, volume.isDirty else { return }
    isScheduled = true
    ImageSettler.shared.schedule(self)
  }

  /// Brings the tables to the file. What fails here is told by the next flush.
  func settle() {
    lock.withLock {
      isScheduled = false
      try? volume.commit()
    }
  }

  public func flush() throws(ImageError) {
    guard !isReadOnly else { return }
    try locked { volume throws(ImageError) in try volume.flush() }
  }

  /// Version 2 can't say that a cluster is zeroes where something is below: it would take more room.
  public var givesRoomBack: Bool {
    !isReadOnly && (backing == nil || lock.withLock { volume.header.version } > 2)
  }

  public func zero(sector: UInt64, count: UInt64) throws(ImageError) {
    guard !isReadOnly else { throw ImageError.readOnly(path) }
    try locked { volume throws(ImageError) in
      let sectors = (volume.header.size + 511) / 512
      guard sector <= sectors, count <= sectors - sector else {
        throw ImageError.outOfRange(path, sector: sector, count: Int(clamping: count))
      }
      try volume.zero(sector * 512, count: count * 512)
      scheduleSettling()
    }
  }

  public func resize(to byteCount: UInt64) throws(ImageError) {
    guard !isReadOnly else { throw ImageError.readOnly(path) }
    try locked { volume throws(ImageError) in
      guard volume.header.snapshotCount == 0 || byteCount >= volume.header.size else {
        throw ImageError.unsupported(path, "has snapshots, so that it can't be made smaller")
      }
      try volume.resize(to: byteCount)
    }
  }

  public func extent(sector: UInt64, limit: UInt64) throws(ImageError) -> ImageExtent {
    try locked { volume throws(ImageError) in
      guard volume.holds(sector, 1) else {
        throw ImageError.outOfRange(path, sector: sector, count: Int(clamping: limit))
      }
      return try volume.extent(sector * 512, limit: max(1, limit))
    }
  }

  /// The internal snapshots.
  public func snapshots() throws(ImageError) -> [QCOW2Snapshot] {
    try locked { volume throws(ImageError) in
      try QCOW2Snapshot.all(volume.file, volume.header).snapshots
    }
  }
}

extension QCOW2Volume {
  /// Whether the medium has these sectors.
  func holds(_ sector: UInt64, _ count: Int) -> Bool {
    let sectors = (header.size + 511) / 512
    return count >= 0 && sector <= sectors && UInt64(count) <= sectors - sector
  }

  /// What is at byte `offset` of the medium, for at most `limit` sectors.
  func extent(_ offset: UInt64, limit: UInt64) throws(ImageError) -> ImageExtent {
    let skip = offset & UInt64(clusterBytes - 1)
    let clusters = Int(clamping: (min(limit, 1 << 40) * 512) >> clusterBits) + 2
    let run = try run(at: cluster(at: offset), limit: clusters)
    let bytes = UInt64(run.count) << clusterBits - skip
    let left = (header.size + 511) / 512 - offset / 512
    let count = max(1, min(bytes / 512, limit, left))
    switch run.kind {
    case .absent: return ImageExtent(kind: .absent, count: count)
    case .zero: return ImageExtent(kind: .zero, count: count)
    case .compressed: return ImageExtent(kind: .compressed, count: count)
    case .data(let start):
      return ImageExtent(kind: .data, count: count, fileOffset: start &+ skip)
    }
  }
}
