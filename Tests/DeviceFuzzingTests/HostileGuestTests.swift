import DeviceFuzzing
import DeviceTestKit
import Foundation
import Testing

/// A short run of what the fuzzer does at length: the same steps every time.
@Suite(.serialized) struct HostileGuestTests {
  private static let names = DeviceTarget.all.map(\.name)

  @Test(arguments: names) func anyStepsAreSurvived(name: String) throws {
    let target = try #require(DeviceTarget.named(name))
    let guest = try HostileGuest()
    var random = SplitMix64(seed: 0xD0_0D + UInt64(name.utf8.reduce(0) { $0 &* 31 &+ Int($1) }))
    var memory = 0
    for round in 0..<40 {
      var steps = (0..<200).map { _ in random.next() }
      // Small values reach more commands than any values.
      if round & 1 == 0 {
        for index in steps.indices { steps[index] &= 0x0000_003F_FFFF_FFFF }
      }
      let problem = steps.withUnsafeBytes { guest.run(target, $0) }
      #expect(problem == nil)
      if round == 10 { memory = Self.residentBytes() }
    }
    #expect(Self.residentBytes() - memory < 64 << 20)
  }

  /// Bytes of this process in memory.
  private static func residentBytes() -> Int {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else {
      return 0
    }
    return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
  }
}
