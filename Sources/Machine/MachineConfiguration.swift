import Display
import Input
import KVMEngine
import Storage

/// Where the bytes of the first serial port go.
public enum SerialTarget: Sendable, Equatable {
  case none
  /// This process's standard input and output.
  case stdio
  /// Appended to a file.
  case file(String)
  /// A UNIX socket that one peer at a time connects to.
  case socket(String)
}

/// What runs the guest's instructions.
public enum EngineKind: String, Sendable, CaseIterable {
  /// The host's KVM.
  case kvm
  /// 64-bit user code in the host's KVM, everything else in the interpreter: for hosts whose KVM
  /// runs nothing but user code at full speed.
  case hybrid
  /// The interpreter, on any host; without /dev/kvm too.
  case software
}

/// Which firmware starts the guest.
public enum FirmwareKind: String, Codable, Sendable, CaseIterable {
  /// Our own.
  case builtin
  /// SeaBIOS as Debian packages it, with its video BIOS.
  case seabios
  /// UEFI: OVMF as Debian packages it.
  case ovmf
}

/// Where the interrupt controllers are.
public enum IrqchipKind: String, Sendable, CaseIterable {
  /// The local APICs in KVM, I/O APIC, 8259 and 8254 in this process.
  case split
  /// All of them in this process.
  case user
  /// All of them in KVM.
  case kernel
}

/// What happens when the guest's processor gives up (a triple fault).
public enum TripleFaultPolicy: String, Sendable, CaseIterable {
  /// As on a PC: the machine resets.
  case reset
  case stop
}

/// Why a machine stopped.
public enum StopReason: Sendable, Equatable {
  case poweredOff
  /// A signal, or a command, asked for it.
  case signal(Int32)
  /// The guest wrote its exit code to the debug exit port.
  case debugExit(UInt8)
  case tripleFault
  /// Neither guest nor user asked for it; the sentence says what happened.
  case failed(String)
}

/// Everything that a machine is made from.
public struct MachineConfiguration: Sendable {
  public var name = "porthole"
  /// Bytes of RAM, a multiple of 1 MiB from 2 MiB on.
  public var memoryBytes = 128 << 20
  /// vCPUs, 1 to ``maximumProcessors``.
  public var processors = 1
  public var drives: [DriveDescription] = []
  /// The bytes of a floppy disk that is built in instead of read from a file: it becomes drive A:.
  public var builtInFloppy: [UInt8]?
  /// The order in which media are tried; empty for floppy, CD, hard disk.
  public var bootOrder: [DriveKind] = []
  /// Whether every boot begins with our firmware's boot menu; F12 shows it, too.
  public var hasBootMenu = false
  /// A kernel to boot instead of media.
  public var directBoot: DirectBootFiles?
  /// Nil for a desktop without a VNC server.
  public var vnc: VNCConfiguration?
  /// The size that the monitor prefers; nil for the standard one. See ``DisplayMonitor``.
  public var resolution: FrameSize?
  /// What the guest believes its keyboard types.
  public var keyboard: KeyboardLayout = .us
  /// What viewers press to have the text that they copied typed; nil for nothing.
  public var pasteKey: Chord?
  public var serial: SerialTarget = .none
  public var firmware: FirmwareKind = .builtin
  /// Where stock firmware that has variables keeps them; nil to forget them with the machine.
  public var firmwareVariables: String?
  public var engine: EngineKind = .kvm
  /// Nil for what suits the engine: split under KVM, user elsewhere.
  public var irqchip: IrqchipKind?
  /// Which processors the guest sees.
  public var cpu: CPUModel = .host
  public var onTripleFault: TripleFaultPolicy = .reset
  /// The snapshot that the machine goes on from, by its path; nil to power on.
  public var restore: String?
  /// Whether the guest may end the process by writing to port F4h.
  public var debugExit = false

  public static let maximumProcessors = 16
  public static let memoryGranularity = 1 << 20

  public init() {}
}
