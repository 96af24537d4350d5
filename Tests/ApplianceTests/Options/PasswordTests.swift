import Testing

@testable import Appliance

@Suite struct PasswordTests {
  @Test func madePasswordsAreEightPlainCharactersAndDiffer() throws {
    var seen: Set<String> = []
    for _ in 0..<100 {
      let password = try Password.generate()
      #expect(password.count == 8)
      #expect(password.allSatisfy(Password.alphabet.contains))
      seen.insert(password)
    }
    #expect(seen.count == 100)
    // A byte modulo the alphabet's size prefers no character.
    #expect(256 % Set(Password.alphabet).count == 0)
  }

  @Test func aFilesFirstLineIsThePassword() throws {
    #expect(try Password.firstLine("secret\nmore".utf8, path: "f") == "secret")
    #expect(try Password.firstLine("secret\r\n".utf8, path: "f") == "secret")
    #expect(try Password.firstLine("with space".utf8, path: "f") == "with space")
    for bytes in [[], Array("\nsecret".utf8), [0], [0xFF, 0xFE], Array("a\u{7F}".utf8)] {
      #expect(throws: Complaint.self) { try Password.firstLine(bytes, path: "f") }
    }
  }
}
