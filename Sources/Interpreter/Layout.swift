import KVMEngine

/// Where everything lies in the one piece of memory that holds a processor.
enum Layout {
  static let zeroRegister: UInt8 = 16 * 8
  /// RIP of the block that runs.
  static let blockRegister: UInt8 = 17 * 8
  static let flags = 192
  static let segments = 256
  static let state = 1024
  static let fpu = 4096
  static let bounce = 5120
  static let tlb = 8192
  static let tlbEntries = 1024
  static let tlbSets = 3
  static let executable = tlb + tlbSets * tlbEntries * 32
  static let executableEntries = 256
  static let physical = executable + executableEntries * 32
  static let physicalEntries = 256
  static let jumps = physical + physicalEntries * 32
  static let jumpEntries = 16384
  /// One bit for the hash of each linear page that code was fetched from.
  static let executed = jumps + jumpEntries * 8
  static let executedBytes = 4096
  /// The latest worlds, looked up where one is left for another.
  static let worlds = executed + executedBytes
  static let worldEntries = 16
  /// Numbers of the TLB entries that were filled since all were forgotten.
  static let filled = worlds + worldEntries * 32
  static let filledEntries = 1024
  /// A TLB set that is always empty, for accesses that all have to be looked at.
  static let emptySet = (filled + filledEntries * 2 + 63) & ~63
  static let total = emptySet + tlbEntries * 32
  /// The MTRRs: 16 of variable ranges, 11 of fixed ones.
  static let ranges = 3584
}

/// A segment register: what the guest loaded, and what accesses use in the mode of the moment.
struct SegmentState {
  /// What is added to an offset: 0 for most segments in 64-bit mode.
  var base: UInt64 = 0
  /// The highest offset that may be read, or written, without a closer look; -1 for none.
  var readLimit: Int64 = -1
  var writeLimit: Int64 = -1
  var hiddenBase: UInt64 = 0
  var limit: UInt32 = 0xFFFF
  var selector: UInt16 = 0
  /// Bits 8 to 15 and 20 to 23 of a descriptor's second word, at their places, shifted by 8: type,
  /// S, DPL, P in the low byte, AVL, L, D/B, G in bits 12 to 15.
  var rights: UInt16 = 0x93

  var type: UInt8 { UInt8(truncatingIfNeeded: rights & 15) }
  var isCodeOrData: Bool { rights & 0x10 != 0 }
  var privilege: UInt8 { UInt8(truncatingIfNeeded: rights >> 5 & 3) }
  var present: Bool { rights & 0x80 != 0 }
  var isLong: Bool { rights & 0x2000 != 0 }
  var isBig: Bool { rights & 0x4000 != 0 }
  var isCode: Bool { rights & 0x18 == 0x18 }
  var isConforming: Bool { rights & 0x1C == 0x1C }
  var isReadable: Bool { rights & 0x18 == 0x10 || rights & 0x1A == 0x1A }
  var isWritable: Bool { rights & 0x1A == 0x12 }
  var expandsDown: Bool { rights & 0x1C == 0x14 }
}

/// One entry of the software TLB.
struct TLBEntry {
  /// The linear page, where loads, or stores, may go straight to memory; 1 for none.
  var readTag: UInt64 = 1
  var writeTag: UInt64 = 1
  /// What is added to a linear address to make a pointer; the linear page for device memory.
  var addend: UInt64 = 0
  /// The physical page and the bits below.
  var physical: UInt64 = 0

  static let deviceRead: UInt64 = 1
  static let deviceWrite: UInt64 = 2
  static let window: UInt64 = 4
  static let large: UInt64 = 8
  /// Loads of CR3 leave it.
  static let global: UInt64 = 16
  /// Every byte of an entry that was not filled since all were forgotten: no tag that a page has,
  /// and no device bits that count without one.
  static let emptyByte: UInt8 = 1
  static let empty: UInt64 = 0x0101_0101_0101_0101
  static let nothing = TLBEntry(readTag: empty, writeTag: empty, addend: empty, physical: empty)
}

/// A linear page that code is fetched from.
struct ExecutableEntry {
  var tag: UInt64 = 1
  var stamp: UInt64 = 0
  var base: UnsafeMutableRawPointer?
  var code: UnsafeMutablePointer<CodePage>?
}

/// A physical page found before.
struct PhysicalEntry {
  var tag: UInt64 = 1
  var base: UnsafeMutableRawPointer?
  var code: UnsafeMutablePointer<CodePage>?
  /// Bit 0: writable, bit 1: in a window.
  var flags: UInt64 = 0
}

/// What makes the way from RIP to a block: a mode, translations, CS.
struct World {
  var stamp: UInt64 = 0
  var base: UInt64 = 0
  var limit: UInt64 = 0
  /// The number that this one was given; 0 for none.
  var number: UInt64 = 0
}
