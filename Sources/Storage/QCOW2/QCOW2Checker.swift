/// Follows every reference in a qcow2 image and compares with its refcounts. It reads only; what it
/// finds is put right by ``QCOW2Repair``.
struct QCOW2Checker {
  let file: any HostFile
  let header: QCOW2Header
  let fileBytes: UInt64
  var report = CheckReport()
  var references = ReferenceCounts()
  /// The image's own structures.
  private var fixed = MetadataMap()
  /// Of those, the ones of which there may be many.
  private var many: Set<Range<UInt64>> = []
  /// Refcount blocks stand in the table more than once, so that no count is certain.
  private(set) var sharesBlocks = false
  /// How many entries of L1 tables name each L2 table, and whether the active one does.
  private var tables: [UInt64: (times: UInt32, isActive: Bool)] = [:]
  /// Entries of the active tables, whose flag is to say whether they are alone: cluster and place.
  private var flagged: [(cluster: UInt64, isCopied: Bool)] = []
  private var table: [UInt64] = []
  private var progress: (Double) -> Void

  /// Entries of L1 tables that are looked at: an image of 32 PiB, or a thousand snapshots of one of
  /// 32 TiB.
  private static let entryLimit: UInt64 = 64 << 20

  private init(
    _ file: any HostFile, _ header: QCOW2Header, progress: @escaping (Double) -> Void
  ) throws(ImageError) {
    self.file = file
    self.header = header
    self.progress = progress
    fileBytes = try file.size()
  }

  /// Checks the image in `file`.
  /// - Parameter progress: called with what part is done, 0 to 1.
  static func check(
    _ file: any HostFile, _ header: QCOW2Header, progress: @escaping (Double) -> Void = { _ in }
  ) throws(ImageError) -> QCOW2Checker {
    var checker = try QCOW2Checker(file, header, progress: progress)
    try checker.run()
    return checker
  }

  private var bits: UInt64 { UInt64(header.clusterBits) }
  private var clusterBytes: UInt64 { 1 << bits }

  private mutating func run() throws(ImageError) {
    report.clusterBytes = header.clusterBytes
    report.totalClusters = (header.size + clusterBytes - 1) >> bits
    refer("header", 0, 1)
    refer(
      "refcount table", header.refcountTableOffset, UInt64(header.refcountTableClusters) << bits)
    try readRefcountTable()
    try readL1Tables()
    try readBitmaps()
    let own = table.filter { $0 != 0 && $0 % clusterBytes == 0 } + tables.keys
    if let twice = fixed.fill(own.map { $0 >> bits }, many: Array(many)) {
      report.add("the cluster at byte \(twice << bits) is two of its tables at once")
    }
    let all = tables.sorted { $0.key < $1.key }
    for (number, entry) in all.enumerated() {
      progress(Double(number) / Double(all.count))
      try readL2(entry.key, times: entry.value.times, isActive: entry.value.isActive)
      guard !references.isScattered else {
        throw ImageError.damaged(
          file.path, "its tables name places all over a file that is nearly empty")
      }
    }
    report.endOffset = references.end << bits
    try compare()
    progress(1)
  }

  /// Counts a structure of `count` bytes at `offset`.
  /// - Parameter isOneOfMany: there may be thousands of its kind.
  mutating func refer(
    _ name: String, _ offset: UInt64, _ count: UInt64, isOneOfMany: Bool = false
  ) {
    guard count > 0 else { return }
    let first = offset >> bits
    let end = (offset &+ count &- 1) >> bits
    guard offset < fileBytes, end >= first, end <= fileBytes >> bits &+ (QCOW2Header.maximumL1Bytes)
    else { return report.add("the \(name) at byte \(offset) lies beyond the file's end") }
    for cluster in first...end { references.add(cluster) }
    if isOneOfMany { many.insert(first..<(end + 1)) } else { fixed.set(name, first..<(end + 1)) }
  }

  private mutating func readRefcountTable() throws(ImageError) {
    let bytes = Int(header.refcountTableClusters) << header.clusterBits
    let raw = try file.loadBytes(bytes, at: header.refcountTableOffset)
    var seen: Set<UInt64> = []
    for at in stride(from: 0, to: bytes, by: 8) {
      let offset = raw.big64(at) & ~511
      guard offset != 0, isPlausible(offset, "refcount block \(at / 8)") else {
        table.append(0)
        continue
      }
      references.add(offset >> bits)
      // One that stands for a million is looked at once.
      let isNew = seen.insert(offset).inserted
      if !isNew {
        report.add("the refcount block at byte \(offset) is named twice")
        sharesBlocks = true
      }
      table.append(isNew ? offset : 0)
    }
  }

  /// Whether a cluster can be at `offset`; says so where not.
  mutating func isPlausible(_ offset: UInt64, _ name: String) -> Bool {
    if offset == 0 { return true }
    guard offset % clusterBytes == 0 else {
      report.add("\(name) is at byte \(offset), within a cluster")
      return false
    }
    guard offset < fileBytes else {
      report.add("\(name) is at byte \(offset), beyond the file's end")
      return false
    }
    return true
  }

  // MARK: Tables

  private mutating func readL1Tables() throws(ImageError) {
    refer("L1 table", header.l1Offset, UInt64(header.l1Count) * 8)
    try readL1(header.l1Offset, header.l1Count, name: "its L1 table", times: 1, isActive: true)
    guard header.snapshotCount > 0 else { return }
    let (snapshots, bytes) = try QCOW2Snapshot.all(file, header)
    refer("snapshot table", header.snapshotsOffset, bytes)
    var left = Self.entryLimit
    for snapshot in snapshots {
      try snapshot.checkTable(file, header)
      let name = "snapshot \(snapshot.id)"
      guard UInt64(snapshot.l1Count) <= left else {
        throw ImageError.damaged(file.path, "its snapshots have too many tables to look at")
      }
      left -= UInt64(snapshot.l1Count)
      refer(
        "L1 table of \(name)", snapshot.l1Offset, UInt64(snapshot.l1Count) * 8, isOneOfMany: true)
      try readL1(snapshot.l1Offset, snapshot.l1Count, name: name, times: 1, isActive: false)
    }
  }

  private mutating func readL1(
    _ offset: UInt64, _ count: UInt32, name: String, times: UInt32, isActive: Bool
  ) throws(ImageError) {
    guard offset < fileBytes else { return }
    let raw = try file.loadBytes(Int(count) * 8, at: offset)
    for at in stride(from: 0, to: raw.count, by: 8) {
      let entry = L2Entry(raw: raw.big64(at))
      guard entry.offset != 0, isPlausible(entry.offset, "the L2 table \(at / 8) of \(name)") else {
        continue
      }
      let cluster = entry.offset >> bits
      references.add(cluster)
      if isActive { flagged.append((cluster, entry.isCopied)) }
      let before = tables[entry.offset]
      if isActive && before != nil {
        report.add("the L2 table at byte \(entry.offset) is named twice by its L1 table")
      }
      tables[entry.offset] = (
        (before?.times ?? 0) + times, isActive || (before?.isActive ?? false)
      )
    }
  }

  private mutating func readL2(
    _ offset: UInt64, times: UInt32, isActive: Bool
  ) throws(ImageError) {
    guard !file.isHole(offset..<(offset + clusterBytes)) else { return }
    let raw = try file.loadBytes(header.clusterBytes, at: offset)
    raw.withUnsafeBytes { bytes in
      for at in stride(from: 0, to: bytes.count - 7, by: 8) {
        let value = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        if value != 0 { look(L2Entry(raw: value), at: offset + UInt64(at), times, isActive) }
      }
    }
  }

  private mutating func look(
    _ entry: L2Entry, at place: UInt64, _ times: UInt32, _ isActive: Bool
  ) {
    if entry.isCompressed {
      let (offset, count) = entry.packed(clusterBits: header.clusterBits)
      let last = (offset &+ UInt64(count) &- 1) & ~511
      guard offset < fileBytes, last < (fileBytes + 511) & ~511 else {
        return report.add("the entry at byte \(place) names byte \(offset), beyond the file's end")
      }
      for cluster in (offset >> bits)...(last >> bits) { references.add(cluster, times: times) }
      if isActive {
        report.allocatedClusters += 1
        report.compressedClusters += 1
      }
      if entry.isCopied { report.add("the compressed entry at byte \(place) has the copied flag") }
      return
    }
    if entry.isZero && header.version < 3 {
      return report.add("the entry at byte \(place) has a flag that version 2 does not know")
    }
    guard entry.offset != 0, isPlausible(entry.offset, "the data of the entry at byte \(place)")
    else { return }
    let cluster = entry.offset >> bits
    if fixed.overlaps(cluster..<(cluster + 1)) {
      report.add("the entry at byte \(place) has its data in the image's own tables")
    }
    references.add(cluster, times: times)
    guard isActive else { return }
    flagged.append((cluster, entry.isCopied))
    if !entry.isZero { report.allocatedClusters += 1 }
  }

  // MARK: Counts

  /// Clusters behind everything whose counts are looked at nevertheless.
  private static let behindEnd: UInt64 = 1 << 20

  /// The first cluster whose count is of no interest.
  var countedEnd: UInt64 {
    max(references.end, (fileBytes + clusterBytes - 1) >> bits) + Self.behindEnd
  }

  private mutating func compare() throws(ImageError) {
    let blockBits = UInt64(header.refcountBlockBits)
    var counted: [UInt64: UInt64] = [:]
    for cluster in flagged { counted[cluster.cluster] = 0 }
    let end = countedEnd
    for (number, offset) in table.enumerated() where offset != 0 {
      let first = UInt64(number) << blockBits
      guard first < end, !file.isHole(offset..<(offset + clusterBytes)) else {
        table[number] = 0
        continue
      }
      let raw = try file.loadBytes(header.clusterBytes, at: offset)
      for index in 0..<Int(min(1 << blockBits, end - first)) {
        let cluster = first + UInt64(index)
        let count = raw.refcount(index, order: header.refcountOrder)
        let uses = references.count(of: cluster)
        if count == uses && uses == 0 { continue }
        if counted[cluster] != nil { counted[cluster] = count }
        note(cluster, count: count, uses: uses)
      }
    }
    for cluster in references.used {
      let number = Int(cluster >> blockBits)
      if number < table.count && table[number] != 0 { continue }
      note(cluster, count: 0, uses: references.count(of: cluster))
    }
    for (cluster, isCopied) in flagged where isCopied != (counted[cluster] == 1) {
      report.add(
        "the copied flag for byte \(cluster << bits), used \(counted[cluster] ?? 0) times, is "
          + (isCopied ? "set" : "not set"))
    }
  }

  private mutating func note(_ cluster: UInt64, count: UInt64, uses: UInt64) {
    if count > uses {
      report.leakedClusters += 1
    } else if count < uses {
      report.add(
        "the cluster at byte \(cluster << bits) is used \(uses) times and counted \(count) times")
    }
  }
}

extension [UInt8] {
  /// Entry `number` of a refcount block with entries of 2^`order` bits; 0 beyond the end.
  func refcount(_ number: Int, order: Int) -> UInt64 {
    guard order < 3 else {
      let width = 1 << (order - 3)
      guard number >= 0, (number + 1) * width <= count else { return 0 }
      return self[(number * width)..<((number + 1) * width)].reduce(0) { $0 << 8 | UInt64($1) }
    }
    let perByte = 8 >> order
    guard number >= 0, number / perByte < count else { return 0 }
    let shift = UInt8(number % perByte) << UInt8(order)
    return UInt64(self[number / perByte] >> shift) & ((1 << (1 << UInt64(order))) - 1)
  }
}
