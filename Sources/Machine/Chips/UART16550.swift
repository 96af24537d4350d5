import KVMEngine
import Synchronization

/// The 16550A UART (National Semiconductor PC16550D datasheet, June 1995), wired as in a PC: OUT2
/// lets its interrupt through, the modem at the other end is always ready.
///
/// A character leaves at the moment it is written; the transmitter is always empty. Received
/// characters arrive as fast as the guest reads: whoever sends offers bytes and is told how many fit,
/// so nothing overruns but the guest's own loopback. The character timeout runs in real time.
///
/// Lock order: this lock, then the interrupt sink, the clock, and whatever `output` takes; `output`
/// is called with the lock held, so that characters keep their order, and must neither call back nor
/// wait. Not modelled: DMA pins, parity and framing errors, break (there is no line).
public final class UART16550: Device, PortDevice {
  /// Registers and the receiver's FIFO.
  public struct SavedState: Codable, Equatable, Sendable {
    /// Divisor latch: 115,200 baud divided by this.
    var divisor: UInt16 = 12
    /// Interrupt enable register.
    var interruptEnable: UInt8 = 0
    /// FIFO control register, without its self-clearing bits.
    var fifoControl: UInt8 = 0
    var lineControl: UInt8 = 0
    var modemControl: UInt8 = 0
    var scratch: UInt8 = 0
    /// The change bits of the modem status register, 0 to 15.
    var modemChanges: UInt8 = 0
    /// Received and not read: up to 16 characters, 1 where FIFOs are off.
    var received: [UInt8] = []
    /// A character was lost since the line status was read.
    var overrun = false
    /// The transmitter's interrupt waits to be seen.
    var transmitterPending = false
    /// When the character timeout comes, nanoseconds; nil where none runs.
    var timeoutAt: UInt64?
    /// The character timeout came.
    var timedOut = false
  }

  struct Guarded {
    var registers = SavedState()
    var timer: (any DeviceTimer)?
    /// What the interrupt wire and the timer were told last; nil after a reset. Most accesses change
    /// neither, and each has a lock of its own.
    var told: (isHigh: Bool, deadline: UInt64?)?
    /// A sender was refused and wants to know of room.
    var refused = false
  }

  let state = Mutex(Guarded())
  let clock: any Clock
  let irq: InterruptLine
  let output: @Sendable (UInt8) -> Void
  let roomAvailable: @Sendable () -> Void

  public let name: String

  /// - Parameters:
  ///   - name: unique in the machine: `com1`.
  ///   - output: takes each character that the guest sends.
  ///   - roomAvailable: after ``receive(_:)`` refused bytes, there is room again. Called without
  ///     the lock, on the guest's thread.
  public init(
    name: String, clock: any Clock, irq: InterruptLine,
    output: @escaping @Sendable (UInt8) -> Void,
    roomAvailable: @escaping @Sendable () -> Void = {}
  ) {
    self.name = name
    self.clock = clock
    self.irq = irq
    self.output = output
    self.roomAvailable = roomAvailable
    let timer = clock.makeTimer(name) { [weak self] in self?.timerFired() }
    state.withLock { $0.timer = timer }
  }

  /// Offers characters from the other end of the line.
  /// - Returns: how many from the first on were taken; 0 where the guest has not read the last ones,
  ///   or has turned the UART in on itself.
  public func receive(_ bytes: [UInt8]) -> Int {
    state.withLock { state in
      let room = state.registers.isLoopback ? 0 : max(0, state.registers.room)
      let taken = min(room, bytes.count)
      state.refused = state.refused || taken < bytes.count
      guard taken > 0 else { return 0 }
      state.registers.received.append(contentsOf: bytes.prefix(taken))
      state.registers.restartTimeout(clock.now())
      settle(&state)
      return taken
    }
  }

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    let (value, tell) = state.withLock { state -> (UInt8, Bool) in
      let value = read(offset & 7, &state.registers)
      settle(&state)
      return (value, takeRefusal(&state))
    }
    if tell { roomAvailable() }
    return UInt32(value)
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let byte = UInt8(truncatingIfNeeded: value)
    let tell = state.withLock { state -> Bool in
      write(offset & 7, byte, &state.registers)
      settle(&state)
      return takeRefusal(&state)
    }
    if tell { roomAvailable() }
  }

  public func reset() {
    let tell = state.withLock { state -> Bool in
      state.registers = SavedState()
      state.told = nil
      settle(&state)
      return takeRefusal(&state)
    }
    if tell { roomAvailable() }
  }

  public func save() -> SavedState { state.withLock { $0.registers } }

  public func restore(_ state: SavedState) throws(RestoreError) {
    guard state.received.count <= SavedState.fifoDepth else {
      throw RestoreError(
        device: name, problem: "\(state.received.count) characters do not fit the FIFO")
    }
    guard state.modemChanges < 16, state.interruptEnable < 16, state.modemControl < 32,
      state.fifoControl & ~UARTBit.keptFIFOControl == 0
    else { throw RestoreError(device: name, problem: "a register has bits that it lacks") }
    self.state.withLock { guarded in
      guarded.registers = state
      guarded.told = nil
      settle(&guarded)
    }
  }

  private func timerFired() {
    state.withLock { state in
      let registers = state.registers
      guard let deadline = registers.timeoutAt, deadline <= clock.now() else { return }
      state.registers.timeoutAt = nil
      state.registers.timedOut = true
      settle(&state)
    }
  }

  /// Drives the interrupt line and the timer to match the registers.
  private func settle(_ state: inout Guarded) {
    state.registers.checkTimeout()
    let enabled = state.registers.modemControl & UARTBit.out2 != 0
    let isHigh = enabled && state.registers.cause != UARTCause.none
    let deadline = state.registers.wantsTimeout ? state.registers.timeoutAt : nil
    if let told = state.told, told.isHigh == isHigh, told.deadline == deadline { return }
    state.told = (isHigh, deadline)
    irq.set(isHigh)
    if let deadline { state.timer?.arm(at: deadline) } else { state.timer?.cancel() }
  }

  private func takeRefusal(_ state: inout Guarded) -> Bool {
    guard state.refused, !state.registers.isLoopback, state.registers.room > 0 else { return false }
    state.refused = false
    return true
  }
}
