import Testing

@testable import Configuration

private func reader(_ text: String) throws -> KeyReader {
  try KeyReader(try YAMLDocument.parse(Array(text.utf8), file: "f.yaml"), file: "f.yaml")
}

private func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "no error"
  } catch {
    return "\(error)"
  }
}

@Test func typedValuesAreTaken() throws {
  let keys = try reader("name: a\ncpus: 2\non: yes\nlist: [x, y]\none: z\nnone:\ngroup: {k: v}\n")
  #expect(try keys.text("name") == "a")
  #expect(try keys.integer("cpus", in: 1...4) == 2)
  #expect(try keys.flag("on") == true)
  #expect(try keys.list("list") { $0 } == ["x", "y"])
  #expect(try keys.list("one") { $0 } == ["z"])
  #expect(try keys.text("none") == nil)
  #expect(try keys.text("absent") == nil)
  let group = try keys.group("group")
  #expect(try group?.text("k") == "v")
  try group?.finish()
  try keys.finish()
}

@Test func mistakesNameFileLineAndKey() throws {
  let keys = try reader("a: 1\ncpus: many\non: perhaps\ndisks:\n  - path: [1]\n")
  #expect(message { _ = try keys.integer("cpus") } == "f.yaml:2: cpus: is no whole number")
  #expect(
    message { _ = try keys.integer("a", in: 2...4) }
      == "f.yaml:1: a: lies between 2 and 4, not at 1")
  #expect(
    message { _ = try keys.flag("on") } == "f.yaml:3: on: is true or false, not \"perhaps\"")
  #expect(
    message { _ = try keys.groups("disks")[0].text("path") }
      == "f.yaml:5: disks.1.path: should be a value, not a list")
  #expect(
    message { _ = try keys.group("a") }
      == "f.yaml:1: a: should hold keys with values, and holds a value")
  #expect(message { _ = try keys.needed("name", nil as Int?) } == "f.yaml:1: name: is missing")
}

@Test func unknownKeysAreRefusedWithWhatWasMeant() throws {
  let keys = try reader("a: 1\nmemroy: 1G\n")
  _ = try keys.text("memory")
  _ = try keys.text("a")
  #expect(
    message { try keys.finish() }
      == "f.yaml:2: memroy: is no key that there is here; did you mean memory?")
  let others = try reader("colour: red\n")
  _ = try others.text("memory")
  #expect(message { try others.finish() } == "f.yaml:1: colour: is no key that there is here")
}

@Test func whatIsWrittenIsReadBack() throws {
  let values = [
    "plain", "", "yes", "-dash", "with space", "a: b", "# no comment", "quote\" and \\",
    "line\nfeed",
    "tab\t", "é ü 漢 😀", "\u{1}\u{7F}\u{85}\u{2028}\u{FEFF}", "/a/b-c_d.img", "*x", "&y", "!z",
    "1.5",
  ]
  var writer = ConfigurationWriter()
  writer.comment(String(repeating: "a long comment ", count: 20))
  for (index, value) in values.enumerated() { writer.entry("k\(index)", value) }
  writer.list("list", values)
  writer.groups("groups", [values.enumerated().map { ("k\($0.offset)", $0.element) }])
  writer.example("unused", "x")
  #expect(writer.text.split(separator: "\n").allSatisfy { $0.count <= 100 })
  let keys = try reader(writer.text)
  for (index, value) in values.enumerated() {
    #expect(try keys.text("k\(index)") == value)
  }
  #expect(try keys.list("list") { $0 } == values)
  let group = try keys.groups("groups")[0]
  #expect(try group.text("k12") == values[12])
  #expect(message { try keys.finish() } == "no error")
}
