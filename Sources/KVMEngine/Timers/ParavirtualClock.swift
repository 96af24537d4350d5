/// KVM's clock for guests: a page that says how to make nanoseconds from the time-stamp counter, so
/// that a guest need not measure how fast that counts (Linux, Documentation/virt/kvm/x86/msr.rst,
/// MSR_KVM_SYSTEM_TIME_NEW and MSR_KVM_WALL_CLOCK_NEW; cpuid.rst).
public enum ParavirtualClock {
  /// MSR_KVM_WALL_CLOCK_NEW: writing an address there puts the time of day at the clock's zero.
  public static let wallClockRegister: UInt32 = 0x4B56_4D00
  /// MSR_KVM_SYSTEM_TIME_NEW: the address of this processor's page, and in bit 0 whether it counts.
  public static let systemTimeRegister: UInt32 = 0x4B56_4D01

  /// KVM_FEATURE_NOP_IO_DELAY, CLOCKSOURCE2 and CLOCKSOURCE_STABLE_BIT: ports need no delays, these
  /// registers are there, and all processors' clocks agree.
  public static let features: UInt32 = 1 << 1 | 1 << 3 | 1 << 24

  /// Nanoseconds at a moment of the time-stamp counter, from which all others follow.
  public struct Anchor: Codable, Equatable, Sendable {
    /// The guest's counter.
    public var count: UInt64
    public var nanoseconds: UInt64

    public init(count: UInt64 = 0, nanoseconds: UInt64 = 0) {
      self.count = count
      self.nanoseconds = nanoseconds
    }

    /// Nanoseconds of the clock when the counter is `count`, before or after the anchor.
    public func nanoseconds(at count: UInt64, _ scale: Scale) -> UInt64 {
      // A guest may set its counter to anything: what was before then lies below zero.
      Int64(bitPattern: count &- self.count) >= 0
        ? nanoseconds &+ scale.nanoseconds(count &- self.count)
        : nanoseconds &- scale.nanoseconds(self.count &- count)
    }

    /// The same clock, anchored at `count`.
    public func moved(to count: UInt64, _ scale: Scale) -> Anchor {
      Anchor(count: count, nanoseconds: nanoseconds(at: count, scale))
    }
  }

  /// Counts to nanoseconds: `(count << shift) * multiplier >> 32`.
  public struct Scale: Equatable, Sendable {
    public let multiplier: UInt32
    /// Negative: to the right.
    public let shift: Int8

    /// - Parameter frequency: counts a second.
    public init(frequency: UInt64) {
      let second: UInt64 = 1_000_000_000
      var scaled = max(1, frequency)
      var shift: Int8 = 0
      while scaled > 2 * second {
        scaled >>= 1
        shift &-= 1
      }
      while scaled <= second {
        scaled <<= 1
        shift &+= 1
      }
      self.shift = shift
      multiplier = UInt32(truncatingIfNeeded: (second << 32) / scaled)
    }

    /// Nanoseconds that `count` takes.
    public func nanoseconds(_ count: UInt64) -> UInt64 {
      let shifted = shift < 0 ? count >> UInt64(-shift) : count &<< UInt64(shift)
      let (high, low) = shifted.multipliedFullWidth(by: UInt64(multiplier))
      return high << 32 | low >> 32
    }
  }

  /// `struct pvclock_vcpu_time_info` behind its version: 28 bytes.
  public static func timeInformation(_ anchor: Anchor, _ scale: Scale) -> [UInt8] {
    let isStable: UInt8 = 1
    return [0, 0, 0, 0] + bytes(anchor.count) + bytes(anchor.nanoseconds) + bytes(scale.multiplier)
      + [UInt8(bitPattern: scale.shift), isStable, 0, 0]
  }

  /// `struct pvclock_wall_clock` behind its version: 8 bytes.
  /// - Parameter nanoseconds: since 1970, at the clock's zero.
  public static func wallClock(_ nanoseconds: UInt64) -> [UInt8] {
    bytes(UInt32(truncatingIfNeeded: nanoseconds / 1_000_000_000))
      + bytes(UInt32(truncatingIfNeeded: nanoseconds % 1_000_000_000))
  }

  /// Writes what stands behind a version, which is odd meanwhile and 2 more afterwards: who reads
  /// takes what lies between two equal even versions.
  public static func write(_ body: [UInt8], at address: UInt64, of memory: AddressSpace) {
    let version = memory.load(address, as: UInt32.self) & ~1
    memory.store(version | 1, at: address)
    memory.write(address &+ 4, bytes: body)
    memory.store(version &+ 2, at: address)
  }

  private static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
