import Testing

@testable import Storage

extension SimulatedDisk {
  /// Takes an internal snapshot of the image on this disk, which nobody has open, as QEMU does:
  /// every cluster has a user more, and no entry is alone with its cluster.
  func takeSnapshot(_ id: UInt8 = 0x31) throws {
    var header = try QCOW2Header(self)
    do {
      let volume = try QCOW2Volume(self, header, backing: nil)
      let refcounts = try #require(volume.refcounts)
      let l1Clusters = (volume.l1.count * 8 + volume.clusterBytes - 1) / volume.clusterBytes
      let l1Place = try volume.allocateAtEnd(l1Clusters, refcounts).first << volume.clusterBits
      let list = try volume.allocateAtEnd(1, refcounts).first << volume.clusterBits
      for number in volume.l1.indices {
        let table = L2Entry(raw: volume.l1[number]).offset
        guard table != 0 else { continue }
        try shareTable(table, volume, refcounts)
        volume.l1[number] &= ~L2Entry.copied
      }
      var l1: [UInt8] = []
      for entry in volume.l1 { withUnsafeBytes(of: entry.bigEndian) { l1 += $0 } }
      try storeBytes(l1, at: l1Place)
      try storeBytes(l1, at: header.l1Offset)
      // Identifier and name of one letter each.
      var entry = [UInt8](repeating: 0, count: 40) + [id, id] + [UInt8](repeating: 0, count: 6)
      entry.setBig(l1Place, at: 0)
      entry.setBig(UInt32(volume.l1.count), at: 8)
      entry.setBig(UInt32(0x1_0001), at: 12)
      try storeBytes(entry, at: list)
      try refcounts.writeBack()
      header = volume.header
      header.snapshotCount = 1
      header.snapshotsOffset = list
    }
    try header.update(in: self)
    _ = flush()
  }

  private func shareTable(
    _ table: UInt64, _ volume: QCOW2Volume, _ refcounts: QCOW2Refcounts
  ) throws {
    func share(_ cluster: UInt64) throws {
      try refcounts.setCount(of: cluster, to: try refcounts.count(of: cluster) + 1)
    }
    try share(volume.cluster(at: table))
    var entries = try loadBytes(volume.clusterBytes, at: table)
    for at in stride(from: 0, to: entries.count, by: 8) {
      let entry = L2Entry(raw: entries.big64(at))
      guard entry.offset != 0 else { continue }
      try share(volume.cluster(at: entry.offset))
      entries.setBig(entry.raw & ~L2Entry.copied, at: at)
    }
    try storeBytes(entries, at: table)
  }
}
