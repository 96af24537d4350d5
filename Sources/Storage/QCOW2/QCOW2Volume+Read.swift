import CUnpack

extension QCOW2Volume {
  /// Clusters of the medium that are stored in the same way, one behind the other.
  struct Run {
    enum Kind: Equatable {
      case absent
      case zero
      case data(UInt64)
      case compressed(L2Entry)
    }

    let kind: Kind
    var count: Int
  }

  /// What is at `cluster` of the medium, for at most `limit` clusters.
  func run(at cluster: UInt64, limit: Int) throws(ImageError) -> Run {
    let table = try tableOffset(of: cluster)
    guard table != 0 else {
      let span = UInt64(1) << UInt64(header.l2Bits)
      return Run(kind: .absent, count: min(limit, Int(span - cluster % span)))
    }
    let slot = try self.slot(of: cluster, in: table)
    let most = min(limit, entriesLeft(from: cluster))
    let first = L2Entry(raw: tables.entry(Int(truncatingIfNeeded: cluster), in: slot))
    try check(first, for: cluster)
    if first.isCompressed { return Run(kind: .compressed(first), count: 1) }
    var run = Run(kind: kind(of: first), count: 1)
    while run.count < most {
      let next = cluster &+ UInt64(run.count)
      let entry = L2Entry(raw: tables.entry(Int(truncatingIfNeeded: next), in: slot))
      guard follows(entry, run) else { break }
      run.count += 1
    }
    return run
  }

  private func kind(of entry: L2Entry) -> Run.Kind {
    if entry.isZero { return .zero }
    return entry.offset == 0 ? .absent : .data(entry.offset)
  }

  private func follows(_ entry: L2Entry, _ run: Run) -> Bool {
    guard !entry.isCompressed else { return false }
    switch run.kind {
    case .absent: return entry.isAbsent
    case .zero: return entry.isZero && header.version > 2
    case .data(let offset):
      return !entry.isZero && entry.offset == offset &+ UInt64(run.count) << clusterBits
    case .compressed: return false
    }
  }

  /// Fills `buffer` with the medium's bytes from `offset` on.
  func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ImageError) {
    var done = 0
    while done < buffer.count {
      let place = offset + UInt64(done)
      let skip = Int(place & UInt64(clusterBytes - 1))
      let left = buffer.count - done
      let run = try run(
        at: cluster(at: place), limit: (skip + left + clusterBytes - 1) >> header.clusterBits)
      let length = min(left, run.count << header.clusterBits - skip)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + length)])
      switch run.kind {
      case .absent: try readBelow(part, at: place)
      case .zero: part.initializeMemory(as: UInt8.self, repeating: 0)
      case .data(let start): try file.load(part, at: start &+ UInt64(skip))
      case .compressed(let entry):
        try unpack(entry, for: place)
        part.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: unpackedMemory.bytes[skip..<(skip + length)]))
      }
      done += length
    }
  }

  /// What shows through where this image has nothing.
  func readBelow(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ImageError) {
    var count = 0
    if let backing, offset / 512 < backing.sectorCount {
      let sectors = min(UInt64(buffer.count / 512), backing.sectorCount - offset / 512)
      count = Int(sectors) * 512
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
      try backing.read(sector: offset / 512, count: Int(sectors), into: part)
    }
    UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
      .initializeMemory(as: UInt8.self, repeating: 0)
  }

  /// Unpacks a compressed cluster into ``unpackedMemory``.
  /// - Parameter place: the medium's byte that is asked for, for the message.
  func unpack(_ entry: L2Entry, for place: UInt64) throws(ImageError) {
    guard unpacked != entry.raw else { return }
    unpacked = 0
    let (offset, count) = entry.packed(clusterBits: header.clusterBits)
    let packed = try file.loadBytes(count, at: offset)
    let memory = unpackedMemory.bytes.bindMemory(to: UInt8.self)
    let got =
      header.compression == .zstd
      ? cunpack_zstd(packed, packed.count, memory.baseAddress, clusterBytes)
      : cunpack_deflate(packed, packed.count, memory.baseAddress, clusterBytes)
    guard got == Int64(clusterBytes) else {
      throw damaged(
        "the compressed cluster of byte \(place), at byte \(offset), can't be unpacked")
    }
    unpacked = entry.raw
  }
}
