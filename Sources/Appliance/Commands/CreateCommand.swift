import ArgumentParser
import Glibc
import KVMEngine

/// `porthole create`: a desktop with a name, which lasts.
struct CreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Makes a desktop with a name: from an image, a CD, a disk, a kernel, or a size.",
    discussion: """
      It gets a folder with its disk and a commented file, desktop.yaml, which porthole edit changes. \
      It has a password of its own, which porthole show tells. Nothing half-made is ever left.

        porthole create desk --image debian-12 --start
        porthole create desk --iso setup.iso --size 20G --memory 2G
        porthole create --count 20 desk-%02d --image debian-12
      """)

  @Argument(help: "What it is called; with --count, with %d or %02d for the number.")
  var name: String

  @Option(
    name: .long,
    help: "A golden image, by name, or the path of an image file: its disk's beginning.",
    completion: CompletedNames.images)
  var image: String?

  @Option(
    name: .long, help: "A new disk's size, as 20G; with --image, what its disk grows to.",
    transform: ImageSize.parse)
  var size: UInt64?

  @Option(
    name: [.long, .customLong("iso")], help: "A CD image; may be given again.", completion: .file())
  var cdrom: [String] = []

  @Option(
    name: .long, help: "A hard disk image that it uses as it is; may be given again.",
    completion: .file())
  var disk: [String] = []

  @Option(name: .long, help: "A floppy image; may be given again.", completion: .file())
  var floppy: [String] = []

  @Option(name: .long, help: "A guest that is built in; porthole guest lists them.")
  var guest: String?

  @Option(name: .long, help: "A kernel to boot instead of media.", completion: .file())
  var kernel: String?

  @Option(name: .long, help: "The initial RAM disk that the kernel gets.", completion: .file())
  var initrd: String?

  @OptionGroup(title: "Options as of porthole run") var options: DesktopOptions

  @Option(name: .long, help: "How many to make, 1 to 1000.")
  var count: Int?

  @Flag(name: .long, help: "Start it.")
  var start = false

  private static let mostAtOnce = 1000

  func validate() throws {
    if let count, !(1...Self.mostAtOnce).contains(count) {
      throw ValidationError("--count goes from 1 to \(Self.mostAtOnce)")
    }
    guard !sources.isEmpty || image != nil || size != nil else {
      throw ValidationError(
        "from what? Give --image, --iso, --disk, --kernel, --guest, or --size for an empty disk")
    }
    do {
      _ = try names()
      _ = try recipe()
      if let guest { _ = try BuiltInGuest.image(guest) }
    } catch {
      throw ValidationError("\(error)")
    }
  }

  /// The media that are used as they are, by key.
  private var sources: [(key: String, values: [String])] {
    [
      ("cdroms", cdrom), ("disks", disk), ("floppies", floppy), ("guest", guest.map { [$0] } ?? []),
      ("kernel", kernel.map { [$0] } ?? []), ("initrd", initrd.map { [$0] } ?? []),
    ].filter { !$0.values.isEmpty }
  }

  /// The names of the desktops to make.
  private func names() throws -> [String] {
    guard let count else { return [try DesktopName.parse(name)] }
    let pattern = try NumberedName(name)
    return try (1...count).map { try DesktopName.parse(pattern.text($0)) }
  }

  private func recipe() throws -> DesktopRecipe {
    var recipe = DesktopRecipe(size: size)
    for (key, values) in sources {
      let isPath = key != "guest"
      try recipe.configuration.set(key, isPath ? values.map(SaveCommand.whole) : values)
    }
    try options.set(in: &recipe.configuration)
    return recipe
  }

  /// Refuses a path that leads to nothing that a desktop could read.
  private static func check(_ path: String) throws {
    guard access(path, R_OK) == 0 else { throw HostError("open \(path)", code: errno) }
    var status = stat()
    guard stat(path, &status) == 0, [S_IFREG, S_IFBLK].contains(status.st_mode & S_IFMT) else {
      throw Complaint("\(path) is neither a file nor a block device; name one that is")
    }
  }

  func run() throws {
    var recipe = try recipe()
    recipe.image = try image.map { try ImageChoice($0) }
    for (key, values) in sources where key != "guest" {
      for value in values {
        let path = try key == "kernel" || key == "initrd" ? value : DriveOption.parse(value).path
        try Self.check(path)
      }
    }
    if let passwordFile = options.passwordFile { try Self.check(passwordFile) }
    let store = try DesktopStore.open()
    let names = try names()
    // All or none, as far as that can be known before.
    for name in names where store.existing(name) != nil { throw DesktopStore.taken(name) }
    var launchers: [DesktopLauncher] = []
    var failures: [any Error] = []
    do {
      for name in names {
        let lock = try store.make(name) { try recipe.fill($0) }
        if start {
          launchers.append(try DesktopLauncher(store.folder(name), lock: lock))
        } else {
          Console.output("desktop \(name): made; start it with: porthole start \(name)")
        }
      }
    } catch {
      failures.append(error)
    }
    try StartCommand.wait(launchers, failures: failures)
  }
}

/// The options of `porthole run` that `porthole create` hands on to the configuration.
struct DesktopOptions: ParsableArguments {
  @Option(name: .long, help: "Memory of the guest, as 64M or 1G.")
  var memory: String?

  @Option(name: .long, help: "Processors of the guest.")
  var cpus: String?

  @Option(name: .long, help: "The processors that the guest sees.")
  var cpu: String?

  @Option(name: .long, help: "What runs the guest: kvm, software or hybrid.")
  var engine: String?

  @Option(name: .long, help: "The firmware: builtin, seabios or ovmf.")
  var firmware: String?

  @Option(name: .long, help: "The order of boot drives.")
  var boot: String?

  @Option(name: .long, help: "The kernel's command line.")
  var append: String?

  @Option(name: .long, help: "Where the screen is served.")
  var vnc: String?

  @Option(name: .long, help: "A file whose first line is the VNC password.", completion: .file())
  var passwordFile: String?

  @Flag(name: .long, help: "Let viewers connect without a password.")
  var noPassword = false

  @Option(name: .long, help: "How many viewers may be connected at once.")
  var viewers: String?

  @Option(name: .long, help: "The keyboard layout that the guest is set to.")
  var keyboard: String?

  @Option(name: .long, help: "The size that the monitor prefers.")
  var resolution: String?

  @Option(name: .long, help: "Where COM1 goes. (default: console, for porthole console)")
  var serial: String?

  /// Puts what was given into a configuration.
  func set(in configuration: inout DesktopConfiguration) throws {
    let given = [
      ("memory", memory), ("cpus", cpus), ("cpu", cpu), ("engine", engine), ("firmware", firmware),
      ("boot", boot), ("append", append), ("vnc", vnc), ("viewers", viewers),
      ("password-file", passwordFile.map(SaveCommand.whole)), ("keyboard", keyboard),
      ("no-password", noPassword ? "true" : nil), ("resolution", resolution), ("serial", serial),
    ]
    for (key, value) in given { if let value { try configuration.set(key, [value]) } }
  }
}

/// A name with a number in it, as `desk-%02d`.
struct NumberedName {
  private let before: Substring
  private let after: Substring
  private let digits: Int

  init(_ pattern: String) throws(Complaint) {
    let mistake = Complaint(
      "\(pattern) needs one place for the number, as desk-%d or desk-%02d")
    let parts = pattern.split(separator: "%", omittingEmptySubsequences: false)
    guard parts.count == 2, let end = parts[1].firstIndex(of: "d") else { throw mistake }
    let width = parts[1][..<end]
    guard width.isEmpty || width.first == "0", width.count < 3, width.isEmpty || Int(width) != nil
    else { throw mistake }
    before = parts[0]
    after = parts[1][parts[1].index(after: end)...]
    digits = Int(width) ?? 0
  }

  /// The name with number `number`.
  func text(_ number: Int) -> String {
    let number = String(number)
    return before + String(repeating: "0", count: max(0, digits - number.count)) + number + after
  }
}
