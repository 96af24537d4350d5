import KVMEngine

/// An open qcow2 image: its tables, and how the medium's bytes are found and changed in them.
/// Confined to the lock of its ``QCOW2Image``.
///
/// What may be lost when the host loses power is decided by the order of writes, which is the same
/// everywhere here:
///
/// 1. data, and the counts that say that its clusters are in use, and tables that nothing names yet;
/// 2. a flush;
/// 3. the entries of L2 and L1 tables that name them;
/// 4. a flush, before clusters that are no longer named are counted as free.
///
/// So a cluster that is named is counted and holds what was written, and the worst that is left over
/// is a cluster that is counted and not named.
final class QCOW2Volume {
  let file: any HostFile
  let backing: (any StoredImage)?
  var header: QCOW2Header
  /// The L1 table, as numbers of this host.
  var l1: [UInt64]
  var dirtyL1Sectors: Set<Int> = []
  let tables: MetadataCache
  /// Nil where nothing is written.
  let refcounts: QCOW2Refcounts?
  var fixed = MetadataMap()
  var allocator = AllocatorState()
  /// L2 tables that the L1 table on the storage does not name yet.
  var newTables: Set<UInt64> = []
  /// Clusters with one user less, once the storage agrees.
  var released: [UInt64] = []
  /// Something was written since the last flush.
  var isUnflushed = true
  var hasBegun = false
  /// Why nothing is written any more.
  var failure: ImageError?
  /// The first byte behind what was packed last; 0 for none.
  var packedEnd: UInt64 = 0
  /// The compressed cluster that was unpacked last.
  var unpacked: UInt64 = 0
  lazy var unpackedMemory = ZeroedMemory(byteCount: clusterBytes)
  /// A cluster that is put together.
  lazy var scratch = ZeroedMemory(byteCount: clusterBytes)

  private static let tableCacheBytes = 1 << 20

  init(
    _ file: any HostFile, _ header: QCOW2Header, backing: (any StoredImage)?
  ) throws(ImageError) {
    self.file = file
    self.header = header
    self.backing = backing
    let raw = try file.loadBytes(Int(header.l1Count) * 8, at: header.l1Offset)
    l1 = stride(from: 0, to: raw.count, by: 8).map { raw.big64($0) }
    tables = MetadataCache(file, clusterBytes: header.clusterBytes, bytes: Self.tableCacheBytes)
    refcounts = file.isReadOnly ? nil : try QCOW2Refcounts(file, header)
    if !file.isReadOnly { try prepareWriting() }
  }

  var clusterBytes: Int { 1 << header.clusterBits }
  var clusterBits: UInt64 { UInt64(header.clusterBits) }

  /// The number of the cluster of the file in which byte `offset` lies.
  func cluster(at offset: UInt64) -> UInt64 { offset >> clusterBits }

  func damaged(_ what: String) -> ImageError { ImageError.damaged(file.path, what) }

  /// Finds out which clusters are the image's own, and where new ones begin.
  private func prepareWriting() throws(ImageError) {
    guard let refcounts else { return }
    guard header.incompatible & QCOW2Feature.corrupt == 0 else {
      throw damaged(
        "a program marked it so; it can be read, and \"porthole disk check\" says what is wrong")
    }
    fixed.set("header", 0..<1)
    fixed.set("L1", clusters(header.l1Offset, UInt64(header.l1Count) * 8))
    fixed.set(
      "refcounts", clusters(refcounts.tableOffset, UInt64(refcounts.tableClusters) << clusterBits))
    var own: [UInt64] = refcounts.table.filter { $0 != 0 }.map { cluster(at: $0) }
    for entry in l1 {
      let offset = L2Entry(raw: entry).offset
      guard offset % UInt64(clusterBytes) == 0 else {
        throw damaged("an L2 table at byte \(offset) is within a cluster")
      }
      if offset != 0 { own.append(cluster(at: offset)) }
    }
    if let twice = fixed.fill(own, many: try snapshotRanges()) {
      throw damaged("the cluster at byte \(twice << clusterBits) is two of its tables at once")
    }
    guard file.growsWithZeroes else {
      allocator.tail = try refcounts.endOfCounted()
      return
    }
    allocator.tail = max(1, cluster(at: try file.size() &+ UInt64(clusterBytes) &- 1))
    allocator.untouched = allocator.tail
  }

  /// The clusters of `count` bytes at `offset`.
  func clusters(_ offset: UInt64, _ count: UInt64) -> Range<UInt64> {
    let first = cluster(at: offset)
    guard count > 0 else { return first..<first }
    return first..<(cluster(at: offset &+ count &- 1) &+ 1)
  }

  // MARK: Entries

  /// The L2 table for `cluster` of the medium, as an offset in the file; 0 where there is none.
  func tableOffset(of cluster: UInt64) throws(ImageError) -> UInt64 {
    let number = Int(clamping: cluster >> UInt64(header.l2Bits))
    guard number < l1.count else { return 0 }
    let offset = L2Entry(raw: l1[number]).offset
    guard offset % UInt64(clusterBytes) == 0 else {
      throw damaged("entry \(number) of its L1 table points to byte \(offset), within a cluster")
    }
    return offset
  }

  /// The slot with the entry for `cluster` in the table at `table`.
  func slot(of cluster: UInt64, in table: UInt64) throws(ImageError) -> Int {
    let number = cluster & ((1 << UInt64(header.l2Bits)) - 1)
    let piece = table &+ number * 8 / UInt64(tables.pieceBytes) * UInt64(tables.pieceBytes)
    if let slot = try tables.slot(at: piece) { return slot }
    try commit()
    guard let slot = try tables.slot(at: piece) else {
      throw damaged("its tables have no room in memory")
    }
    return slot
  }

  /// How many entries follow `cluster` in the same piece of its table, itself included.
  func entriesLeft(from cluster: UInt64) -> Int {
    let perPiece = tables.pieceBytes / 8
    return perPiece - Int(cluster & UInt64(perPiece - 1))
  }

  /// What `entry`, for `cluster` of the medium, is; checked.
  func check(_ entry: L2Entry, for cluster: UInt64) throws(ImageError) {
    guard !entry.isCompressed else { return }
    guard entry.offset % UInt64(clusterBytes) == 0 else {
      throw damaged(
        "the data of byte \(cluster << clusterBits) is at byte \(entry.offset), within a cluster")
    }
    guard !entry.isZero || header.version > 2 else {
      throw damaged(
        "byte \(cluster << clusterBits) has a flag that version 2 does not know")
    }
  }
}
