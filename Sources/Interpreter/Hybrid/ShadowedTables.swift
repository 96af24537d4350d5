import KVMEngine
import Synchronization

/// The guest's page tables from which KVM may have derived translations, in a KVM that keeps
/// shadow page tables: it sees its guest's writes to them, but not the interpreter's.
///
/// Every table that user code can reach is marked (``CodePage/tableLevels``) before KVM is entered
/// with its root. Stores to marked pages that take something away are noted, and before the next
/// entry of any processor KVM is made to forget just these entries, or all. A page stays marked
/// until KVM has forgotten all, since KVM keeps what it derived from a page also while no root leads
/// there.
///
/// The lock of the marks comes before that of the notes; whoever holds the latter waits for nothing.
final class ShadowedTables: Sendable {
  /// What was written since the last entry.
  private struct Notes {
    var changed: [UInt64] = []
    var new: [UInt64] = []
    var dropsAll = true
  }
  /// What is marked.
  private struct Marks: @unchecked Sendable {
    // SAFETY: the code pages live as long as the machine's memory; all of each is atomic.
    var pages: [UnsafeMutablePointer<CodePage>] = []
    var roots: Set<UInt64> = []
  }
  private let notes = Mutex(Notes())
  private let marks = Mutex(Marks())
  private let noted = Atomic<UInt64>(1)
  private let served = Atomic<UInt64>(0)
  private let drops = Atomic<UInt64>(0)
  /// More changes than this are not worth telling one by one.
  static let mostChanges = 48
  /// More new entries than this are not worth following one by one.
  static let mostNewEntries = 4096

  /// What KVM has to forget: all, or what it derived from the entries at these physical addresses.
  enum Change {
    case all
    case entries([UInt64])
  }

  /// How things were when a processor was last ready to enter.
  struct Readiness: Equatable {
    var root: UInt64 = .max
    var drops: UInt64 = 0
  }

  private func note(_ change: (inout Notes) -> Void) {
    notes.withLock { change(&$0) }
    noted.add(1, ordering: .sequentiallyConsistent)
  }

  /// A present entry at a physical address changes.
  func noteChangedEntry(_ address: UInt64) {
    note { if $0.changed.count <= Self.mostChanges { $0.changed.append(address) } }
  }

  /// An entry of a table above the lowest level, which was not present, changes.
  func noteNewEntry(_ address: UInt64) {
    note { notes in
      // A guest may write entries for ever without entering user code in between.
      if notes.new.count < Self.mostNewEntries {
        notes.new.append(address)
      } else {
        notes.dropsAll = true
      }
    }
  }

  /// How many entries are remembered one by one.
  var noteCount: Int { notes.withLock { $0.new.count + $0.changed.count } }

  /// A table was written unseen.
  func dropAll() { note { $0.dropsAll = true } }

  /// Whether nothing has to be done before an entry with the root at `root`.
  func isReady(_ root: UInt64, _ last: Readiness) -> Bool {
    last == Readiness(root: root, drops: drops.load(ordering: .sequentiallyConsistent))
      && noted.load(ordering: .sequentiallyConsistent)
        == served.load(ordering: .sequentiallyConsistent)
  }

  /// Makes all ready for an entry with the root at `root`: has KVM forget what it must, and marks
  /// every table that is reachable.
  /// - Parameters:
  ///   - activeRoots: those with which processors are in KVM at the moment of the call.
  ///   - forget: makes KVM forget; false where it failed.
  ///   - settle: called after pages were marked, until no processor writes to them unnoticed.
  /// - Returns: nil where `forget` failed.
  func prepare(
    _ root: UInt64, _ cpu: CPU, activeRoots: () -> [UInt64], forget: (Change) -> Bool,
    settle: () -> Void
  ) -> Readiness? {
    marks.withLock { marks in
      let count = noted.load(ordering: .sequentiallyConsistent)
      let work = notes.withLock { notes in
        defer { notes = Notes(dropsAll: false) }
        return notes
      }
      let before = marks.pages.count
      var isDropped = false
      if work.dropsAll || work.changed.count > Self.mostChanges {
        Self.unmark(&marks)
        drops.add(1, ordering: .sequentiallyConsistent)
        for other in activeRoots() { Self.addRoot(other, cpu, &marks) }
        isDropped = true
      } else {
        for address in work.new { Self.markBehind(address, cpu, &marks) }
      }
      Self.addRoot(root, cpu, &marks)
      if isDropped || marks.pages.count != before { settle() }
      // Only now, so that what others write meanwhile is either noted or seen by KVM afresh.
      if isDropped {
        guard forget(.all) else { return nil }
      } else if !work.changed.isEmpty {
        guard forget(.entries(work.changed)) else { return nil }
      }
      served.store(count, ordering: .sequentiallyConsistent)
      return Readiness(root: root, drops: drops.load(ordering: .sequentiallyConsistent))
    }
  }

  private static func unmark(_ marks: inout Marks) {
    for page in marks.pages { page.pointee.tableLevels.store(0, ordering: .relaxed) }
    marks.pages.removeAll(keepingCapacity: true)
    marks.roots.removeAll(keepingCapacity: true)
  }

  private static func addRoot(_ root: UInt64, _ cpu: CPU, _ marks: inout Marks) {
    if marks.roots.insert(root).inserted { mark(root, level: 3, cpu, &marks) }
  }

  /// Marks the table at `address` as one of `level` (0 to 3), and all that it leads to.
  private static func mark(_ address: UInt64, level: UInt64, _ cpu: CPU, _ marks: inout Marks) {
    let page = cpu.physicalPage(address & PageEntry.frame)
    guard let base = page.pointee.base, let code = page.pointee.code else { return }
    let old = code.pointee.tableLevels.load(ordering: .relaxed)
    guard old & (1 << level) == 0 else { return }
    if old == 0 { marks.pages.append(code) }
    code.pointee.tableLevels.store(old | 1 << level, ordering: .sequentiallyConsistent)
    guard level > 0 else { return }
    let entries = base.assumingMemoryBound(to: UInt64.self)
    for index in 0..<512 { follow(entries[index], below: level, cpu, &marks) }
  }

  private static func follow(
    _ entry: UInt64, below level: UInt64, _ cpu: CPU, _ marks: inout Marks
  ) {
    let needed = PageEntry.present | PageEntry.user
    guard entry & needed == needed, level == 3 || entry & PageEntry.large == 0 else { return }
    mark(entry & PageEntry.frame, level: level - 1, cpu, &marks)
  }

  /// Marks what the entry at `address` leads to.
  private static func markBehind(_ address: UInt64, _ cpu: CPU, _ marks: inout Marks) {
    guard let code = cpu.physicalPage(address & ~4095).pointee.code else { return }
    let levels = code.pointee.tableLevels.load(ordering: .relaxed)
    let entry = cpu.loadPhysical(address, 8)
    for level in UInt64(1)...3 where levels & (1 << level) != 0 {
      follow(entry, below: level, cpu, &marks)
    }
  }
}
