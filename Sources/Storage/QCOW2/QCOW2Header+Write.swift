extension QCOW2Header {
  /// The names that this program gives to features in the images that it makes.
  private static let ownNames: [QCOW2Feature] = [
    QCOW2Feature(kind: .incompatible, bit: 0, name: "dirty bit"),
    QCOW2Feature(kind: .incompatible, bit: 1, name: "corrupt bit"),
    QCOW2Feature(kind: .incompatible, bit: 3, name: "compression type"),
    QCOW2Feature(kind: .compatible, bit: 0, name: "lazy refcounts"),
  ]

  /// The first bytes of an image with this header, its extensions and its backing file's name: the
  /// fields, in version 3 what is optional, too.
  func encoded() -> [UInt8] {
    var header = self
    header.headerBytes = version == 2 ? UInt32(Self.version2Bytes) : 112
    var bytes = [UInt8](repeating: 0, count: Int(header.headerBytes))
    if let backingFormat {
      bytes += Self.block(QCOW2Extension.backingFormat, Array(backingFormat.utf8))
    }
    if version == 3 {
      let names = Self.ownNames.flatMap { feature in
        let name = Array(feature.name.utf8)
        return [feature.kind.rawValue, feature.bit] + name
          + [UInt8](repeating: 0, count: 46 - name.count)
      }
      bytes += Self.block(QCOW2Extension.featureNames, names)
    }
    bytes += Self.block(QCOW2Extension.end, [])
    let name = Array((backingName ?? "").utf8)
    header.backingOffset = name.isEmpty ? 0 : UInt64(bytes.count)
    bytes += name
    header.putFields(into: &bytes, nameBytes: UInt32(name.count))
    return bytes
  }

  /// A header extension: its type, its length, and `data` filled up to 8 bytes.
  static func block(_ type: UInt32, _ data: [UInt8]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 8 + (data.count + 7) / 8 * 8)
    bytes.setBig(type, at: 0)
    bytes.setBig(UInt32(data.count), at: 4)
    bytes.replaceSubrange(8..<(8 + data.count), with: data)
    return bytes
  }

  private func putFields(into bytes: inout [UInt8], nameBytes: UInt32) {
    bytes.replaceSubrange(0..<4, with: Self.magic)
    bytes.setBig(version, at: QCOW2Field.version)
    bytes.setBig(backingOffset, at: QCOW2Field.backingOffset)
    bytes.setBig(nameBytes, at: QCOW2Field.backingSize)
    bytes.setBig(UInt32(clusterBits), at: QCOW2Field.clusterBits)
    putChanging(into: &bytes)
    guard version == 3 else { return }
    bytes.setBig(UInt32(refcountOrder), at: QCOW2Field.refcountOrder)
    bytes.setBig(headerBytes, at: QCOW2Field.headerBytes)
    bytes[QCOW2Field.compression] = compression.rawValue
  }

  /// The fields that change while an image is in use. They lie in the file's first sector, which
  /// reaches the storage as one.
  func putChanging(into bytes: inout [UInt8]) {
    bytes.setBig(size, at: QCOW2Field.size)
    bytes.setBig(l1Count, at: QCOW2Field.l1Count)
    bytes.setBig(l1Offset, at: QCOW2Field.l1Offset)
    bytes.setBig(refcountTableOffset, at: QCOW2Field.refcountTableOffset)
    bytes.setBig(refcountTableClusters, at: QCOW2Field.refcountTableClusters)
    bytes.setBig(snapshotCount, at: QCOW2Field.snapshotCount)
    bytes.setBig(snapshotsOffset, at: QCOW2Field.snapshotsOffset)
    guard version == 3 else { return }
    bytes.setBig(incompatible, at: QCOW2Field.incompatible)
    bytes.setBig(compatible, at: QCOW2Field.compatible)
    bytes.setBig(autoclear, at: QCOW2Field.autoclear)
  }

  /// Changes the header in `file` to this one, in one sector.
  func update(in file: any HostFile) throws(ImageError) {
    var sector = try file.loadBytes(Sector.bytes, at: 0)
    putChanging(into: &sector)
    try file.storeBytes(sector, at: 0)
  }
}
