import ProcessorFuzzing
import Testing

/// Random instructions in 64-bit ring 3, in the software processor and on the host's own.
@Suite(.serialized) struct RandomCaseTests {
  @Test(arguments: [UInt64(1), 2, 3]) func randomCodeEndsAsOnTheHost(seed: UInt64) throws {
    let comparison = try Comparison()
    var dice = Seeded(seed)
    var differences: [String] = []
    for _ in 0..<30_000 {
      if let difference = comparison.difference(RandomCase(&dice)) {
        differences.append(difference)
      }
      if differences.count == 10 { break }
    }
    #expect(differences == [])
  }
}
