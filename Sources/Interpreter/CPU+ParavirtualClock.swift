import Glibc
import KVMEngine

/// KVM's clock of a processor in software.
extension CPU {
  /// MSR_KVM_SYSTEM_TIME_NEW.
  func setSystemTimePage(_ value: UInt64) {
    s.pointee.systemTimePage = value
    writeSystemTime()
  }

  /// Writes the page anew, where there is one: its anchor is another.
  func writeSystemTime() {
    let place = s.pointee.systemTimePage
    guard place & 1 != 0 else { return }
    ParavirtualClock.write(
      ParavirtualClock.timeInformation(s.pointee.clockAnchor, GuestTimestampCounter.scale),
      at: place & ~3, of: environment.memory)
  }

  /// MSR_KVM_WALL_CLOCK_NEW.
  func setWallClockPage(_ value: UInt64) {
    s.pointee.wallClockPage = value
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let day = UInt64(max(0, now.tv_sec)) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
    ParavirtualClock.write(
      ParavirtualClock.wallClock(day &- currentClockAnchor.nanoseconds),
      at: value & ~3, of: environment.memory)
  }

  /// The clock, anchored at this moment.
  var currentClockAnchor: ParavirtualClock.Anchor {
    s.pointee.clockAnchor.moved(
      to: environment.timestampCounter.read(), GuestTimestampCounter.scale)
  }
}
