import KVMEngine

/// Writes of the interpreter to page tables that KVM has derived translations from.
extension CPU {
  /// Takes note of a store of `size` bytes that is about to happen in a page of `tableLevels`.
  /// - Parameter value: what is stored; nil where that is not known yet.
  @inline(never)
  func noteTableChange(
    _ page: UnsafeMutablePointer<PhysicalEntry>, _ inside: Int, _ size: Int, _ address: UInt64,
    value: UInt64?
  ) {
    guard let base = page.pointee.base, let code = page.pointee.code,
      let tables = environment.userEngine?.machine.tables
    else { return }
    let levels = code.pointee.tableLevels.load(ordering: .relaxed)
    let isWhole = size == 8 && inside & 7 == 0
    for offset in stride(from: inside & ~7, through: (inside + size - 1) & ~7, by: 8) {
      let old = (base + offset).load(as: UInt64.self)
      let place = address & ~4095 | UInt64(offset)
      if old & PageEntry.present == 0 {
        // A new entry is seen when it is needed; a table behind it has to be known before.
        if levels != 1 { tables.noteNewEntry(place) }
      } else if !isWhole || !PageEntry.isMilder(value ?? 0, than: old, isLeaf: levels == 1) {
        tables.noteChangedEntry(place)
      }
    }
  }

  /// From now on every store is looked at again: pages may have become page tables.
  func dropDirectWrites() {
    let entries = (raw + Layout.tlb).assumingMemoryBound(to: TLBEntry.self)
    for index in 0..<(Layout.tlbSets * Layout.tlbEntries)
    where entries[index].physical & TLBEntry.window == 0 {
      entries[index].writeTag = 1
    }
  }
}

/// Bits of a page-table entry (Intel SDM vol. 3, table 4-20).
enum PageEntry {
  static let present: UInt64 = 1
  static let writable: UInt64 = 2
  static let user: UInt64 = 4
  static let large: UInt64 = 0x80
  static let frame: UInt64 = 0x000F_FFFF_FFFF_F000
  static let noExecute: UInt64 = 1 << 63

  /// Whether whoever has `old` cached only ever faults too often, and so looks again.
  static func isMilder(_ new: UInt64, than old: UInt64, isLeaf: Bool) -> Bool {
    isLeaf && new & present != 0 && (new ^ old) & (frame | large) == 0
      && old & ~new & (writable | user) == 0 && new & ~old & noExecute == 0
  }
}
