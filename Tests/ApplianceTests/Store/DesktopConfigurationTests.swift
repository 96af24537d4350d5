import Configuration
import Testing

@testable import Appliance

private func read(_ text: String) throws -> DesktopConfiguration {
  try DesktopConfiguration(Array(text.utf8), file: "d.yaml")
}

private func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "no error"
  } catch {
    return "\(error)"
  }
}

private let folder = DesktopFolder(name: "desk", path: "/store/desk")

@Test func theCommentedFileSaysWhatWasSet() throws {
  var configuration = DesktopConfiguration()
  try configuration.set("memory", ["512M"])
  try configuration.set("disks", ["disk.raw", "/srv/a b.img"])
  try configuration.set("no-password", ["true"])
  try configuration.set("append", ["console=ttyS0 \"quiet\": # no"])
  #expect(try read(configuration.text) == configuration)
  #expect(configuration.text.contains("\n# cpus: 1\n"))
  #expect(try read("") == DesktopConfiguration())
}

@Test func aConfigurationIsOptionsOfRun() throws {
  let configuration = try read(
    """
    memory: 512M
    disks: [disk.raw, /srv/b.img]
    no-password: yes
    read-only: no
    append: "-x"
    kernel: vmlinuz
    serial: console
    vnc: unix:screen
    """)
  let command = try configuration.command(in: folder, console: "/run/desk.serial")
  #expect(command.name == "desk")
  #expect(command.memory == 512 << 20)
  #expect(command.disk.map(\.path) == ["/store/desk/disk.raw", "/srv/b.img"])
  #expect(command.noPassword && !command.readOnly)
  #expect(command.append == "-x" && command.kernel == "/store/desk/vmlinuz")
  #expect(command.serial == .socket("/run/desk.serial"))
  #expect(command.vnc == .unix(path: "/store/desk/screen"))
}

@Test func mistakesInAConfigurationNameLineAndKey() {
  #expect(
    message { _ = try read("version: 1\nmemory: lots\n") }.hasPrefix("d.yaml:2: memory: \"lot"))
  #expect(message { _ = try read("cpus: 99\n") }.hasPrefix("d.yaml:1: cpus: lies between 1 and 16"))
  #expect(message { _ = try read("engine: qemu\n") }.contains("kvm, hybrid, software"))
  #expect(message { _ = try read("dsik: a\n") }.hasPrefix("d.yaml:1: dsik: is no key"))
  #expect(message { _ = try read("disk: a\n") }.hasSuffix("did you mean disks?"))
  #expect(message { _ = try read("version: 2\n") }.contains("written by a newer porthole"))
  #expect(message { _ = try read("serial: stdio\n") }.contains("no standard input"))
  let contradiction = message {
    _ = try read("initrd: x\n").command(in: folder, console: "/c")
  }
  #expect(contradiction.contains("/store/desk/desktop.yaml") && contradiction.contains("--kernel"))
}

@Test func oldLayoutsAreBroughtForward() throws {
  let table = [
    DesktopMigration(version: 2) { entries in
      entries.map { $0.key == "ram" ? YAMLEntry(key: "mem", place: $0.place, value: $0.value) : $0 }
    },
    DesktopMigration(version: 3) { entries in
      entries.map {
        $0.key == "mem" ? YAMLEntry(key: "memory", place: $0.place, value: $0.value) : $0
      }
    },
  ]
  let old = try YAMLDocument.parse(Array("version: 1\nram: 64M\n".utf8), file: "d.yaml")
  let new = try DesktopMigration.current(old, "d.yaml", table: table, newest: 3)
  let reader = try KeyReader(new, file: "d.yaml")
  #expect(try reader.text("memory") == "64M")
}

@Test func aChangeKeepsWhatItsWriterAdded() throws {
  let old = """
    # mine
    memory: 64M   # enough
    disks:
      - a
      - b
    # cpus: 1
    guest: demo
    """
  var configuration = try read(old)
  try configuration.set("disks", ["c"])
  try configuration.set("cpus", ["2"])
  try configuration.set("guest", [])
  try configuration.set("boot", ["disk"])
  let new = configuration.text(changing: old, file: "d.yaml")
  #expect(try read(new) == configuration)
  #expect(new.hasPrefix("# mine\nmemory: 64M   # enough\ndisks:\n  - c\ncpus: 2\n"))
  #expect(!new.contains("demo"))
  // What can't be changed by lines is written anew.
  let odd = "{memory: 64M, append: 'a\n  b'}\n"
  var other = try read(odd)
  try other.set("memory", ["1G"])
  #expect(try read(other.text(changing: odd, file: "d.yaml")) == other)
}

@Test func namesHaveNumbers() throws {
  #expect(try NumberedName("desk-%02d").text(7) == "desk-07")
  #expect(try NumberedName("d%dx").text(123) == "d123x")
  for pattern in ["desk", "%d%d", "%2d", "%s", "%0999d", "a%"] {
    #expect(throws: Complaint.self) { try NumberedName(pattern) }
  }
}
