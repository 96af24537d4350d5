import KVMEngine

/// The software TLB: what is remembered of translations, and when it is forgotten.
extension CPU {
  /// Remembers where `linear` leads for the privilege of the moment.
  func fill(_ linear: UInt64, _ physical: UInt64, writing: Bool) {
    if s.pointee.checksAlignment || isWatched(linear) { return }
    let entry = entry(linear)
    if entry.pointee.physical == TLBEntry.empty { noteFilled(entry) }
    let linearPage = linear & ~4095
    let physicalPageAddress = physical & ~4095
    let large =
      (s.pointee.endedLarge ? TLBEntry.large : 0) | (s.pointee.endedGlobal ? TLBEntry.global : 0)
    let page = physicalPage(physicalPageAddress)
    let same = entry.pointee.physical & ~4095 == physicalPageAddress
    guard let base = page.pointee.base else {
      let known = same && entry.pointee.addend == linearPage ? entry.pointee.physical & 3 : 0
      entry.pointee.readTag = 1
      entry.pointee.writeTag = 1
      entry.pointee.addend = linearPage
      entry.pointee.physical =
        physicalPageAddress | known | large
        | (writing ? TLBEntry.deviceWrite : TLBEntry.deviceRead)
      return
    }
    let addend = UInt64(UInt(bitPattern: base)) &- linearPage
    if !same || entry.pointee.addend != addend {
      entry.pointee.readTag = 1
      entry.pointee.writeTag = 1
    }
    entry.pointee.addend = addend
    entry.pointee.physical =
      physicalPageAddress | large | (page.pointee.flags & 2 != 0 ? TLBEntry.window : 0)
    if !writing {
      entry.pointee.readTag = linearPage
    } else if page.pointee.flags & 1 != 0,
      page.pointee.code?.pointee.chunks.load(ordering: .relaxed) == 0,
      page.pointee.code?.pointee.tableLevels.load(ordering: .relaxed) == 0
    {
      if page.pointee.flags & 2 != 0 { environment.memory.noteWindowWrite(physicalPageAddress) }
      entry.pointee.writeTag = linearPage
    }
  }

  private var entries: UnsafeMutablePointer<TLBEntry> {
    (raw + Layout.tlb).assumingMemoryBound(to: TLBEntry.self)
  }
  private var filled: UnsafeMutablePointer<UInt16> {
    (raw + Layout.filled).assumingMemoryBound(to: UInt16.self)
  }

  private func noteFilled(_ entry: UnsafeMutablePointer<TLBEntry>) {
    let count = s.pointee.filledCount
    if count < Layout.filledEntries {
      filled[count] = UInt16(truncatingIfNeeded: entry - entries)
    }
    if count <= Layout.filledEntries { s.pointee.filledCount = count + 1 }
  }

  /// Calls `body` with every entry that may hold something.
  private func forEachEntry(_ body: (UnsafeMutablePointer<TLBEntry>) -> Void) {
    let count = s.pointee.filledCount
    if count <= Layout.filledEntries {
      for index in 0..<count { body(entries + Int(filled[index])) }
    } else {
      for index in 0..<(Layout.tlbSets * Layout.tlbEntries) { body(entries + index) }
    }
  }

  /// Forgets all translations.
  func flushTLB() {
    if s.pointee.filledCount <= Layout.filledEntries {
      forEachEntry { $0.pointee = .nothing }
    } else {
      (raw + Layout.tlb).initializeMemory(
        as: UInt8.self, repeating: TLBEntry.emptyByte,
        count: Layout.tlbSets * Layout.tlbEntries * 32)
    }
    s.pointee.filledCount = 0
    newGeneration()
    s.pointee.largePages = false
    s.pointee.hugePages = false
  }

  /// Forgets the translations that are not global ones, as a load of CR3 does.
  func flushLocal() {
    guard s.pointee.cr4 & Bits.pge != 0, s.pointee.filledCount <= Layout.filledEntries else {
      return flushTLB()
    }
    var kept = 0
    for index in 0..<s.pointee.filledCount {
      let number = filled[index]
      let entry = entries + Int(number)
      if entry.pointee.physical & TLBEntry.global != 0 {
        filled[kept] = number
        kept += 1
      } else {
        entry.pointee = .nothing
      }
    }
    s.pointee.filledCount = kept
    newGeneration()
  }

  /// Forgets where code lies.
  func newGeneration() {
    (raw + Layout.executed).initializeMemory(
      as: UInt8.self, repeating: 0, count: Layout.executedBytes)
    s.pointee.generation &+= 1
    s.pointee.decodesUserPages = false
    updateStamp()
  }

  func flushPhysical() {
    (raw + Layout.physical).initializeMemory(
      as: UInt8.self, repeating: 1, count: Layout.physicalEntries * 32)
  }

  /// Where the bit of `key` is: a linear page, or a 4 MiB region, that code was fetched from.
  private func executedBit(_ key: UInt64) -> (byte: UnsafeMutablePointer<UInt8>, mask: UInt8) {
    let hash = Int(truncatingIfNeeded: key ^ key >> 15) & (Layout.executedBytes * 8 - 1)
    let bytes = (raw + Layout.executed).assumingMemoryBound(to: UInt8.self)
    return (bytes + (hash >> 3), 1 << UInt8(hash & 7))
  }

  private func regionKey(_ linear: UInt64) -> UInt64 { linear >> 22 &+ 0x5A5A_0000 }

  /// Remembers that code was fetched from the page that was just translated.
  func noteExecuted(_ linear: UInt64) {
    let page = executedBit(linear >> 12)
    page.byte.pointee |= page.mask
    guard s.pointee.endedLarge else { return }
    let region = executedBit(regionKey(linear))
    region.byte.pointee |= region.mask
  }

  /// Forgets the translation of one page, and of the large page around it.
  func flushPage(_ linear: UInt64) {
    if s.pointee.hugePages { return flushTLB() }
    let index = Int(truncatingIfNeeded: linear &>> 12) & (Layout.tlbEntries - 1)
    for set in 0..<Layout.tlbSets {
      let entry = entries + (set * Layout.tlbEntries + index)
      // One that was not filled stays as it is, so that filling it is still noted.
      if entry.pointee.physical != TLBEntry.empty { entry.pointee = TLBEntry() }
    }
    if s.pointee.largePages {
      forEachEntry {
        guard $0.pointee.physical & TLBEntry.large != 0 else { return }
        let tag = $0.pointee.readTag & 1 == 0 ? $0.pointee.readTag : $0.pointee.writeTag
        let isDevice = $0.pointee.physical & (TLBEntry.deviceRead | TLBEntry.deviceWrite) != 0
        if isDevice || (tag ^ linear) >> 22 == 0 { $0.pointee = TLBEntry() }
      }
    }
    let page = executedBit(linear >> 12)
    let region = executedBit(regionKey(linear))
    if page.byte.pointee & page.mask != 0 || region.byte.pointee & region.mask != 0 {
      newGeneration()
    }
  }

  /// From now on stores to the physical page are looked at, for it holds code.
  func protectCode(_ physical: UInt64) {
    let page = physical & ~4095
    forEachEntry { if $0.pointee.physical & ~4095 == page { $0.pointee.writeTag = 1 } }
  }

  /// The dirty pages of a window were taken: the pages that may be written without a look are
  /// dirty again, and get the look from now on.
  func dropWindowWrites() {
    forEachEntry {
      guard $0.pointee.physical & TLBEntry.window != 0, $0.pointee.writeTag & 1 == 0 else { return }
      environment.memory.noteWindowWrite($0.pointee.physical & ~4095)
      $0.pointee.writeTag = 1
    }
  }
}
