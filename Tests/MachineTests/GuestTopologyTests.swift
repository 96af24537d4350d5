import Interpreter
import Testing

@testable import Machine

struct GuestTopologyTests {
  private func leaf(_ leaf: UInt32, _ subleaf: UInt32 = 0, index: Int, count: Int) -> CPUIDResult {
    GuestTopology(index: index, count: count).applied(
      to: HostCPUID.result(leaf, subleaf), leaf: leaf, subleaf: subleaf)
  }

  @Test func everyProcessorHasItsOwnIdentifierInEveryLeaf() {
    for index in 0..<5 {
      #expect(leaf(1, index: index, count: 5).ebx >> 24 == UInt32(index))
      #expect(leaf(0xB, 0, index: index, count: 5).edx == UInt32(index))
      #expect(leaf(0xB, 1, index: index, count: 5).edx == UInt32(index))
    }
  }

  @Test func loneProcessorClaimsNoOthers() {
    let one = leaf(1, index: 0, count: 1)
    #expect(one.edx & 1 << 28 == 0)
    #expect(one.ebx >> 16 & 0xFF == 1)
    #expect(leaf(0x8000_0008, index: 0, count: 1).ecx == 0)
  }

  /// Intel SDM vol. 2A, CPUID leaf 0Bh: each level's shift takes all identifiers of the next.
  @Test(arguments: [2, 3, 4, 16])
  func topologyLevelsHoldAllProcessors(count: Int) {
    #expect(leaf(0, index: 0, count: count).eax >= 0xB)
    let threads = leaf(0xB, 0, index: 1, count: count)
    let cores = leaf(0xB, 1, index: 1, count: count)
    #expect(threads.eax == 0 && threads.ebx == 1 && threads.ecx == 0x100)
    #expect(cores.ebx == UInt32(count) && cores.ecx == 0x201)
    #expect(1 << cores.eax >= count && 1 << cores.eax < 2 * count)
    #expect(leaf(0xB, 2, index: 1, count: count).ecx >> 8 == 0)
    #expect(leaf(1, index: 0, count: count).edx & 1 << 28 != 0)
  }
}
