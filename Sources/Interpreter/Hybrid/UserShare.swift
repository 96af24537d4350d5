import CInterpreter

/// Who runs user code that begins: the interpreter or the user engine.
///
/// Entering the user engine and coming back costs as much as some ten thousand interpreted
/// instructions. So user code that has just begun is interpreted first, for about as long: what makes
/// a system call soon never pays for the way, and what computes pays twice at most. Code that was
/// found to compute goes to the user engine at once the next times.
struct UserShare {
  /// Instructions that are interpreted before the user engine takes over.
  static let trial: Int64 = 10_000
  /// Counts of the host's time-stamp counter: a stay in the user engine that was hardly more than
  /// the way there and back.
  private static let shortStay: UInt64 = 150_000
  private static let mostStraight = 16

  /// Whether both have the same vector registers. Where the host has more, user code may have values
  /// in them that the interpreter's instructions would have to change, and images of them that it
  /// can't load.
  static let isSafe = ci_host_xcr0() == HostCPUID.vectorState

  /// Whether trials are made at all.
  var isUseful = false
  /// Instructions that are left of the trial that is under way; 0: none is.
  private(set) var left: Int64 = 0
  /// So many more times user code goes to the user engine without a trial.
  private var straight = 0
  private var nextStraight = 1

  /// Whether user code is being interpreted on trial.
  @inline(__always) var isUnderWay: Bool { left > 0 }

  /// User code begins.
  /// - Returns: whether it is interpreted at first.
  mutating func begin() -> Bool {
    guard isUseful else { return false }
    if straight > 0 {
      straight -= 1
      return false
    }
    left = Self.trial
    return true
  }

  /// So many instructions were run.
  /// - Returns: whether that was the last of the trial.
  @inline(__always)
  mutating func spend(_ count: Int64) -> Bool {
    guard left > 0 else { return false }
    left &-= count
    return left <= 0
  }

  /// User code ended, or needs the user engine.
  mutating func end(needsEngine: Bool) {
    guard left > 0 else { return }
    left = 0
    if !needsEngine { nextStraight = 1 }
  }

  /// The user engine ran user code for `counts` of the time-stamp counter, all in all.
  mutating func stayed(_ counts: UInt64) {
    left = 0
    guard isUseful, counts > Self.shortStay else { return }
    straight = nextStraight
    nextStraight = min(nextStraight * 2, Self.mostStraight)
  }
}
