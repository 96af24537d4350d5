import Testing

@testable import Configuration

private func tree(_ text: String) throws -> YAMLNode {
  try YAMLDocument.parse(Array(text.utf8), file: "desktop.yaml")
}

private func refusal(_ text: String) -> String {
  do {
    return "took it: \(try tree(text))"
  } catch {
    return "\(error)"
  }
}

@Test func valuesListsAndGroupsKeepTheirOrderAndPlace() throws {
  let root = try tree("name: a\n# a comment\ndisks:\n  - path: \"x y\"\n    size: 1\n")
  guard case .mapping(let entries) = root.content else { return #expect(Bool(false)) }
  #expect(entries.map(\.key) == ["name", "disks"])
  #expect(entries[1].place == YAMLPlace(line: 3, column: 1))
  guard case .sequence(let disks) = entries[1].value.content,
    case .mapping(let disk) = disks.first?.content
  else { return #expect(Bool(false)) }
  #expect(disk[0].value.content == .scalar("x y", plain: false))
  #expect(disk[1].value == YAMLNode(.scalar("1", plain: true), at: YAMLPlace(line: 5, column: 11)))
}

@Test func anEmptyDocumentHasNoKeys() throws {
  for text in ["", "\n", "# only a comment\n", "---\n", "~\n"] {
    #expect(try tree(text).content == .mapping([]))
  }
}

@Test func whatIsNoYAMLIsToldWithItsLine() {
  #expect(refusal("a: 1\nb: [1, 2\nc: 3\n").hasPrefix("desktop.yaml:3: is no YAML: "))
  #expect(refusal("a: 1\n\tb: 2\n").hasPrefix("desktop.yaml:2: is no YAML: "))
  #expect(refusal("a: \"\u{1}\"").contains("is no YAML"))
}

@Test func repeatedKeysAndReferencesAreRefused() {
  #expect(refusal("a: 1\nb: 2\na: 3\n") == "desktop.yaml:3: a: stands twice, in line 1 already")
  #expect(refusal("a: &x 1\n").contains("anchors (&) and aliases (*)"))
  #expect(refusal("a: *x\n").contains("anchors (&) and aliases (*)"))
  #expect(refusal("a: !!int 1\n").contains("tags (!)"))
  #expect(refusal("[a]: 1\n").contains("a key has to be text"))
  #expect(refusal("a: 1\n---\nb: 2\n").contains("a second document"))
}

@Test func sizesAreBounded() {
  #expect(refusal(String(repeating: "[", count: 60_000)).contains("too deep"))
  #expect(refusal(String(repeating: "- \n", count: 20_000)).contains("too many values"))
  #expect(refusal(String(repeating: "#", count: 65_537)).contains("more than 64 KiB"))
  #expect(throws: ConfigurationError(file: "f", message: "is not UTF-8 text")) {
    try YAMLDocument.parse([0x61, 0x3A, 0x20, 0xFF], file: "f")
  }
}

@Test func anyBytesAreReadOrRefused() {
  var generator = SystemRandomNumberGenerator()
  let pieces = [
    "a", ": ", "- ", "[", "]", "{", "}", "\n", "  ", "\"", "'", "|", ">", "#", "é", "? ",
  ]
  for _ in 0..<2000 {
    let text = (0..<Int.random(in: 0...60, using: &generator))
      .map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
    _ = refusal(text)
  }
}
