extension QCOW2Volume {
  /// Writes `buffer` to the medium from `offset` on.
  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(ImageError) {
    try beginChanges()
    var done = 0
    while done < buffer.count {
      let part = UnsafeRawBufferPointer(rebasing: buffer[done...])
      done += try writeSome(part, at: offset + UInt64(done))
      if released.count > Self.releaseLimit { try commit() }
    }
  }

  /// - Returns: how many bytes of `buffer` were written.
  private func writeSome(
    _ buffer: UnsafeRawBufferPointer, at offset: UInt64
  ) throws(ImageError) -> Int {
    let cluster = cluster(at: offset)
    let skip = Int(offset & UInt64(clusterBytes - 1))
    let table = try tableForWriting(cluster)
    let slot = try slot(of: cluster, in: table)
    let entry = L2Entry(raw: tables.entry(Int(truncatingIfNeeded: cluster), in: slot))
    try check(entry, for: cluster)
    let clusters = (skip + buffer.count + clusterBytes - 1) >> header.clusterBits
    let most = min(clusters, entriesLeft(from: cluster))
    isUnflushed = true
    if isInPlace(entry) {
      return try overwrite(buffer, skip: skip, cluster, slot, most: most)
    }
    if skip == 0 && buffer.count >= clusterBytes {
      return try writeWhole(
        buffer, cluster, slot, most: min(most, buffer.count >> header.clusterBits))
    }
    let length = min(buffer.count, clusterBytes - skip)
    let part = UnsafeRawBufferPointer(rebasing: buffer[..<length])
    try writePart(part, skip: skip, cluster, slot, entry)
    return length
  }

  private func isInPlace(_ entry: L2Entry) -> Bool {
    entry.isCopied && !entry.isCompressed && !entry.isZero && entry.offset != 0
  }

  /// Writes to clusters that are this image's alone, as many as lie one behind the other.
  private func overwrite(
    _ buffer: UnsafeRawBufferPointer, skip: Int, _ cluster: UInt64, _ slot: Int, most: Int
  ) throws(ImageError) -> Int {
    let start = L2Entry(raw: tables.entry(Int(truncatingIfNeeded: cluster), in: slot)).offset
    var count = 1
    while count < most {
      let next = L2Entry(
        raw: tables.entry(Int(truncatingIfNeeded: cluster &+ UInt64(count)), in: slot))
      guard isInPlace(next), next.offset == start &+ UInt64(count) << clusterBits else { break }
      count += 1
    }
    try checkTarget(start, count: count)
    let length = min(buffer.count, count << header.clusterBits - skip)
    try file.store(
      UnsafeRawBufferPointer(rebasing: buffer[..<length]), at: start &+ UInt64(skip))
    return length
  }

  /// Data must not go over the image's own tables, whatever its entries say.
  private func checkTarget(_ offset: UInt64, count: Int) throws(ImageError) {
    let first = self.cluster(at: offset)
    guard fixed.overlaps(first..<(first &+ UInt64(count))) else { return }
    let problem = damaged("data is to be where its own tables are, at byte \(offset)")
    failure = problem
    throw problem
  }

  /// Writes whole clusters to new places.
  private func writeWhole(
    _ buffer: UnsafeRawBufferPointer, _ cluster: UInt64, _ slot: Int, most: Int
  ) throws(ImageError) -> Int {
    var wanted = 1
    while wanted < most {
      let next = L2Entry(
        raw: tables.entry(Int(truncatingIfNeeded: cluster &+ UInt64(wanted)), in: slot))
      if isInPlace(next) { break }
      wanted += 1
    }
    let place = try allocate(wanted)
    let length = place.count << header.clusterBits
    try storing(place) { () throws(ImageError) in
      try file.store(
        UnsafeRawBufferPointer(rebasing: buffer[..<length]), at: place.first << clusterBits)
    }
    for index in 0..<place.count {
      setEntry(
        cluster &+ UInt64(index), in: slot,
        to: (place.first + UInt64(index)) << clusterBits | L2Entry.copied)
    }
    return length
  }

  /// Writes a part of a cluster to a new place, and beside it what was in the rest.
  private func writePart(
    _ buffer: UnsafeRawBufferPointer, skip: Int, _ cluster: UInt64, _ slot: Int, _ old: L2Entry
  ) throws(ImageError) {
    let isEmpty = old.isZero || (old.isAbsent && !reachesBelow(cluster))
    let memory = scratch.bytes
    if !isEmpty { try readCluster(cluster, old, into: memory) }
    let place = try allocate(1)
    let start = place.first << clusterBits
    try storing(place) { () throws(ImageError) in
      if isEmpty && place.isUntouched {
        return try file.store(buffer, at: start + UInt64(skip))
      }
      if isEmpty { memory.initializeMemory(as: UInt8.self, repeating: 0) }
      UnsafeMutableRawBufferPointer(rebasing: memory[skip..<(skip + buffer.count)])
        .copyMemory(from: buffer)
      let whole = UnsafeRawBufferPointer(rebasing: memory[..<clusterBytes])
      try file.store(whole, at: start)
    }
    setEntry(cluster, in: slot, to: start | L2Entry.copied)
  }

  /// Gives `place` back where `body` fails.
  func storing(
    _ place: Allocation, _ body: () throws(ImageError) -> Void
  ) throws(ImageError) {
    do throws(ImageError) { try body() } catch {
      giveBack(place)
      throw error
    }
  }

  /// Fills `memory` with what `cluster` of the medium holds.
  private func readCluster(
    _ cluster: UInt64, _ entry: L2Entry, into memory: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    let place = cluster << clusterBits
    let whole = UnsafeMutableRawBufferPointer(rebasing: memory[..<clusterBytes])
    if entry.isCompressed {
      try unpack(entry, for: place)
      whole.copyMemory(
        from: UnsafeRawBufferPointer(rebasing: unpackedMemory.bytes[..<clusterBytes]))
    } else if entry.offset != 0 {
      try file.load(whole, at: entry.offset)
    } else {
      try readBelow(whole, at: place)
    }
  }

  /// Whether something below shows where `cluster` of the medium is absent.
  func reachesBelow(_ cluster: UInt64) -> Bool {
    guard let backing else { return false }
    return cluster << clusterBits / 512 < backing.sectorCount
  }

  /// Replaces an entry of the table in `slot`, and takes a user from what it named.
  func setEntry(_ cluster: UInt64, in slot: Int, to value: UInt64) {
    let number = Int(truncatingIfNeeded: cluster)
    let old = L2Entry(raw: tables.entry(number, in: slot))
    guard old.raw != value else { return }
    tables.setEntry(number, in: slot, to: value)
    if old.isCompressed || old.offset != L2Entry(raw: value).offset { release(old) }
    if old.isCompressed && unpacked == old.raw { unpacked = 0 }
  }

  // MARK: L2 tables

  /// The L2 table for `cluster`, this image's alone; made where there is none.
  func tableForWriting(_ cluster: UInt64) throws(ImageError) -> UInt64 {
    let number = Int(clamping: cluster >> UInt64(header.l2Bits))
    guard number < l1.count else {
      throw damaged("its L1 table has no entry for byte \(cluster << clusterBits)")
    }
    let old = L2Entry(raw: l1[number])
    let offset = try tableOffset(of: cluster)
    if offset != 0 && old.isCopied { return offset }
    let place = try allocate(1)
    let new = place.first << clusterBits
    tables.forget(new..<(new + UInt64(clusterBytes)))
    try storing(place) { () throws(ImageError) in
      if offset != 0 {
        try file.storeBytes(try file.loadBytes(clusterBytes, at: offset), at: new)
      } else if !place.isUntouched {
        try writeZeroes(at: new)
      }
    }
    if offset != 0 {
      fixed.remove(self.cluster(at: offset))
      released.append(self.cluster(at: offset))
    }
    fixed.insert(place.first)
    newTables.insert(new)
    l1[number] = new | L2Entry.copied
    dirtyL1Sectors.insert(number * 8 / Sector.bytes)
    return new
  }
}
