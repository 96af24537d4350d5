import KVMEngine
import Synchronization

/// The floppy disk controller of a PC (Intel 82077AA datasheet, 290166-007) with up to four drives,
/// by DMA channel 2 or by the host's own hand, and IRQ 6.
///
/// Heads move and motors turn at once; an interrupt comes ``FloppyCore/delay`` after a command that
/// moves no sectors, and else when the image has answered. Every sector has 512 bytes and a normal
/// data mark. Not modelled: SCAN, tape drives, single density.
///
/// Lock order: this lock, then the interrupt sink's and the clock's. The worker uses the DMA
/// controller and guest memory without it.
public final class FloppyController: Device {
  /// Registers and phase.
  public struct SavedState: Codable, Equatable, Sendable {
    var registers: FloppyState
  }

  private struct Guarded {
    var core: FloppyCore
    var timer: (any DeviceTimer)?
    var level = false
    var armed: UInt64?
  }

  private let state: Mutex<Guarded>
  private let clock: any Clock
  private let irq: InterruptLine
  private let dma: I8237Pair
  private let worker: DiskWorker
  private let room: HostRoom?
  private let log: @Sendable (String) -> Void
  private let reported = Mutex<Set<ImageError.Problem>>([])

  public let name = "i82077"

  /// - Parameters:
  ///   - drives: A: and B:, in their order.
  ///   - room: where writes wait that the host has no room for; without one they fail.
  ///   - log: gets a sentence when the host first fails to read or write an image.
  public init(
    drives: [Drive], clock: any Clock, irq: InterruptLine, dma: I8237Pair, worker: DiskWorker,
    room: HostRoom? = nil, log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    state = Mutex(Guarded(core: FloppyCore(drives)))
    self.clock = clock
    self.irq = irq
    self.dma = dma
    self.worker = worker
    self.room = room
    self.log = log
    let timer = clock.makeTimer(name) { [weak self] in self?.timerFired() }
    state.withLock { $0.timer = timer }
    worker.attach { [weak self] in self?.work() }
  }

  public func reset() {
    worker.drain()
    with { core, _ in core.hardReset() }
  }

  public func save() -> SavedState {
    worker.drain()
    return state.withLock { guarded in
      for (number, drive) in guarded.core.drives.enumerated() {
        guarded.core.noticeChange(number, drive)
      }
      return SavedState(registers: guarded.core.state)
    }
  }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    if let problem = saved.registers.problem {
      throw RestoreError(device: name, problem: problem)
    }
    worker.drain()
    with { core, _ in
      core.state = saved.registers
      core.changesSeen = core.drives.map(\.changeCount)
      core.hasWork = saved.registers.phase == .execution
    }
  }

  // MARK: Ports

  /// Ports 3F0h to 3F5h.
  public var ports: any PortDevice { Registers(self, first: 0) }
  /// Port 3F7h: disk change, data rate.
  public var rateAndChangePort: any PortDevice { Registers(self, first: 7) }

  private final class Registers: PortDevice {
    private let controller: FloppyController
    private let first: UInt16

    init(_ controller: FloppyController, first: UInt16) {
      self.controller = controller
      self.first = first
    }

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
      UInt32(controller.read(offset &+ first))
    }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
      controller.write(offset &+ first, UInt8(truncatingIfNeeded: value))
    }
  }

  private func read(_ offset: UInt16) -> UInt8 {
    with { core, _ in
      switch offset {
      case 0: core.statusA
      case 1: core.statusB
      case 2: core.state.output
      case 3: core.state.tape
      case 4: core.mainStatus
      case 5: core.readData()
      case 7: core.readInput()
      default: 0xFF
      }
    }
  }

  private func write(_ offset: UInt16, _ value: UInt8) {
    with { core, now in
      switch offset {
      case 2: core.writeOutput(value, now)
      case 3: core.state.tape = value & 3
      case 4: core.writeRate(value, now)
      case 5: core.writeData(value, now)
      case 7: core.state.rate = value & FloppyBit.rateMask
      default: break
      }
    }
  }

  // MARK: Work and wire

  @discardableResult
  private func with<Result: Sendable>(_ body: (inout FloppyCore, UInt64) -> Result) -> Result {
    let (result, hasWork) = state.withLock { guarded -> (Result, Bool) in
      let result = body(&guarded.core, clock.now())
      settle(&guarded)
      return (result, guarded.core.hasWork && !guarded.core.isWorking)
    }
    if hasWork { worker.request() }
    return result
  }

  private func timerFired() {
    with { core, now in
      guard let due = core.state.interruptAt, due <= now else { return }
      core.state.interruptAt = nil
      core.state.interrupt = true
    }
  }

  /// Drives the wire, which the DMA gate lets through, and arms the timer.
  private func settle(_ guarded: inout Guarded) {
    let state = guarded.core.state
    let level = state.interrupt && state.output & FloppyBit.dmaGate != 0
    // Each byte that the host moves itself has an edge of its own.
    let isByte = level && (state.phase == .toHost || state.phase == .fromHost)
    if isByte {
      irq.pulse()
    } else if level != guarded.level {
      irq.set(level)
    }
    guarded.level = level
    guard state.interruptAt != guarded.armed else { return }
    guarded.armed = state.interruptAt
    if let due = state.interruptAt { guarded.timer?.arm(at: due) } else { guarded.timer?.cancel() }
  }

  /// On the worker's thread.
  private func work() {
    while var work = state.withLock({ $0.core.takeWork(dma, room) }) {
      work.perform()
      if let error = work.error { report(error) }
      let done = work
      state.withLock { guarded in
        guarded.core.finish(done)
        settle(&guarded)
      }
    }
  }

  /// Says once for each kind of trouble what the host answered.
  private func report(_ error: ImageError) {
    let isNew = reported.withLock { $0.insert(error.problem).inserted }
    if isNew { log(error.description) }
  }
}

extension FloppyCore {
  /// Status register A: the interrupt, and low signals of the selected drive.
  var statusA: UInt8 {
    let number = Int(state.output & 3)
    var status: UInt8 = state.interrupt ? 0x80 : 0
    // The second drive is there (low), no index, no write protection (high).
    if drives.count < 2 { status |= 0x40 }
    if state.cylinders[number] == 0 { status |= 0x10 }
    if drive(number)?.medium?.image.isReadOnly != true { status |= 0x02 }
    return status
  }

  /// Status register B: the drive and the motors as the digital output register has them.
  var statusB: UInt8 {
    0xC0 | (state.output & 1) << 5 | state.output >> 4 & 3
  }
}
