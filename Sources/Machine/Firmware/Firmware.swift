import BIOS
import Glibc
import KVMEngine

/// The PC's firmware: a thin ROM in guest memory and the services behind its trap slots.
///
/// The ROM's stub for an interrupt writes to ``trapPort``; whoever runs the vCPU then asks
/// ``slot(forIP:)`` which stub it was and calls ``serve(slot:call:)``. Not modelled: option ROMs,
/// plug and play BIOS, power management, joystick and cassette.
public final class Firmware: Sendable {
  /// The port whose write is a trap, if it comes from a slot of the ROM.
  public static let trapPort = UInt16(BIOS_TRAP_PORT)
  private let services: [(any FirmwareService)?]
  private let boot: BootBIOS
  /// What of the firmware's state lies outside guest memory and is saved with the machine.
  public let devices: [any Device]

  /// - Parameters:
  ///   - video: serves INT 10h.
  ///   - disk: serves INT 13h and 40h and loads boot code.
  ///   - direct: boots a kernel instead of a medium.
  ///   - pause: lets nanoseconds pass on the vCPU's thread; tests turn their clock with it.
  init(
    configuration: FirmwareConfiguration, space: AddressSpace, ports: PortBus, clock: any Clock,
    video: any FirmwareService, disk: any FirmwareService & BootLoader, direct: DirectBoot? = nil,
    pause: @escaping @Sendable (UInt64) -> Void = Firmware.sleep(nanoseconds:)
  ) {
    let context = FirmwareContext(
      configuration: configuration, space: space, ports: FirmwarePorts(bus: ports), clock: clock,
      pause: pause)
    let keyboard = KeyboardBIOS(context)
    let system = SystemBIOS(context, keyboard: keyboard)
    let boot = BootBIOS(context, loader: disk)
    let serialPrinter = SerialPrinterBIOS(context)
    let equipment = EquipmentBIOS()
    let post = FirmwarePOST(context, loader: disk)

    var services = [(any FirmwareService)?](repeating: nil, count: 256)
    services[0x10] = video
    services[0x11] = FirmwareRoutine { equipment.equipment(&$0) }
    services[0x12] = FirmwareRoutine { equipment.memorySize(&$0) }
    services[0x13] = disk
    services[0x14] = FirmwareRoutine { serialPrinter.serial(&$0) }
    services[0x15] = system
    services[0x16] = keyboard
    services[0x17] = FirmwareRoutine { serialPrinter.printer(&$0) }
    services[0x1A] = TimeBIOS(context)
    services[0x40] = disk
    services[Int(BIOS_SLOT_POST)] = post
    services[Int(BIOS_SLOT_KEYSTROKE)] = FirmwareRoutine { keyboard.interrupt(&$0) }
    services[Int(BIOS_SLOT_MOUSE_BYTE)] = FirmwareRoutine { system.pointerInterrupt(&$0) }
    services[Int(BIOS_SLOT_BOOT)] = FirmwareRoutine { call in
      direct.map { $0.start(&call, in: space) } ?? boot.start(&call)
    }
    services[Int(BIOS_SLOT_BOOT_NEXT)] = FirmwareRoutine { boot.goOn(&$0) }
    services[Int(BIOS_SLOT_BOOT_KEY)] = FirmwareRoutine { boot.menuKey(&$0) }
    services[Int(BIOS_SLOT_ENTER_PROTECTED)] = FirmwareRoutine { system.enterProtectedMode(&$0) }
    self.services = services
    self.boot = boot
    devices = [boot]
  }

  /// Has the next boot show the boot menu: somebody holds its key.
  public func requestBootMenu() { boot.requestMenu() }

  /// Which slot's trap instruction lies at `ip` in segment F000h, or just before it: hosts differ
  /// in whether IP has moved on when they report an OUT.
  /// - Returns: the number of the interrupt or of the ROM's own routine, or nil where the write
  ///   did not come from a slot.
  public func slot(forIP ip: UInt16) -> UInt8? {
    let offset = Int(ip) - Int(BIOS_TRAP_SLOTS)
    let size = Int(BIOS_TRAP_SLOT_SIZE)
    let trapBytes = 2
    guard offset >= 0, offset < 256 * size, offset % size == 0 || offset % size == trapBytes
    else { return nil }
    return UInt8(truncatingIfNeeded: offset / size)
  }

  /// Serves one trap. A slot that nobody serves changes nothing.
  public func serve(slot: UInt8, call: inout FirmwareCall) -> FirmwareOutcome {
    services[Int(slot)]?.serve(&call) ?? .done
  }

  /// Puts the calling thread to sleep.
  public static func sleep(nanoseconds: UInt64) {
    let bounded = min(nanoseconds, 1_000_000_000)
    var wanted = timespec(
      tv_sec: Int(bounded / 1_000_000_000), tv_nsec: Int(bounded % 1_000_000_000))
    var rest = timespec()
    while nanosleep(&wanted, &rest) != 0 && errno == EINTR { wanted = rest }
  }
}
