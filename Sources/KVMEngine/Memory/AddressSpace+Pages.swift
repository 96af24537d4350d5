import Glibc
import Synchronization

/// What a processor in software has to know of a page that holds code it has decoded.
///
/// Both words start at zero in zeroed memory. Whoever writes to a marked chunk bumps
/// ``generation``: what was decoded from the page before is then stale.
public struct CodePage: ~Copyable {
  /// Bit n: bytes 64n to 64n + 63 of the page were decoded.
  public let chunks = Atomic<UInt64>(0)
  /// Counts the writes to decoded bytes. Translated code reads it, ``generationOffset`` bytes in.
  public let generation = Atomic<UInt64>(0)
  public static let generationOffset = MemoryLayout<Atomic<UInt64>>.size
  /// Bit n: the page is a page table of level n + 1 from which a hypervisor has derived
  /// translations of its own, which does not see writes from here.
  public let tableLevels = Atomic<UInt64>(0)

  /// Takes note of a write to the bytes of `range` within the page.
  /// - Returns: whether decoded code was hit.
  @inlinable @discardableResult
  public func noteWrite(from first: Int, through last: Int) -> Bool {
    let marked = chunks.load(ordering: .relaxed)
    guard marked != 0 else { return false }
    let low = UInt64.max << UInt64(truncatingIfNeeded: first >> 6 & 63)
    let high = UInt64.max >> UInt64(truncatingIfNeeded: 63 - (last >> 6 & 63))
    guard marked & low & high != 0 else { return false }
    generation.add(1, ordering: .sequentiallyConsistent)
    chunks.store(0, ordering: .sequentiallyConsistent)
    return true
  }

  /// Marks the bytes of a decoded piece. The caller reads ``generation`` before it reads the code.
  @inlinable
  public func mark(from first: Int, through last: Int) {
    let low = UInt64.max << UInt64(truncatingIfNeeded: first >> 6 & 63)
    let high = UInt64.max >> UInt64(truncatingIfNeeded: 63 - (last >> 6 & 63))
    chunks.bitwiseOr(low & high, ordering: .sequentiallyConsistent)
  }
}

/// The code pages of one memory block, one for each 4 KiB. Untouched ones cost no memory.
public final class CodePages: @unchecked Sendable {
  // SAFETY: `pages` has `count` entries from init to deinit, all of them atomics.
  private let pages: UnsafeMutablePointer<CodePage>
  private let count: Int

  init(count: Int) {
    // Fresh zero pages: `calloc` of a large piece touches none of them.
    let memory = calloc(max(1, count), MemoryLayout<CodePage>.stride)
    pages = (memory ?? UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16))
      .assumingMemoryBound(
        to: CodePage.self)
    self.count = memory == nil ? 0 : count
  }

  deinit { free(pages) }

  /// Page number `index` of the block; nil beyond its end.
  public func page(_ index: Int) -> UnsafeMutablePointer<CodePage>? {
    index >= 0 && index < count ? pages + index : nil
  }

  /// Takes note of a write by the host (a device, the firmware) to `size` bytes at `offset`.
  /// - Returns: whether a page table was hit that a hypervisor has derived translations from.
  @discardableResult
  func noteWrite(at offset: Int, size: Int) -> Bool {
    guard size > 0, offset >= 0 else { return false }
    let end = offset + size - 1
    var hitTable = false
    for number in (offset >> 12)...(end >> 12) where number < count {
      if pages[number].tableLevels.load(ordering: .relaxed) != 0 { hitTable = true }
      pages[number].noteWrite(
        from: number == offset >> 12 ? offset & 4095 : 0,
        through: number == end >> 12 ? end & 4095 : 4095)
    }
    return hitTable
  }
}

/// One 4 KiB page of guest-physical memory as a processor in software uses it.
public struct HostPage {
  /// The page's bytes in this process.
  public let base: UnsafeMutableRawPointer
  /// False for ROM: a write goes to the memory bus.
  public let isWritable: Bool
  /// The page's code marks.
  public let code: UnsafeMutablePointer<CodePage>
  /// Whether the page is part of a window, whose writes are remembered: see
  /// ``AddressSpace/noteWindowWrite(_:)``.
  public let isWindow: Bool
}

/// What changed behind the back of translation caches.
public enum PageChange {
  /// A window moved: every cached page may be wrong. Bit of ``AttentionWord``.
  public static let moved: UInt32 = 1 << 0
  /// A window's dirty pages were taken: cached rights to write to windows end.
  public static let dirtyTaken: UInt32 = 1 << 1
  /// A page table was written that a hypervisor has derived translations from.
  public static let tableWritten: UInt32 = 1 << 2
  /// Pages became page tables that a hypervisor derives translations from.
  public static let tablesMarked: UInt32 = 1 << 3
  /// All of these.
  public static let all: UInt32 = 0xF
}

/// A word of bits that other threads set to make a processor look up at its next chance.
public final class AttentionWord: @unchecked Sendable {
  // SAFETY: `word` is one atomic that lives from init to deinit.
  public let word: UnsafeMutablePointer<Atomic<UInt32>>

  public init() {
    word = .allocate(capacity: 1)
    word.initialize(to: Atomic<UInt32>(0))
  }

  deinit { word.deallocate() }

  /// Sets `bits`.
  public func raise(_ bits: UInt32) {
    word.pointee.bitwiseOr(bits, ordering: .sequentiallyConsistent)
  }

  /// Clears `bits`; tells which of them were set.
  public func take(_ bits: UInt32) -> UInt32 {
    word.pointee.bitwiseAnd(~bits, ordering: .sequentiallyConsistent).oldValue & bits
  }
}

/// Tells the processors that cache translations of an address space what changed in it.
public final class PageWatchers: @unchecked Sendable {
  // SAFETY: guarded by `words`, a leaf lock.
  private let words = Mutex<[AttentionWord]>([])

  func add(_ word: AttentionWord) { words.withLock { $0.append(word) } }

  func tell(_ change: UInt32) { words.withLock { for word in $0 { word.raise(change) } } }
}

extension AddressSpace {
  /// Has `word` told of ``PageChange``s from now on.
  public func watchPages(_ word: AttentionWord) { watchers.add(word) }

  /// The page at guest-physical `address`, or nil where only the memory bus answers.
  public func hostPage(at address: UInt64) -> HostPage? {
    let page = address & ~4095
    for mapping in fixed where mapping.reach(from: page) >= 4096 {
      return Self.hostPage(mapping, page, isWindow: false)
    }
    return withWindowPlace(holding: page) { Self.hostPage($0, page, isWindow: true) } ?? nil
  }

  private static func hostPage(
    _ mapping: Mapping, _ page: UInt64, isWindow: Bool
  ) -> HostPage? {
    let offset = mapping.offset + Int(truncatingIfNeeded: page &- mapping.guestAddress)
    guard offset & 4095 == 0, let bytes = mapping.block.bytes(at: offset, count: 4096),
      let base = bytes.baseAddress, let code = mapping.block.code.page(offset >> 12)
    else { return nil }
    return HostPage(base: base, isWritable: mapping.writable, code: code, isWindow: isWindow)
  }
}
