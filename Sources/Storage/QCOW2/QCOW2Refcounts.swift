/// How often each cluster of an image is used: the refcount table and its blocks (QEMU
/// docs/interop/qcow2.rst, "Host cluster management").
///
/// Counts may be written at any time: whoever lowers one has made sure that the reference is gone
/// from the storage. Confined to the lock of the image.
final class QCOW2Refcounts {
  let file: any HostFile
  let clusterBits: Int
  let order: Int
  /// log2 of the entries of a block.
  let blockBits: Int
  /// Where each block lies, in bytes of the file; 0 where there is none.
  private(set) var table: [UInt64]
  private(set) var tableOffset: UInt64
  private(set) var tableClusters: UInt32
  /// Where the table goes that became longer, and where it was.
  var pendingPlace: UInt64?
  var oldPlace: Range<UInt64> = 0..<0
  private let cache: MetadataCache
  /// The sectors of the table that differ from the file.
  private var dirtyTableSectors: Set<Int> = []

  private static let cacheBytes = 256 << 10
  /// The bits of a table's entry that are an offset.
  private static let offsetMask: UInt64 = 0xFFFF_FFFF_FFFF_FE00

  init(_ file: any HostFile, _ header: QCOW2Header) throws(ImageError) {
    self.file = file
    clusterBits = header.clusterBits
    order = header.refcountOrder
    blockBits = header.refcountBlockBits
    tableOffset = header.refcountTableOffset
    tableClusters = header.refcountTableClusters
    let bytes = Int(header.refcountTableClusters) << header.clusterBits
    let raw = try file.loadBytes(bytes, at: tableOffset)
    table = stride(from: 0, to: raw.count, by: 8).map { raw.big64($0) & Self.offsetMask }
    cache = MetadataCache(file, clusterBytes: header.clusterBytes, bytes: Self.cacheBytes)
    for offset in table where offset % UInt64(header.clusterBytes) != 0 {
      throw ImageError.damaged(file.path, "a refcount block at byte \(offset) is within a cluster")
    }
  }

  /// The most that a count can be.
  var maximum: UInt64 { order == 6 ? .max : (1 << (1 << UInt64(order))) - 1 }
  /// Whether anything differs from the file.
  var isDirty: Bool { cache.dirtyCount > 0 || !dirtyTableSectors.isEmpty }

  /// The number of the block that counts for `cluster`.
  func blockNumber(of cluster: UInt64) -> Int { Int(clamping: cluster >> UInt64(blockBits)) }

  /// Whether there is a block that counts for `cluster`.
  func hasBlock(for cluster: UInt64) -> Bool {
    let number = blockNumber(of: cluster)
    return number < table.count && table[number] != 0
  }

  // MARK: Counts

  /// How often `cluster` is used.
  func count(of cluster: UInt64) throws(ImageError) -> UInt64 {
    guard hasBlock(for: cluster) else { return 0 }
    let (slot, number) = try place(of: cluster)
    switch order {
    case 6: return cache.entry(number, in: slot)
    case 3, 4, 5:
      let width = 1 << (order - 3)
      var value: UInt64 = 0
      for index in 0..<width {
        value = value << 8 | UInt64(cache.byte(number &* width &+ index, in: slot))
      }
      return value
    default:
      let perByte = 8 >> order
      let shift = UInt8(number % perByte) << UInt8(order)
      let byte = cache.byte(number / perByte, in: slot)
      return UInt64(byte >> shift) & maximum
    }
  }

  /// Sets how often `cluster` is used. There is a block for it, and `value` is at most ``maximum``.
  func setCount(of cluster: UInt64, to value: UInt64) throws(ImageError) {
    guard hasBlock(for: cluster), value <= maximum else {
      throw ImageError.damaged(
        file.path, "the cluster at byte \(cluster << UInt64(clusterBits)) has no refcount")
    }
    let (slot, number) = try place(of: cluster)
    switch order {
    case 6: cache.setEntry(number, in: slot, to: value)
    case 3, 4, 5:
      let width = 1 << (order - 3)
      for index in 0..<width {
        let shift = UInt64((width - 1 - index) * 8)
        cache.setByte(
          number &* width &+ index, in: slot, to: UInt8(truncatingIfNeeded: value >> shift))
      }
    default:
      let perByte = 8 >> order
      let shift = UInt8(number % perByte) << UInt8(order)
      let old = cache.byte(number / perByte, in: slot)
      let mask = UInt8(truncatingIfNeeded: maximum) << shift
      let new = old & ~mask | UInt8(truncatingIfNeeded: value) << shift
      cache.setByte(number / perByte, in: slot, to: new)
    }
  }

  /// The slot with the count of `cluster`, whose block exists, and the number of the entry in the
  /// slot's piece.
  private func place(of cluster: UInt64) throws(ImageError) -> (slot: Int, number: Int) {
    let block = table[blockNumber(of: cluster)]
    let number = Int(cluster & ((1 << UInt64(blockBits)) - 1))
    let perPiece = (cache.pieceBytes * 8) >> order
    let piece = block &+ UInt64(number / perPiece * cache.pieceBytes)
    if let slot = try cache.slot(at: piece) { return (slot, number % perPiece) }
    try cache.writeBack()
    guard let slot = try cache.slot(at: piece) else {
      throw ImageError.damaged(file.path, "its refcounts have no room in memory")
    }
    return (slot, number % perPiece)
  }

  /// The first cluster behind all that are used: where an image ends that lies on a block device.
  func endOfCounted() throws(ImageError) -> UInt64 {
    for number in table.indices.reversed() where table[number] != 0 {
      let block = try file.loadBytes(1 << clusterBits, at: table[number])
      let last = (0..<(1 << blockBits)).last { block.refcount($0, order: order) != 0 }
      if let last { return UInt64(number) << UInt64(blockBits) + UInt64(last) + 1 }
    }
    return 1
  }

  // MARK: Structure

  /// Makes the block that lies at `offset` the one that counts for `cluster`. On the storage it reads
  /// as zeroes already.
  func addBlock(at offset: UInt64, for cluster: UInt64) {
    let number = blockNumber(of: cluster)
    guard table.indices.contains(number) else { return }
    cache.forget(offset..<(offset + UInt64(1) << UInt64(clusterBits)))
    table[number] = offset
    dirtyTableSectors.insert(number * 8 / Sector.bytes)
  }

  /// Whether `cluster` lies beyond what the table can count.
  func isBeyondTable(_ cluster: UInt64) -> Bool { blockNumber(of: cluster) >= table.count }

  /// Makes the table longer in memory; ``moveTable(to:header:)`` follows.
  func extendTable(toClusters clusters: UInt32) {
    let count = Int(clusters) << clusterBits / 8
    table += [UInt64](repeating: 0, count: max(0, count - table.count))
    tableClusters = clusters
  }

  /// Writes the whole table to `offset`, where there is room for it, and then the header that says
  /// so. All of it is on the storage afterwards.
  func moveTable(to offset: UInt64, header: inout QCOW2Header) throws(ImageError) {
    try cache.writeBack()
    var bytes = [UInt8](repeating: 0, count: table.count * 8)
    for (number, block) in table.enumerated() where block != 0 {
      bytes.setBig(block, at: number * 8)
    }
    try file.storeBytes(bytes, at: offset)
    try file.sync()
    var changed = header
    changed.refcountTableOffset = offset
    changed.refcountTableClusters = tableClusters
    try changed.update(in: file)
    try file.sync()
    header = changed
    tableOffset = offset
    dirtyTableSectors = []
  }

  /// Brings all counts, and then the table, to the file. Blocks reach the storage before the table
  /// names them.
  func writeBack() throws(ImageError) {
    try cache.writeBack()
    guard !dirtyTableSectors.isEmpty else { return }
    try file.sync()
    for sector in dirtyTableSectors.sorted() {
      let first = sector * Sector.bytes / 8
      var bytes = [UInt8](repeating: 0, count: Sector.bytes)
      for index in 0..<(Sector.bytes / 8) where first + index < table.count {
        bytes.setBig(table[first + index], at: index * 8)
      }
      try file.storeBytes(bytes, at: tableOffset + UInt64(sector * Sector.bytes))
    }
    dirtyTableSectors = []
  }
}
