/// Every guest-physical address and port of the PC, in one place.
///
/// Sources: IBM PC/AT Technical Reference (memory map, ports), Intel 82093AA and SDM vol. 3
/// chapter 11 (APICs), Bochs VBE extensions (linear frame buffer).
public enum MemoryMap {
  // MARK: Memory

  /// Conventional memory, up to the display's window.
  public static let conventional: UInt64 = 0xA0000
  /// The text cursor of page 0 in the BIOS data area: column, row.
  static let cursorPosition: UInt64 = 0x450
  /// The legacy VGA window.
  public static let vga: ClosedRange<UInt64> = 0xA0000...0xBFFFF
  /// The firmware as real mode sees it.
  public static let firmware: UInt64 = 0xF0000
  /// Where the firmware ends as the reset vector sees it.
  public static let firmwareEnd: UInt64 = 0x1_0000_0000
  /// Tables that tell systems about the machine, inside the firmware.
  public static let firmwareTables: UInt64 = 0xF0000
  public static let firmwareTablesBytes = 0x4000
  /// The 64 KiB above 1 MiB, which fold back to 0 while A20 is low.
  public static let highMemoryArea: UInt64 = 0x100000
  public static let highMemoryAreaBytes = 0x10000
  /// RAM below 4 GiB ends here at the latest; devices follow.
  public static let lowMemoryLimit: UInt64 = 0xC000_0000
  /// RAM that found no room below goes on here.
  public static let highMemory: UInt64 = 0x1_0000_0000
  /// Where our firmware puts the memory of PCI functions, the frame buffer first. PCI answers from
  /// the end of RAM on.
  public static let pciMemory: ClosedRange<UInt64> = 0xE000_0000...0xFEBF_FFFF
  /// Where every processor finds its local APIC after reset.
  public static let localAPIC: UInt64 = 0xFEE0_0000
  public static let ioapic: ClosedRange<UInt64> = 0xFEC0_0000...0xFEC0_0FFF
  public static let hpet: ClosedRange<UInt64> = 0xFED0_0000...0xFED0_03FF
  /// ACPI's control structure, in the extended BIOS data area: it is all that has to be written.
  public static let acpiControl: UInt64 = 0x9FFC0

  // MARK: Direct boot: conventional memory that the firmware leaves free

  /// Linux' boot parameters, or the start information of a PVH kernel.
  static let bootParameters: UInt64 = 0x10000
  static let bootDescriptors: UInt64 = 0x11000
  /// Six pages.
  static let bootPageTables: UInt64 = 0x12000
  /// A stack that grows downwards, below the boot parameters.
  static let bootStackTop: UInt64 = 0x10000
  static let kernelCommandLine: UInt64 = 0x20000
  static let kernelCommandLineBytes = 0x10000
  static let multibootInformation: UInt64 = 0x30000
  static let multibootInformationBytes = 0x40000
  /// Set-up code that is entered in real mode, where old kernels expect it.
  static let realModeSetup: UInt64 = 0x90000
  /// Behind the set-up code's heap, and below the extended data area.
  static let realModeCommandLine: UInt64 = 0x9E000
  static let realModeCommandLineBytes = 0x1000

  // MARK: Ports

  public static let dma1: ClosedRange<UInt16> = 0x00...0x0F
  public static let pic1: ClosedRange<UInt16> = 0x20...0x21
  public static let pit: ClosedRange<UInt16> = 0x40...0x43
  public static let keyboardData: ClosedRange<UInt16> = 0x60...0x60
  public static let systemControlB: ClosedRange<UInt16> = 0x61...0x61
  public static let keyboardCommand: ClosedRange<UInt16> = 0x64...0x64
  public static let rtc: ClosedRange<UInt16> = 0x70...0x71
  public static let post: ClosedRange<UInt16> = 0x80...0x80
  public static let dmaPages: ClosedRange<UInt16> = 0x81...0x8F
  public static let systemControlA: ClosedRange<UInt16> = 0x92...0x92
  public static let pic2: ClosedRange<UInt16> = 0xA0...0xA1
  /// APM control and status.
  public static let apm: ClosedRange<UInt16> = 0xB2...0xB3
  public static let dma2: ClosedRange<UInt16> = 0xC0...0xDF
  public static let debugExit: ClosedRange<UInt16> = 0xF4...0xF4
  public static let secondaryIDE: ClosedRange<UInt16> = 0x170...0x177
  public static let dispi: ClosedRange<UInt16> = 0x1CE...0x1D0
  public static let vgaPorts: ClosedRange<UInt16> = 0x3B4...0x3DF
  public static let primaryIDE: ClosedRange<UInt16> = 0x1F0...0x1F7
  public static let secondaryIDEControl: ClosedRange<UInt16> = 0x376...0x376
  public static let floppy: ClosedRange<UInt16> = 0x3F0...0x3F5
  public static let primaryIDEControl: ClosedRange<UInt16> = 0x3F6...0x3F6
  /// Its reads are the floppy controller's disk change line and, of old, a hard disk's.
  public static let floppyRate: ClosedRange<UInt16> = 0x3F7...0x3F7
  public static let com1: ClosedRange<UInt16> = 0x3F8...0x3FF
  public static let elcr: ClosedRange<UInt16> = 0x4D0...0x4D1
  /// Where stock firmware says what it does.
  public static let firmwareDebug: ClosedRange<UInt16> = 0x402...0x402
  /// What stock firmware is told of the machine: selector and data, and the DMA address.
  public static let firmwareConfiguration: ClosedRange<UInt16> = 0x510...0x511
  public static let firmwareConfigurationDMA: ClosedRange<UInt16> = 0x514...0x51B
  /// Where our firmware puts the power management block, and the SMBus host.
  public static let powerManagement: UInt16 = 0x600
  public static let smbus: UInt16 = 0x700
  /// PCI's configuration address, with the reset register at CF9h inside it.
  public static let configurationAddress: ClosedRange<UInt16> = 0xCF8...0xCFB
  /// PCI's configuration data.
  public static let configurationData: ClosedRange<UInt16> = 0xCFC...0xCFF
  /// Ports that PCI functions can have, as far as no other device is there.
  public static let pciPorts: ClosedRange<UInt16> = 0x400...0xFFFF

  // MARK: PCI slots

  /// The PCI-ISA bridge, IDE and power management; slot 0 is the host bridge's.
  public static let isaBridgeSlot = 1
  /// The display adapter.
  public static let videoSlot = 2
  /// The USB host controller.
  public static let usbSlot = 3

  // MARK: Interrupts

  public static let timerIRQ = 0
  public static let keyboardIRQ = 1
  public static let com1IRQ = 4
  public static let floppyIRQ = 6
  public static let rtcIRQ = 8
  /// ACPI's system control interrupt.
  public static let systemControlIRQ = 9
  public static let mouseIRQ = 12
  public static let primaryIDEIRQ = 14
  public static let secondaryIDEIRQ = 15
}
