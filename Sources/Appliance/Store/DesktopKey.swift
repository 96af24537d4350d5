import Configuration
import Display
import Input
import KVMEngine
import Machine

/// A key of a desktop's configuration file: what it means, what it takes, and which option of
/// `porthole run` it is.
struct DesktopKey: Sendable {
  /// How a key's values are written and handed on.
  enum Kind: Sendable {
    case value
    /// True or false; an option without a value.
    case flag
    /// Any number of values.
    case list
  }

  /// What of a value is a path, which counts from the desktop's folder on where it is not whole.
  enum Path: Sendable {
    case none
    case whole
    /// What stands before the first `=`.
    case beforeEquals
    /// What stands behind `unix:`, `file:` or `socket:`.
    case behindPrefix
  }

  let name: String
  var kind = Kind.value
  var path = Path.none
  /// The option, where it is not called as the key is; empty for what is no option.
  var option: String?
  /// What the commented file says of it.
  let comment: String
  /// What could stand there.
  let example: String
  /// Refuses what can be no value, with a sentence.
  var check: @Sendable (String) throws -> Void = { _ in }

  /// `value` with its path from the root on.
  func resolved(_ value: String, in folder: String) -> String {
    switch path {
    case .none: return value
    case .whole, .beforeEquals: return value.hasPrefix("/") ? value : folder + "/" + value
    case .behindPrefix:
      for prefix in ["unix:", "file:", "socket:"] where value.hasPrefix(prefix) {
        let rest = value.dropFirst(prefix.count)
        return rest.hasPrefix("/") ? value : prefix + folder + "/" + rest
      }
      return value
    }
  }

  /// The key called `name`.
  /// - Throws: a sentence with the one that was probably meant.
  static func find(_ name: String) throws(Complaint) -> DesktopKey {
    if let key = all.first(where: { $0.name == name }) { return key }
    let nearest = NearestWord.find(name, among: all.map(\.name))
    throw Complaint(
      "a desktop has no key \(name); "
        + (nearest.map { "did you mean \($0)?" }
          ?? "there are \(all.map(\.name).joined(separator: ", "))"))
  }
}

extension DesktopKey {
  /// All of them, in the file's order.
  static let all: [DesktopKey] = origin + processor + media + screen + rest

  private static let origin = [
    DesktopKey(
      name: "image", option: "",
      comment: "The golden image that this desktop was made from. Only said here; never read.",
      example: "debian-12")
  ]

  private static let processor = [
    DesktopKey(
      name: "memory", comment: "Memory of the guest.", example: "512M",
      check: { _ = try MemorySize.parse($0) }),
    DesktopKey(
      name: "cpus", comment: "Processors of the guest.", example: "1",
      check: { try number($0, 1...MachineConfiguration.maximumProcessors) }),
    DesktopKey(
      name: "cpu", comment: "The processors that it sees, as host or x86-64-v3,-avx2.",
      example: "host", check: { _ = try CPUOption.parse($0) }),
    DesktopKey(
      name: "engine", comment: "What runs it: kvm, hybrid or software; else what suits the host.",
      example: "kvm", check: { try word($0, EngineKind.self) }),
    DesktopKey(
      name: "irqchip", comment: "Where the interrupt controllers live: split, user or kernel.",
      example: "split", check: { try word($0, IrqchipKind.self) }),
    DesktopKey(
      name: "firmware", comment: "What starts it: builtin, seabios or ovmf.", example: "builtin",
      check: { try word($0, FirmwareKind.self) }),
    DesktopKey(
      name: "firmware-variables", path: .whole, comment: "Where OVMF keeps its variables.",
      example: "variables.fd"),
  ]

  private static let media = [
    DesktopKey(
      name: "disks", kind: .list, path: .whole, option: "disk",
      comment: "Hard disks. Paths count from this file's folder on.",
      example: "disk.raw,format=raw,cache=writeback", check: { _ = try DriveOption.parse($0) }),
    DesktopKey(
      name: "cdroms", kind: .list, path: .whole, option: "cdrom", comment: "CDs.",
      example: "/srv/setup.iso", check: { _ = try DriveOption.parse($0) }),
    DesktopKey(
      name: "floppies", kind: .list, path: .whole, option: "floppy", comment: "Floppy disks.",
      example: "/srv/dos.img", check: { _ = try DriveOption.parse($0) }),
    DesktopKey(
      name: "boot", comment: "The order of boot drives; menu in front asks.",
      example: "cdrom,disk,floppy", check: { _ = try BootOrder.parse($0) }),
    DesktopKey(
      name: "read-only", kind: .flag, comment: "Write to none of the images.", example: "true"),
    DesktopKey(
      name: "guest", comment: "A guest that is built in, instead of media; see porthole guest.",
      example: "demo"),
    DesktopKey(
      name: "kernel", path: .whole, comment: "A kernel to boot instead of media.",
      example: "vmlinuz"),
    DesktopKey(
      name: "initrd", path: .whole, comment: "Its initial RAM disk.", example: "initrd.img"),
    DesktopKey(
      name: "append", comment: "Its command line.", example: "console=ttyS0 quiet"),
    DesktopKey(
      name: "modules", kind: .list, path: .beforeEquals, option: "module",
      comment: "Files for a Multiboot kernel, as FILE or FILE=COMMAND LINE.", example: "module.bin"),
  ]

  private static let screen = [
    DesktopKey(
      name: "vnc", path: .behindPrefix,
      comment:
        "Where viewers connect: HOST:PORT, HOST:FIRST-LAST, :DISPLAY, unix:PATH or none; else "
        + "the first free port of 127.0.0.1 from 5900 on.",
      example: "127.0.0.1:5901", check: { _ = try VNCAddress.parse($0) }),
    DesktopKey(
      name: "password-file", path: .whole, comment: "The file whose first line is the password.",
      example: "password"),
    DesktopKey(
      name: "view-password-file", path: .whole,
      comment: "The same for viewers that only view.", example: "view-password"),
    DesktopKey(
      name: "no-password", kind: .flag, comment: "Let viewers in without a password.",
      example: "true"),
    DesktopKey(
      name: "viewers", comment: "How many viewers may be connected at once.", example: "16",
      check: { try number($0, 1...64) }),
    DesktopKey(
      name: "resolution", comment: "The size that the monitor prefers.", example: "1280x800",
      check: { _ = try ResolutionOption.parse($0) }),
    DesktopKey(
      name: "keyboard", comment: "The keyboard layout that the guest is set to.", example: "us",
      check: { _ = try KeyboardOption.parse($0) }),
    DesktopKey(
      name: "paste-key", comment: "Keys in a viewer that have its copied text typed, or none.",
      example: "ctrl-alt-v"),
  ]

  private static let rest = [
    DesktopKey(
      name: "serial", path: .behindPrefix,
      comment: "Where COM1 goes: console (for porthole console), none, file:PATH or socket:PATH.",
      example: "console",
      check: { if $0 != serialConsole { try fileSerial($0) } }),
    DesktopKey(
      name: "on-triple-fault", comment: "What a triple fault does: reset or stop.",
      example: "reset", check: { try word($0, TripleFaultPolicy.self) }),
    DesktopKey(
      name: "debug-exit", kind: .flag,
      comment: "Let the guest end the desktop by a write to port 0xF4.", example: "true"),
  ]

  /// The value of `serial` that is the desktop's own socket.
  static let serialConsole = "console"

  private static func fileSerial(_ text: String) throws {
    guard try SerialOption.parse(text) != .stdio else {
      throw Complaint("a desktop by name has no standard input; choose console")
    }
  }

  private static func number(_ text: String, _ range: ClosedRange<Int>) throws {
    guard let number = Int(text), range.contains(number) else {
      throw Complaint(
        "lies between \(range.lowerBound) and \(range.upperBound), and \(text) does not")
    }
  }

  private static func word<Word: RawRepresentable & CaseIterable>(
    _ text: String, _: Word.Type
  ) throws where Word.RawValue == String {
    guard Word(rawValue: text) != nil else {
      let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
      throw Complaint("is one of \(words), not \"\(text)\"")
    }
  }
}
