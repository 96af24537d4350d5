import BIOS
import KVMEngine
import Synchronization

/// INT 19h and INT 18h: find something to boot, or say why there is nothing.
///
/// The ROM asks for the boot order's first device (INT 19h) or its next one (INT 18h, when what was
/// booted gives up). It then enters the boot code or shows a text, waits for a key and starts over.
final class BootBIOS: Device {
  /// How far the boot order was followed.
  struct State: Codable, Equatable, Sendable {
    /// Index in the boot order of the device to try next.
    var next = 0
    /// Why the devices before did not boot, a line each.
    var failures: [String] = []
    var current: BootDevice?
    /// The line of the menu that is chosen; nil while there is no menu.
    var chosen: Int?
    /// What comes before the boot order.
    var preferred: BootDevice?
  }

  let name = "boot-bios"
  private let context: FirmwareContext
  private let loader: any BootLoader
  private let state = Mutex(State())
  /// Whether the next boot shows the menu, whatever keys are typed.
  private let isMenuWanted = Mutex(false)

  /// Where the text for the screen goes: nothing was booted, so memory there is free.
  private static let textAddress: UInt16 = 0x7C00
  private static let textLimit = 2048
  private static let lineLimit = 76

  init(_ context: FirmwareContext, loader: any BootLoader) {
    self.context = context
    self.loader = loader
  }

  func reset() { state.withLock { $0 = State() } }

  func save() -> State { state.withLock { $0 } }

  func restore(_ state: State) throws(RestoreError) {
    let count = context.configuration.bootOrder.count
    guard 0...count ~= state.next, state.failures.count <= 2 * count + 2,
      0..<BootMenu.mostLines ~= state.chosen ?? 0
    else {
      throw RestoreError(device: name, problem: "it is beyond the boot order's end")
    }
    self.state.withLock { $0 = state }
  }

  /// INT 19h.
  func start(_ call: inout FirmwareCall) -> FirmwareOutcome {
    state.withLock { $0 = State() }
    guard wantsMenu() else { return boot(&call) }
    state.withLock { $0.chosen = 0 }
    return showMenu(&call)
  }

  /// Has the next boot show the menu.
  func requestMenu() { isMenuWanted.withLock { $0 = true } }

  /// Whether the desktop always has a menu, or F12 was held or typed.
  private func wantsMenu() -> Bool {
    let data = BIOSDataArea(context.space)
    let isTyped = data.firstKeystroke() == UInt16(BIOS_KEY_F12)
    if isTyped { data.dropKeystroke() }
    let isRequested = isMenuWanted.withLock { wanted in
      defer { wanted = false }
      return wanted
    }
    return context.configuration.hasBootMenu || isRequested || isTyped
  }

  /// A key came while the menu is there.
  func menuKey(_ call: inout FirmwareCall) -> FirmwareOutcome {
    let devices = menuDevices
    let choice = state.withLock { state -> BootMenu.Choice in
      let choice = BootMenu.key(call.ax, chosen: state.chosen ?? 0, count: devices.count)
      switch choice {
      case .line(let line): state.chosen = line
      case .boot(let line):
        state.chosen = nil
        state.preferred = devices.indices.contains(line) ? devices[line].device : nil
      case .leave: state.chosen = nil
      }
      return choice
    }
    if case .line = choice { return showMenu(&call) }
    BootMenu.clear(context.space)
    return boot(&call)
  }

  /// The drives that there are, in the boot order, then the others.
  private var menuDevices: [(device: BootDevice, title: String)] {
    let order = context.configuration.bootOrder
    let devices = order + BootDevice.allCases.filter { !order.contains($0) }
    return devices.compactMap { device in loader.bootTitle(device).map { (device, $0) } }
  }

  private func showMenu(_ call: inout FirmwareCall) -> FirmwareOutcome {
    BootMenu.paint(
      menuDevices.map(\.title), chosen: state.withLock { $0.chosen } ?? 0, on: context.space)
    call.ax = UInt16(BIOS_BOOT_MENU)
    return .done
  }

  /// INT 18h.
  func goOn(_ call: inout FirmwareCall) -> FirmwareOutcome {
    state.withLock { state in
      guard let device = state.current else { return }
      state.failures.append("\(Self.name(of: device)): its boot code found nothing to start.")
      state.current = nil
    }
    return boot(&call)
  }

  /// AX = 0 with BX:CX and DL: enter there. AX = 1 with SI: show the text at 0000:SI.
  private func boot(_ call: inout FirmwareCall) -> FirmwareOutcome {
    while let device = nextDevice() {
      switch loader.loadBootCode(from: device) {
      case .loaded(let drive, let segment, let offset):
        state.withLock { $0.current = device }
        call.ax = 0
        call.bx = segment
        call.cx = offset
        call.dx = UInt16(drive)
        return .done
      case .failed(let line):
        state.withLock { $0.failures.append(line) }
      }
    }
    let failures = state.withLock { $0.failures }
    context.space.write(UInt64(Self.textAddress), bytes: Self.text(failures))
    call.ax = 1
    call.si = Self.textAddress
    return .done
  }

  private func nextDevice() -> BootDevice? {
    state.withLock { state in
      let order = context.configuration.bootOrder
      if let device = state.preferred {
        state.preferred = nil
        return device
      }
      guard state.next < order.count else { return nil }
      defer { state.next += 1 }
      return order[state.next]
    }
  }

  /// What the screen shows when nothing boots: code page 437, zero at the end.
  static func text(_ failures: [String]) -> [UInt8] {
    var text = "No bootable medium.\r\n\r\n"
    for line in failures { text += "  " + line.prefix(lineLimit) + "\r\n" }
    if failures.isEmpty { text += "  The boot order names no device.\r\n" }
    var bytes = text.unicodeScalars.map { scalar in
      (0x20..<0x7F).contains(scalar.value) || scalar == "\r" || scalar == "\n"
        ? UInt8(truncatingIfNeeded: scalar.value) : UInt8(ascii: "?")
    }
    bytes = Array(bytes.prefix(textLimit)) + Array("\r\nPress a key to try again.\r\n".utf8)
    return bytes + [0]
  }

  private static func name(of device: BootDevice) -> String {
    switch device {
    case .floppy: "Floppy disk"
    case .hardDisk: "Hard disk"
    case .cdrom: "CD-ROM"
    }
  }
}
