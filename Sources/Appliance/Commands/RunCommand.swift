import ArgumentParser
import Display
import Input
import KVMEngine
import Machine
import Storage

/// `porthole run`: a desktop, in this process, in the foreground.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs a desktop until it is switched off.",
    discussion: """
      Prints where a VNC viewer connects, and runs in the foreground. SIGTERM, SIGHUP and \
      `porthole stop` end it with 0, ctrl-C with 130, a failure with 1, a triple fault under \
      `--on-triple-fault stop` with 2, and the guest's debug exit with the byte it wrote.
      """)

  @Argument(
    help: "Images to boot; each goes in the drive that its contents and name call for.",
    completion: .file())
  var media: [String] = []

  @Option(
    name: .long, help: "What the desktop is called; otherwise porthole, porthole-2, ...",
    transform: DesktopName.parse)
  var name: String?

  @Option(
    name: .long, help: "Memory of the guest, as 64M or 1G. (default: 128M)",
    transform: MemorySize.parse)
  var memory: Int?

  @Option(name: .long, help: "Processors of the guest.")
  var cpus = 1

  @Option(
    name: .long,
    help: """
      The processors that the guest sees: host, baseline, x86-64-v2, x86-64-v3 or i686, and behind \
      commas features to have or not, as x86-64-v3,+aes,-avx2. (default: host)
      """,
    transform: CPUOption.parse)
  var cpu: CPUModel = .host

  @Option(name: .long, help: "The firmware that starts the guest.")
  var firmware: FirmwareKind = .builtin

  @Option(
    name: .long,
    help: """
      The file in which OVMF keeps this desktop's variables; it is made where it is not there. \
      Without one they are forgotten.
      """, completion: .file())
  var firmwareVariables: String?

  @Option(
    name: .long, help: "A floppy image; may be given again.", completion: .file(),
    transform: DriveOption.parse)
  var floppy: [DriveOption] = []

  @Option(
    name: .long,
    help: """
      A hard disk image, raw or qcow2; may be given again. As for every drive, options may follow \
      behind commas: format=raw or qcow2, cache=writeback, writethrough, none or unsafe, \
      discard=unmap (what the guest trims goes back to the host) or ignore, read-only.
      """, completion: .file(),
    transform: DriveOption.parse)
  var disk: [DriveOption] = []

  @Option(
    name: .long, help: "A CD image; may be given again.", completion: .file(),
    transform: DriveOption.parse)
  var cdrom: [DriveOption] = []

  @Option(
    name: .long,
    help: """
      The order of boot drives, as cdrom,disk,floppy; menu in front lets the person at the screen \
      choose, as F12 held during a reset does.
      """,
    transform: BootOrder.parse)
  var boot = BootOrder.Value()

  @Flag(name: .long, help: "Write to none of the images.")
  var readOnly = false

  @Option(
    name: .long, help: "A guest that is built in, instead of media; porthole guest lists them.")
  var guest: String?

  @Option(
    name: .long,
    help: """
      A kernel to boot instead of media: Linux' bzImage, an uncompressed ELF file (vmlinux), or a \
      Multiboot kernel.
      """, completion: .file())
  var kernel: String?

  @Option(name: .long, help: "The initial RAM disk that the kernel gets.", completion: .file())
  var initrd: String?

  @Option(
    name: .long,
    help: "A file that a Multiboot kernel gets, as FILE or FILE=COMMAND LINE; may be given again.")
  var module: [String] = []

  @Option(name: .long, help: "The kernel's command line, as \"console=ttyS0 quiet\".")
  var append: String?

  @Option(
    name: .long,
    help: """
      Where the screen is served: HOST:PORT, HOST:FIRST-LAST for the first port of these that is \
      free, :DISPLAY, unix:PATH or none. (default: 127.0.0.1, and the first free port of 5900 to \
      5999, or of 15900 to 16899)
      """,
    transform: VNCAddress.parse)
  var vnc: VNCAddress = .standard

  @Option(
    name: .long,
    help: """
      The keyboard layout that the guest is set to, as us, gb, de or fr: characters that viewers and \
      scripts type are looked up on it. (default: us)
      """,
    transform: KeyboardOption.parse)
  var keyboard: KeyboardLayout?

  @Option(
    name: .long,
    help: """
      Keys that, pressed in a viewer, have the text typed that was copied there, and end that when \
      pressed again; none for no such keys. They are the guest's while nothing was copied.
      """)
  var pasteKey = "ctrl-alt-v"

  @Option(
    name: .long, help: "A file whose first line is the VNC password; otherwise one is made.",
    completion: .file())
  var passwordFile: String?

  @Option(
    name: .long,
    help:
      "A file whose first line is a password for viewers that only view: their input is ignored.",
    completion: .file())
  var viewPasswordFile: String?

  @Option(name: .long, help: "How many viewers may be connected at once, 1 to 64.")
  var viewers: Int = 16

  @Option(
    name: .long,
    help: """
      The size that the monitor prefers, as 1920x1080, for systems that ask it. (default: 1024x768)
      """,
    transform: ResolutionOption.parse)
  var resolution: FrameSize?

  @Flag(name: .long, help: "Let viewers connect without a password.")
  var noPassword = false

  @Option(
    name: .long, help: "Where COM1 goes: none, stdio, file:PATH or socket:PATH.",
    transform: SerialOption.parse)
  var serial: SerialTarget = .none

  @Option(
    name: .long,
    help: """
      A snapshot to go on from, as porthole save wrote it; images given beside it replace those \
      that it names.
      """, completion: .file())
  var restore: String?

  @Option(
    name: .long,
    help: """
      What runs the guest: kvm, software (on any host), or hybrid (user code in KVM, the rest in \
      software). (default: what suits this host; porthole doctor tells)
      """)
  var engine: EngineKind?

  @Option(
    name: .long,
    help: """
      Where the interrupt controllers live: split (local APICs in KVM, the rest in porthole), user \
      (all in porthole) or kernel (all in KVM). (default: split where KVM runs the guest, else user)
      """)
  var irqchip: IrqchipKind?

  @Option(name: .long, help: "What a triple fault does.")
  var onTripleFault: TripleFaultPolicy = .reset

  @Flag(name: .long, help: "Let the guest end the desktop by a write to port 0xF4.")
  var debugExit = false

  func validate() throws {
    guard (1...MachineConfiguration.maximumProcessors).contains(cpus) else {
      throw ValidationError(
        "a desktop has 1 to \(MachineConfiguration.maximumProcessors) processors, not \(cpus)")
    }
    if noPassword && viewPasswordFile != nil {
      throw ValidationError("--no-password and --view-password-file exclude each other")
    }
    guard (1...64).contains(viewers) else {
      throw ValidationError("--viewers goes from 1 to 64")
    }
    if noPassword && passwordFile != nil {
      throw ValidationError("--no-password and --password-file exclude each other")
    }
    try KernelOptions.check(
      kernel: kernel, initrd: initrd, append: append, modules: module, guest: guest)
    if restore != nil
      && (guest != nil || kernel != nil || memory != nil || boot != BootOrder.Value()
        || cpu != .host)
    {
      throw ValidationError(
        "a snapshot brings its machine: --restore goes without --guest, --kernel, --memory,"
          + " --boot and --cpu")
    }
    if guest != nil && !(media.isEmpty && (floppy + disk + cdrom).isEmpty) {
      throw ValidationError("--guest brings its own medium; give it or images, not both")
    }
  }

  func run() throws {
    let code = try DesktopProcess(self).run()
    if code != 0 { throw ExitCode(code) }
  }
}

extension FirmwareKind: ExpressibleByArgument {}
extension EngineKind: ExpressibleByArgument {}
extension IrqchipKind: ExpressibleByArgument {}
extension TripleFaultPolicy: ExpressibleByArgument {}
