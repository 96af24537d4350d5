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
  }

  let name = "boot-bios"
  private let context: FirmwareContext
  private let loader: any BootLoader
  private let state = Mutex(State())

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
    guard 0...count ~= state.next, state.failures.count <= 2 * count else {
      throw RestoreError(device: name, problem: "it is beyond the boot order's end")
    }
    self.state.withLock { $0 = state }
  }

  /// INT 19h.
  func start(_ call: inout FirmwareCall) -> FirmwareOutcome {
    state.withLock { $0 = State() }
    return boot(&call)
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
