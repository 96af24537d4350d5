import Testing

@testable import Appliance

@Suite struct ControlClientTests {
  @Test func theOnlyDesktopNeedsNoName() throws {
    #expect(try ControlClient.choose(nil, of: ["a"]) == "a")
    #expect(try ControlClient.choose("b", of: ["a", "b"]) == "b")
  }

  @Test(
    arguments: [
      (nil, [], "no desktop runs"),
      (nil, ["a", "b"], "name one of them: a, b"),
      ("c", [], "no desktop named c"),
      ("c", ["a", "b"], "these do: a, b"),
    ] as [(String?, [String], String)])
  func doubtIsASentenceThatListsThem(wanted: String?, running: [String], words: String) {
    let error = #expect(throws: Complaint.self) {
      try ControlClient.choose(wanted, of: running)
    }
    #expect(error?.description.contains(words) == true)
  }
}
