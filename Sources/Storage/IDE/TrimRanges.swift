/// The ranges of a DATA SET MANAGEMENT command with TRIM (ACS-3, 7.5.3): eight bytes each, 48 bits of
/// a sector number and 16 of a count, little-endian; a count of 0 is no range.
struct TrimRanges {
  static let entryBytes = 8
  /// Blocks of 512 bytes that one command may have: 512 ranges, 16 GiB at most.
  static let maximumBlocks: UInt16 = 8

  /// What is next to each other is one: images give back whole clusters.
  private(set) var ranges: [Range<UInt64>] = []

  init(_ bytes: UnsafeRawBufferPointer) {
    for at in stride(from: 0, to: bytes.count - Self.entryBytes + 1, by: Self.entryBytes) {
      let entry = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      let first = entry & 0xFFFF_FFFF_FFFF
      let end = first + entry >> 48
      guard end > first else { continue }
      if let last = ranges.last, last.upperBound == first {
        ranges[ranges.count - 1] = last.lowerBound..<end
      } else {
        ranges.append(first..<end)
      }
    }
  }

  /// The first sector that a disk of `count` sectors lacks; nil where it has all.
  func firstBeyond(_ count: UInt64) -> UInt64? {
    ranges.first { $0.upperBound > count }.map { max($0.lowerBound, count) }
  }
}

extension IDECore {
  /// DATA SET MANAGEMENT, of which there is TRIM alone (ACS-3, 7.5). Its ranges come by DMA.
  mutating func manageData(_ device: Int, _ disk: ATADisk) {
    let file = state.devices[device].file
    let blocks = UInt16(file.count.high) << 8 | UInt16(file.count.low)
    guard disk.trimmed != nil, file.features.low & 1 != 0,
      (1...TrimRanges.maximumBlocks).contains(blocks)
    else { return fail(device, ATAError.aborted) }
    state.devices[device].power = 0xFF
    state.transfer.direction = .fromHost
    state.transfer.expected = Int(blocks) * Sector.bytes
    requestDMA(device)
  }

  /// All that the host sends with a command that writes no sectors is in the buffer.
  mutating func receivedParameters(_ device: Int) {
    if state.transfer.isPacket { return receivedPacketParameters(device) }
    guard state.transfer.command == ATACommand.dataSetManagement else {
      return fail(device, ATAError.aborted)
    }
    state.filled = min(state.position, state.transfer.expected)
    job = .trim
  }
}

extension IDEWork {
  /// Gives back the ranges in the buffer; none where one of them is not there.
  mutating func trim(_ buffer: IDEBuffer, _ isCancelled: () -> Bool) {
    guard let image = trimmed else {
      transfer.failure = .noMedium
      return
    }
    let list = TrimRanges(UnsafeRawBufferPointer(buffer.bytes(from: 0, to: filled)))
    if let sector = list.firstBeyond(image.sectorCount) {
      transfer.sector = sector
      transfer.failure = .beyondEnd
      return
    }
    for range in list.ranges where !isCancelled() {
      do throws(ImageError) {
        try persist(isCancelled) { () throws(ImageError) in
          try image.zero(sector: range.lowerBound, count: range.upperBound - range.lowerBound)
        }
      } catch {
        self.error = error
        transfer.sector = range.lowerBound
        transfer.failure = IDEFailure(error, writing: true)
        return
      }
    }
    if flushes { flush(isCancelled) }
  }
}
