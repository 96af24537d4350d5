import Synchronization

/// Whether any of the guest's processors runs code: while none does, nothing in the guest's memory
/// changes but by a device.
///
/// A processor whose sleep is KVM's own business (`HLT` with a local APIC inside KVM) never says that
/// it rests, and so counts as running for ever.
public final class GuestActivity: @unchecked Sendable {
  // SAFETY: `handler` is written before any processor runs; everything else is atomic.
  private let word: Atomic<UInt64>
  private let isWatched = Atomic<Bool>(false)
  private var handler: @Sendable () -> Void = {}

  /// The activity at one moment.
  public struct Moment: Equatable, Sendable {
    /// Bits 0 to 15: processors that run; the rest: how often one began to.
    fileprivate let word: UInt64

    /// No processor runs.
    public var isAtRest: Bool { word & 0xFFFF == 0 }
    /// How often a processor has begun to run: the same at two moments of rest means that none ran
    /// between them.
    public var beginnings: UInt64 { word >> 16 }
  }

  /// The activity of a guest of `processors`, all of which count as running.
  public init(processors: Int) { word = Atomic(UInt64(clamping: max(0, min(processors, 0xFFFF)))) }

  public var moment: Moment { Moment(word: word.load(ordering: .sequentiallyConsistent)) }

  /// Has `handler` called on a processor's thread, with no lock held, at the first change after each
  /// ``watch()``. Once, before the guest runs.
  public func onChange(_ handler: @escaping @Sendable () -> Void) { self.handler = handler }

  /// The next time that the guest comes to rest, or a processor begins to run, is told, once. Who
  /// watches looks at ``moment`` afterwards: what came before is not told.
  public func watch() { isWatched.store(true, ordering: .sequentiallyConsistent) }

  /// A processor that ran sleeps from now on. Called by its thread.
  public func rest() {
    let now = word.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue
    if Moment(word: now).isAtRest { tell() }
  }

  /// A processor that slept runs code from now on. Called by its thread.
  public func stir() {
    word.wrappingAdd(1 << 16 | 1, ordering: .sequentiallyConsistent)
    tell()
  }

  private func tell() {
    guard isWatched.load(ordering: .sequentiallyConsistent),
      isWatched.exchange(false, ordering: .sequentiallyConsistent)
    else { return }
    handler()
  }
}
