/// An internal snapshot, as the image's table of them says (QEMU docs/interop/qcow2.rst,
/// "Snapshots").
public struct QCOW2Snapshot: Sendable, Equatable {
  public let id: String
  public let name: String
  /// Seconds since 1970.
  public let seconds: UInt32
  /// Nanoseconds for which the guest had run.
  public let runTime: UInt64
  /// Bytes of the machine's state beside the disk, 0 for none.
  public let stateBytes: UInt64
  /// Bytes of the medium when it was taken.
  public let diskBytes: UInt64
  let l1Offset: UInt64
  let l1Count: UInt32

  private static let fixedBytes = 40
  /// Bytes that a table of snapshots may have, as in QEMU.
  private static let maximumTableBytes = 64 << 20
  /// What an entry may have beside its names.
  private static let maximumExtraBytes: UInt32 = 1024

  /// The snapshots of the image in `file`, and how many bytes their table has.
  /// - Throws: ``ImageError``: what is wrong, and where.
  static func all(
    _ file: any HostFile, _ header: QCOW2Header
  ) throws(ImageError) -> (snapshots: [QCOW2Snapshot], bytes: UInt64) {
    var found: [QCOW2Snapshot] = []
    var at = header.snapshotsOffset
    for number in 0..<Int(header.snapshotCount) {
      let fixed = try file.loadBytes(fixedBytes, at: at)
      let extra = fixed.big32(36)
      guard extra <= maximumExtraBytes, at - header.snapshotsOffset < UInt64(maximumTableBytes)
      else {
        throw ImageError.damaged(file.path, "its snapshot \(number) at byte \(at) is impossible")
      }
      let sizes = (id: Int(fixed.big32(12) >> 16), name: Int(fixed.big32(12) & 0xFFFF))
      let rest = try file.loadBytes(Int(extra) + sizes.id + sizes.name, at: at + UInt64(fixedBytes))
      found.append(QCOW2Snapshot(fixed, rest, extra: Int(extra), idBytes: sizes.id, header.size))
      at += UInt64((fixedBytes + rest.count + 7) / 8 * 8)
    }
    return (found, at - header.snapshotsOffset)
  }

  private init(
    _ fixed: [UInt8], _ rest: [UInt8], extra: Int, idBytes: Int, _ diskBytes: UInt64
  ) {
    l1Offset = fixed.big64(0)
    l1Count = fixed.big32(8)
    seconds = fixed.big32(16)
    runTime = fixed.big64(24)
    stateBytes = extra >= 8 ? rest.big64(0) : UInt64(fixed.big32(32))
    self.diskBytes = extra >= 16 ? rest.big64(8) : diskBytes
    id = String(decoding: rest[extra..<(extra + idBytes)], as: UTF8.self)
    name = String(decoding: rest[(extra + idBytes)...], as: UTF8.self)
  }

  /// Checks where its L1 table is.
  func checkTable(_ file: any HostFile, _ header: QCOW2Header) throws(ImageError) {
    guard UInt64(l1Count) * 8 <= QCOW2Header.maximumL1Bytes,
      l1Offset % UInt64(header.clusterBytes) == 0, l1Offset < (try file.size()),
      l1Count == 0 || l1Offset != 0
    else {
      throw ImageError.damaged(
        file.path,
        "the L1 table of its snapshot \(id), \(l1Count) entries at byte \(l1Offset), "
          + "can't be there")
    }
  }
}

extension QCOW2Volume {
  /// The clusters of the table of snapshots and of their L1 tables.
  func snapshotRanges() throws(ImageError) -> [Range<UInt64>] {
    guard header.snapshotCount > 0 else { return [] }
    let (snapshots, bytes) = try QCOW2Snapshot.all(file, header)
    var ranges: Set = [clusters(header.snapshotsOffset, bytes)]
    for snapshot in snapshots {
      try snapshot.checkTable(file, header)
      ranges.insert(clusters(snapshot.l1Offset, UInt64(snapshot.l1Count) * 8))
    }
    return Array(ranges)
  }

  /// Shows the medium as `snapshot` kept it. The image is not written afterwards.
  func show(_ snapshot: QCOW2Snapshot) throws(ImageError) {
    try snapshot.checkTable(file, header)
    guard snapshot.diskBytes <= Sector.maximumBytes,
      header.l1Entries(for: snapshot.diskBytes) <= UInt64(snapshot.l1Count)
    else { throw damaged("its snapshot \(snapshot.id) is larger than its tables") }
    let raw = try file.loadBytes(Int(snapshot.l1Count) * 8, at: snapshot.l1Offset)
    l1 = stride(from: 0, to: raw.count, by: 8).map { raw.big64($0) }
    header.size = snapshot.diskBytes
  }
}
