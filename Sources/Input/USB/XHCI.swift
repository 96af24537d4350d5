import KVMEngine
import Synchronization

/// A USB host controller (eXtensible Host Controller Interface for Universal Serial Bus, revision
/// 1.1) with two USB 2 ports, two USB 3 ports that stay empty, and one interrupter.
///
/// It looks at guest memory only when a doorbell rings or a device has something to say, so that an
/// idle bus costs nothing. Endpoints are control and interrupt IN; others are refused when they are
/// configured. Not modelled: isochronous transfers, streams, bandwidth, power states, saving by
/// USBCMD.CSS, hubs.
///
/// Lock order: this, then the device's, then the windows of guest memory; its interrupt wire is
/// driven with its lock held.
public final class XHCI: Device, MemoryDevice, @unchecked Sendable {
  // SAFETY: `functions` changes only while the machine is built; all else is in `guarded`.
  public typealias SavedState = XHCIState

  /// Bytes of the register window.
  public static let windowBytes: UInt32 = 0x4000

  /// Where register sets begin in the window.
  private enum Base {
    static let operational: UInt64 = 0x20
    static let ports: UInt64 = 0x420
    static let extended: UInt64 = 0x500
    static let runtime: UInt64 = 0x1000
    static let interrupter: UInt64 = 0x1020
    static let doorbells: UInt64 = 0x2000
  }

  let guarded = Mutex(XHCIState())
  /// Guest memory; never a device, whose registers may be this one's.
  let memory: DirectMemory
  private let clock: any Clock
  private let interrupt: InterruptLine
  private let message: @Sendable () -> Bool
  /// What is plugged into each port, port 1 first.
  private(set) var functions = [(any USBFunction)?](repeating: nil, count: XHCIState.portCount)

  public let name = "xhci"

  /// - Parameters:
  ///   - memory: guest memory, where rings and contexts are.
  ///   - interrupt: the PCI interrupt pin.
  ///   - message: sends an interrupt as a message; false where the guest has not set that up, and
  ///     the pin counts. Called with the controller's lock held.
  public init(
    memory: AddressSpace, clock: any Clock, interrupt: InterruptLine,
    message: @escaping @Sendable () -> Bool = { false }
  ) {
    self.memory = DirectMemory(memory)
    self.clock = clock
    self.interrupt = interrupt
    self.message = message
    guarded.withLock { powerOn(&$0) }
  }

  /// Plugs `function` into USB 2 port `port` (1 or 2). Only while the machine is built.
  public func plug(_ function: any USBFunction, port: Int) {
    guard (1...2).contains(port) else { return }
    functions[port - 1] = function
    function.connect { [weak self] in self?.deviceIsReady(port: UInt8(port)) }
    guarded.withLock { powerOn(&$0) }
  }

  public func reset() {
    guarded.withLock { state in
      powerOn(&state)
      drive(&state)
    }
  }

  public func save() -> XHCIState { guarded.withLock { $0 } }

  public func restore(_ state: XHCIState) throws(RestoreError) {
    if let problem = state.problem { throw RestoreError(device: name, problem: problem) }
    guarded.withLock { current in
      current = state
      drive(&current)
    }
  }

  /// The state after a hardware reset: everything off, devices plugged in but not enabled.
  func powerOn(_ state: inout XHCIState) {
    state = XHCIState()
    for index in state.ports.indices {
      functions[index]?.busReset()
      state.ports[index] =
        functions[index] == nil
        ? XHCIPort.power | XHCIPort.linkDetect
        : XHCIPort.power | XHCIPort.linkPolling | XHCIPort.connected | XHCIPort.connectChange
          | XHCIPort.fullSpeed
    }
  }

  /// Drives the wire as the registers say, or sends a message, which ends what is pending (4.17.5).
  /// Lock held.
  func drive(_ state: inout XHCIState) {
    let wanted =
      state.command & XHCICommand.interrupts != 0 && state.management & XHCIInterrupter.both == 3
    let isSent = wanted && message()
    if isSent { state.management &= ~XHCIInterrupter.pending }
    interrupt.set(wanted && !isSent)
  }

  // MARK: Registers

  public func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    let shift = (offset & 3) * 8
    let state = guarded.withLock { $0 }
    let low = UInt64(register(offset & ~3, state))
    guard width == .qword else { return low >> shift & width.mask }
    return low | UInt64(register((offset & ~3) &+ 4, state)) << 32
  }

  public func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    guarded.withLock { state in
      switch width {
      case .qword where offset & 3 == 0:
        write(offset, UInt32(truncatingIfNeeded: value), &state)
        write(offset &+ 4, UInt32(truncatingIfNeeded: value >> 32), &state)
      case .dword where offset & 3 == 0:
        write(offset, UInt32(truncatingIfNeeded: value), &state)
      case .byte, .word: writeNarrow(offset, width, value, &state)
      default: break
      }
      drive(&state)
    }
  }

  /// Registers are 32 bits wide; a narrower write keeps the rest of those that have no bits that a
  /// write clears.
  private func writeNarrow(
    _ offset: UInt64, _ width: AccessWidth, _ value: UInt64, _ state: inout XHCIState
  ) {
    let shift = (offset & 3) * 8
    guard shift + UInt64(width.bytes) * 8 <= 32 else { return }
    let kept = UInt64(register(offset & ~3, state)) & ~(width.mask << shift)
    write(offset & ~3, UInt32(truncatingIfNeeded: kept | value << shift), &state)
  }

  private func register(_ offset: UInt64, _ state: XHCIState) -> UInt32 {
    switch offset {
    case 0..<Base.operational: Self.capability(offset)
    case Base.operational..<Base.ports: operational(offset &- Base.operational, state)
    case Base.ports..<Base.extended: port(offset &- Base.ports, state)
    case Base.extended..<Base.runtime: Self.extended(offset &- Base.extended)
    case Base.runtime: UInt32(truncatingIfNeeded: clock.now() / 125_000 & 0x3FFF)
    case Base.interrupter..<Base.doorbells: interrupter(offset &- Base.interrupter, state)
    default: 0
    }
  }

  /// Capability registers (5.3): one interrupter, event ring tables of up to 16 segments, 64-bit
  /// addresses.
  private static func capability(_ offset: UInt64) -> UInt32 {
    switch offset {
    case 0x00: 0x0110_0000 | UInt32(Base.operational)
    case 0x04: UInt32(XHCIState.slotCount) | 1 << 8 | UInt32(XHCIState.portCount) << 24
    case 0x08: 4 << 4
    case 0x10: 1 | UInt32(Base.extended / 4) << 16
    case 0x14: UInt32(Base.doorbells)
    case 0x18: UInt32(Base.runtime)
    default: 0
    }
  }

  /// Which ports speak which protocol (7.2): two of USB 2.0, two of USB 3.0.
  private static func extended(_ offset: UInt64) -> UInt32 {
    switch offset {
    case 0x00: 2 | 4 << 8 | 0x0200_0000
    case 0x10: 2 | 0x0300_0000
    case 0x04, 0x14: 0x2042_5355  // "USB "
    case 0x08: 1 | 2 << 8
    case 0x18: 3 | 2 << 8
    default: 0
    }
  }

  private func operational(_ offset: UInt64, _ state: XHCIState) -> UInt32 {
    switch offset {
    case 0x00: state.command
    case 0x04: state.status | (state.isRunning ? 0 : XHCIStatus.halted)
    case 0x08: 1
    case 0x14: state.notification
    case 0x18: state.isCommandRingRunning ? XHCICommand.ringRunning : 0
    case 0x30: UInt32(truncatingIfNeeded: state.contexts)
    case 0x34: UInt32(truncatingIfNeeded: state.contexts >> 32)
    case 0x38: state.configure
    default: 0
    }
  }

  private func interrupter(_ offset: UInt64, _ state: XHCIState) -> UInt32 {
    switch offset {
    case 0x00: state.management
    case 0x04: state.moderation
    case 0x08: state.segmentCount
    case 0x10: UInt32(truncatingIfNeeded: state.segmentTable)
    case 0x14: UInt32(truncatingIfNeeded: state.segmentTable >> 32)
    case 0x18: UInt32(truncatingIfNeeded: state.dequeue)
    case 0x1C: UInt32(truncatingIfNeeded: state.dequeue >> 32)
    default: 0
    }
  }

  private func port(_ offset: UInt64, _ state: XHCIState) -> UInt32 {
    let index = Int(truncatingIfNeeded: offset >> 4)
    guard state.ports.indices.contains(index), offset & 0xF == 0 else { return 0 }
    return state.ports[index]
  }

  private func write(_ offset: UInt64, _ value: UInt32, _ state: inout XHCIState) {
    switch offset {
    case Base.operational..<Base.ports:
      writeOperational(offset &- Base.operational, value, &state)
    case Base.ports..<Base.extended:
      let index = Int(truncatingIfNeeded: (offset &- Base.ports) >> 4)
      if offset & 0xF == 0, state.ports.indices.contains(index) {
        writePort(index, value, &state)
      }
    case Base.interrupter..<Base.doorbells:
      writeInterrupter(offset &- Base.interrupter, value, &state)
    case Base.doorbells..<UInt64(Self.windowBytes):
      guard state.isRunning else { return }
      let slot = Int(truncatingIfNeeded: (offset &- Base.doorbells) >> 2)
      if slot == 0 { runCommands(&state) } else { ring(slot, Int(value & 0x1F), &state) }
    default: break
    }
  }

  private func writeOperational(_ offset: UInt64, _ value: UInt32, _ state: inout XHCIState) {
    switch offset {
    case 0x00: writeCommand(value, &state)
    case 0x04:
      state.status &= ~(value & XHCIStatus.clearable)
    case 0x14: state.notification = value & 0xFFFF
    case 0x18:
      guard !state.isCommandRingRunning else {
        if value & (XHCICommand.ringStop | XHCICommand.ringAbort) != 0 {
          stopCommandRing(&state)
        }
        return
      }
      state.commandRing.pointer =
        state.commandRing.pointer & ~0xFFFF_FFFF | UInt64(value & ~0x3F)
      state.commandRing.cycle = value & 1 != 0
    case 0x1C:
      guard !state.isCommandRingRunning else { return }
      state.commandRing.pointer = state.commandRing.pointer & 0xFFFF_FFFF | UInt64(value) << 32
    case 0x30: state.contexts = state.contexts & ~0xFFFF_FFFF | UInt64(value & ~0x3F)
    case 0x34: state.contexts = state.contexts & 0xFFFF_FFFF | UInt64(value) << 32
    case 0x38: state.configure = value & 0x3FF
    default: break
    }
  }

  private func writeCommand(_ value: UInt32, _ state: inout XHCIState) {
    if value & XHCICommand.reset != 0 { return powerOn(&state) }
    state.command = value & XHCICommand.writable
    let runs = value & XHCICommand.run != 0
    if runs == state.isRunning { return }
    state.isRunning = runs
    if runs {
      for index in state.ports.indices where state.ports[index] & XHCIPort.changes != 0 {
        reportPort(index, &state)
      }
    } else {
      state.isCommandRingRunning = false
      for slot in state.slots.indices where state.slots[slot].isEnabled {
        for index in 2..<32 { fallSilent(slot, index, state) }
      }
    }
  }

  private func writeInterrupter(_ offset: UInt64, _ value: UInt32, _ state: inout XHCIState) {
    switch offset {
    case 0x00:
      let pending = state.management & ~value & XHCIInterrupter.pending
      state.management = pending | value & XHCIInterrupter.enabled
    case 0x04: state.moderation = value
    case 0x08: state.segmentCount = value & 0xFFFF
    case 0x10: state.segmentTable = state.segmentTable & ~0xFFFF_FFFF | UInt64(value & ~0x3F)
    case 0x14:
      state.segmentTable = state.segmentTable & 0xFFFF_FFFF | UInt64(value) << 32
      state.segment = 0
      state.entry = 0
      state.producerCycle = true
    case 0x18:
      let busy = state.dequeue & ~UInt64(value) & XHCIInterrupter.busy
      state.dequeue =
        state.dequeue & ~0xFFFF_FFFF | UInt64(value) & ~XHCIInterrupter.busy | busy
    case 0x1C:
      state.dequeue = state.dequeue & 0xFFFF_FFFF | UInt64(value) << 32
      flushEvents(&state)
    default: break
    }
  }
}

/// USBCMD and CRCR (5.4.1, 5.4.5).
enum XHCICommand {
  static let run: UInt32 = 1
  static let reset: UInt32 = 1 << 1
  static let interrupts: UInt32 = 1 << 2
  static let writable: UInt32 = 0x0000_0C0D
  static let ringStop: UInt32 = 1 << 1
  static let ringAbort: UInt32 = 1 << 2
  static let ringRunning: UInt32 = 1 << 3
}

/// USBSTS (5.4.2).
enum XHCIStatus {
  static let halted: UInt32 = 1
  static let event: UInt32 = 1 << 3
  static let portChange: UInt32 = 1 << 4
  static let clearable: UInt32 = 0x0000_041C
}

/// IMAN and ERDP (5.5.2).
enum XHCIInterrupter {
  static let pending: UInt32 = 1
  static let enabled: UInt32 = 2
  static let both: UInt32 = 3
  static let busy: UInt64 = 1 << 3
}

/// PORTSC (5.4.8).
enum XHCIPort {
  static let connected: UInt32 = 1
  static let enabled: UInt32 = 1 << 1
  static let reset: UInt32 = 1 << 4
  static let linkMask: UInt32 = 0xF << 5
  static let linkDetect: UInt32 = 5 << 5
  static let linkPolling: UInt32 = 7 << 5
  static let power: UInt32 = 1 << 9
  static let fullSpeed: UInt32 = 1 << 10
  static let linkWrite: UInt32 = 1 << 16
  static let connectChange: UInt32 = 1 << 17
  static let resetChange: UInt32 = 1 << 21
  static let changes: UInt32 = 0x00FE_0000
  static let wakes: UInt32 = 0x0E00_0000
}
