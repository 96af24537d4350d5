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
    /// Bits 0 to 14: processors that run; bit 15: the machine stands still; the rest: how often one
    /// began to.
    fileprivate let word: UInt64

    /// The machine stands still: processors, devices and the clock.
    public var standsStill: Bool { word & GuestActivity.still != 0 }
    /// No processor runs.
    public var isAtRest: Bool { standsStill || word & (GuestActivity.still - 1) == 0 }
    /// How often a processor has begun to run: the same at two moments of rest means that none ran
    /// between them.
    public var beginnings: UInt64 { word >> 16 }
  }

  fileprivate static let still: UInt64 = 1 << 15

  /// The activity of a guest of `processors`, all of which count as running.
  public init(processors: Int) { word = Atomic(UInt64(clamping: max(0, min(processors, 0x7FFF)))) }

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

  /// The machine stands still from now on, or goes on. Called by the machine's thread.
  public func standStill(_ stands: Bool) {
    guard stands != moment.standsStill else { return }
    if stands {
      word.wrappingAdd(Self.still, ordering: .sequentiallyConsistent)
    } else {
      word.wrappingAdd(1 << 16 &- Self.still, ordering: .sequentiallyConsistent)
    }
    tell()
  }

  private func tell() {
    guard isWatched.load(ordering: .sequentiallyConsistent),
      isWatched.exchange(false, ordering: .sequentiallyConsistent)
    else { return }
    handler()
  }
}
