import KVMEngine
import Synchronization

/// Intel 8042 as the keyboard and mouse controller of the PC (IBM PC/AT Technical Reference,
/// "Keyboard Controller"; IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary
/// Device Controller"), with the keyboard and the mouse on its cables.
///
/// The host has one byte of output buffer to read. Everything behind it waits where it is: answers
/// of the controller in the controller, bytes of a device in the device, whose clock line the
/// controller holds down while the buffer is full or the interface disabled. So no byte is ever
/// lost on the way.
///
/// A byte takes its time on a real cable, and software relies on it: a handler that hooks IRQ 1 reads
/// port 60h, and the handler that it chains to reads the same byte once more. Therefore the next
/// byte comes ``bytePause`` after the last was read; a host that polls, with both interrupts
/// disabled, gets it at once.
///
/// Not modelled: the input buffer being full (a write is served before the next instruction), the
/// keyboard lock, a password, the manufacturing and diagnostic modes (ACh), and the timing of the
/// pulse commands.
///
/// Lock order: this device's lock, then interrupt sink and clock. ``Outputs`` are called with no lock
/// held; the reading hook with the lock held.
public final class I8042: Device {
  /// The pins of the output port that lead elsewhere.
  public struct Outputs: Sendable {
    /// Address line 20 is let through (`true`) or held low.
    public var a20Changed: @Sendable (Bool) -> Void
    /// The processor's reset line was pulled.
    public var resetRequested: @Sendable () -> Void

    public init(
      a20Changed: @escaping @Sendable (Bool) -> Void,
      resetRequested: @escaping @Sendable () -> Void
    ) {
      self.a20Changed = a20Changed
      self.resetRequested = resetRequested
    }
  }

  /// Nanoseconds from the host's reading of a byte to the next one: the 11 bits of a byte at 16.7 kHz,
  /// the fastest clock that a device may give (the same reference, "Data Stream").
  static let bytePause: UInt64 = 660_000

  struct Guarded {
    var state = State()
    var timer: (any DeviceTimer)?
    /// What the timer is armed for.
    var armed: UInt64?
    var irq1 = false
    var irq12 = false
    var keyboardRead: (@Sendable () -> Void)?
    var lightsChanged: (@Sendable (KeyboardLEDs) -> Void)?
    /// The lights that the handler was told.
    var toldLights: UInt8 = 0
  }

  public let name = "i8042"
  let guarded = Mutex(Guarded())
  private let clock: any Clock
  private let irq1: InterruptLine
  private let irq12: InterruptLine
  private let outputs: Outputs

  public init(clock: any Clock, irq1: InterruptLine, irq12: InterruptLine, outputs: Outputs) {
    self.clock = clock
    self.irq1 = irq1
    self.irq12 = irq12
    self.outputs = outputs
    let timer = clock.makeTimer("i8042") { [weak self] in self?.timerFired() }
    guarded.withLock { $0.timer = timer }
  }

  // MARK: Bus

  /// Port 60h.
  public var dataPort: any PortDevice { DataPort(self) }
  /// Port 64h.
  public var commandPort: any PortDevice { CommandPort(self) }

  private final class DataPort: PortDevice {
    private let controller: I8042
    init(_ controller: I8042) { self.controller = controller }
    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { UInt32(controller.readData()) }
    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
      controller.write { $0.writeData(UInt8(truncatingIfNeeded: value)) }
    }
  }

  private final class CommandPort: PortDevice {
    private let controller: I8042
    init(_ controller: I8042) { self.controller = controller }
    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
      UInt32(controller.readStatus())
    }
    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
      controller.write { $0.execute(UInt8(truncatingIfNeeded: value)) }
    }
  }

  private func readData() -> UInt8 {
    guarded.withLock { guarded in
      let fromKeyboard = guarded.state.outputFull && guarded.state.source == .keyboard
      let now = clock.now()
      let byte = guarded.state.takeOutput(now: now)
      drive(&guarded)
      update(&guarded, now: now)
      if fromKeyboard { guarded.keyboardRead?() }
      return byte
    }
  }

  /// Reading the status brings what is due into the buffer, so that a host that polls does not wait
  /// for the timer's thread.
  private func readStatus() -> UInt8 {
    guarded.withLock { guarded in
      if !guarded.state.outputFull && guarded.state.hasWaiting { update(&guarded) }
      return guarded.state.status
    }
  }

  private func write(_ body: (inout State) -> Effects) {
    let effects = guarded.withLock { guarded in
      let effects = body(&guarded.state)
      update(&guarded)
      return effects
    }
    if let a20 = effects.a20 { outputs.a20Changed(a20) }
    if effects.reset { outputs.resetRequested() }
  }

  // MARK: Progress

  private func timerFired() {
    guarded.withLock { guarded in
      guarded.armed = nil
      update(&guarded)
    }
  }

  /// Does what is due, and drives the lines to match. Lock held.
  func update(_ guarded: inout Guarded) { update(&guarded, now: clock.now()) }

  private func update(_ guarded: inout Guarded, now: UInt64) {
    let deadline = guarded.state.advance(to: now)
    drive(&guarded)
    guard deadline != guarded.armed else { return }
    guarded.armed = deadline
    if let deadline { guarded.timer?.arm(at: deadline) } else { guarded.timer?.cancel() }
  }

  private func drive(_ guarded: inout Guarded) {
    if guarded.state.keyboard.leds != guarded.toldLights { guarded.tellLights() }
    let keyboard = guarded.state.irq1
    if keyboard != guarded.irq1 { irq1.set(keyboard) }
    guarded.irq1 = keyboard
    let mouse = guarded.state.irq12
    if mouse != guarded.irq12 { irq12.set(mouse) }
    guarded.irq12 = mouse
  }

  // MARK: Device

  public func reset() {
    guarded.withLock { guarded in
      guarded.state = State()
      update(&guarded)
      // What was on its way is gone: nobody waits for it to be read.
      guarded.keyboardRead?()
    }
    outputs.a20Changed(true)
  }

  public func save() -> State {
    guarded.withLock { guarded in
      var state = guarded.state
      state.makeTimesRelative(to: clock.now())
      return state
    }
  }

  public func restore(_ state: State) throws(RestoreError) {
    if let problem = state.problem { throw RestoreError(device: name, problem: problem) }
    guarded.withLock { guarded in
      guarded.state = state
      guarded.state.makeTimesAbsolute(at: clock.now())
      // The wires may be anything after a restore: drive them whatever was driven last.
      irq1.set(guarded.state.irq1)
      irq12.set(guarded.state.irq12)
      guarded.irq1 = guarded.state.irq1
      guarded.irq12 = guarded.state.irq12
      guarded.tellLights()
      guarded.armed = nil
      guarded.timer?.cancel()
      guarded.rearm()
    }
    outputs.a20Changed(state.a20)
  }
}

extension I8042.Guarded {
  /// Tells what the keyboard's lights are.
  mutating func tellLights() {
    toldLights = state.keyboard.leds
    lightsChanged?(KeyboardLEDs(rawValue: toldLights))
  }

  /// Arms the timer for what waits, without doing any of it.
  fileprivate mutating func rearm() {
    guard let deadline = state.deadline else { return }
    armed = deadline
    timer?.arm(at: deadline)
  }
}
