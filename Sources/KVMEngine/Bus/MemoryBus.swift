/// The devices in guest-physical memory space: what an access reaches that hits neither RAM nor ROM
/// nor a mapped window.
///
/// Registered while the machine is built, constant afterwards, read without a lock. An address that
/// nobody owns reads as all ones and swallows writes.
public final class MemoryBus: @unchecked Sendable {
  // SAFETY: `ranges` is changed by `register` alone, before any vCPU thread runs; `devices` retains
  // what the ranges name.
  private struct Range {
    let first: UInt64
    let last: UInt64
    unowned(unsafe) let device: any MemoryDevice
  }

  private var ranges: [Range] = []
  private var devices: [any MemoryDevice] = []

  public init() {}

  /// Gives `device` the addresses of `range`. Only while the machine is built.
  /// - Throws: ``BusError`` where an address has an owner already.
  public func register(
    _ device: any MemoryDevice, at range: ClosedRange<UInt64>
  ) throws(BusError) {
    for other in ranges where range.overlaps(other.first...other.last) {
      throw .occupied(max(range.lowerBound, other.first))
    }
    devices.append(device)
    ranges.append(Range(first: range.lowerBound, last: range.upperBound, device: device))
    ranges.sort { $0.first < $1.first }
  }

  /// A load of `width` at guest-physical `address`.
  public func read(_ address: UInt64, width: AccessWidth) -> UInt64 {
    guard let index = find(address) else { return width.mask }
    let range = ranges[index]
    return range.device.readMemory(address &- range.first, width: width) & width.mask
  }

  /// A store of `width` at guest-physical `address`.
  public func write(_ address: UInt64, width: AccessWidth, value: UInt64) {
    guard let index = find(address) else { return }
    let range = ranges[index]
    range.device.writeMemory(address &- range.first, width: width, value: value & width.mask)
  }

  /// ``MemoryDevice/fillMemory(_:width:value:count:)`` at guest-physical `address`. False, and
  /// nothing done, where not all of it is one device's.
  public func fill(_ address: UInt64, width: AccessWidth, value: UInt64, count: Int) -> Bool {
    guard let range = range(of: address, width, count) else { return false }
    range.device.fillMemory(
      address &- range.first, width: width, value: value & width.mask, count: count)
    return true
  }

  /// ``MemoryDevice/copyMemory(from:to:width:count:)`` between guest-physical addresses. False, and
  /// nothing done, where not all of it is one device's.
  public func copy(
    from source: UInt64, to address: UInt64, width: AccessWidth, count: Int
  ) -> Bool {
    guard let range = range(of: address, width, count),
      let other = self.range(of: source, width, count), other.first == range.first
    else { return false }
    range.device.copyMemory(
      from: source &- range.first, to: address &- range.first, width: width, count: count)
    return true
  }

  private func range(of address: UInt64, _ width: AccessWidth, _ count: Int) -> Range? {
    guard count > 0, let index = find(address),
      UInt64(count) * UInt64(width.bytes) - 1 <= ranges[index].last - address
    else { return nil }
    return ranges[index]
  }

  private func find(_ address: UInt64) -> Int? {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].last < address { low = middle + 1 } else { high = middle }
    }
    guard low < ranges.count, ranges[low].first <= address else { return nil }
    return low
  }
}
