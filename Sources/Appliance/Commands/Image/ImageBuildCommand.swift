import ArgumentParser

/// `porthole image build`: a small Debian system.
struct ImageBuildCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "build",
    abstract: "Makes an image of a small Debian system that boots to a login.",
    discussion: """
      The system is made of Debian's packages by mmdebstrap, with a kernel, GRUB, and one user, who may \
      become root by sudo; it has a shell on the screen and on the serial port. It takes neither root \
      nor loop devices; without root it takes fakeroot, uidmap and a line for the user in /etc/subuid. \
      The same packages and options make the same image, byte by byte.
      """)

  @Argument(help: "What the image is to be called.", transform: ImageName.parse)
  var name: String

  @Option(name: .long, help: "The Debian release.", transform: DebianRecipe.release)
  var release = "bookworm"

  @Option(
    name: .long, help: "A package to install; may be given again.", transform: DebianRecipe.package)
  var package: [String] = []

  @Option(name: .long, help: "The kernel's package.", transform: DebianRecipe.package)
  var kernel = DebianRecipe.standardKernel

  @Option(name: .long, help: "The user's name.", transform: DebianRecipe.user)
  var user = "user"

  @Option(
    name: .long, help: "A file whose first line is the user's password; otherwise one is made.",
    completion: .file())
  var passwordFile: String?

  @Option(
    name: .long, help: "The disk's size, as 4G; what is empty takes no room. (default: 2G)",
    transform: DebianRecipe.size)
  var size: Int?

  @Option(
    name: .long, help: "The mirror to take packages from. (default: deb.debian.org, with security)",
    transform: DebianRecipe.mirror)
  var mirror: String?

  @Option(
    name: .long, help: "Memory of its desktops. (default: 256M)", transform: MemorySize.parse)
  var memory: Int?

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  /// Memory that such a system runs in without swapping.
  private static let standardMemory = 256 << 20

  func run() throws {
    let password = try passwordFile.map(Password.read) ?? Password.generate()
    let recipe = DebianRecipe(
      release: release, kernel: kernel, packages: package, mirror: mirror, user: user,
      password: password, size: size ?? DebianRecipe.standardSize)
    let settings = ImageSettings(memory: memory ?? Self.standardMemory, ready: .text("login:"))
    let image = try Interruption.clearing {
      let line = ProgressLine("building \(name)")
      defer { line.finish() }
      return try ImageBuild(name, of: recipe, settings: settings, in: .locate()) {
        line.update($0)
      }.run().image
    }
    if json {
      Console.output(try JSON.text(ImageReport(image, usedBy: [])))
    } else {
      Console.output("image \(name): Debian \(release), \(ByteCount.describe(image.size))")
    }
    if passwordFile == nil {
      // Nobody could look it up later.
      Console.write("log in as \(user) password \(password)\n", to: json ? 2 : 1)
    }
  }
}
