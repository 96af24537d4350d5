import KVMEngine
import Synchronization

/// One channel of an IDE controller: the ports of its command block and control block, one interrupt,
/// two devices, and its half of the bus master.
///
/// ATA/ATAPI-6 (T13/1410D) and, for the bus master, "Programming Interface for Bus Master IDE
/// Controller" 1.0. Images are read and written by a ``DiskWorker``; until it has done so the device
/// is busy. Not modelled: queued and overlapped commands, security, host-protected areas, timing:
/// every transfer mode is as fast as the host.
///
/// Lock order: this lock, then the interrupt sink's. The worker moves data to and from guest memory
/// without it.
public final class IDEChannel: Device {
  /// The channel's registers and the data that is between image and host.
  public struct SavedState: Codable, Equatable, Sendable {
    var channel: IDEState
    var data: [UInt8]
  }

  struct Guarded {
    var core: IDECore
    /// The level of the interrupt wire.
    var level = false
  }

  let state: Mutex<Guarded>
  let irq: InterruptLine
  private let buffer: IDEBuffer
  private let space: AddressSpace
  private let worker: DiskWorker
  private let room: HostRoom?
  private let log: @Sendable (String) -> Void
  private let reported = Mutex<Set<ImageError.Problem>>([])

  public let name: String

  /// - Parameters:
  ///   - name: unique in the machine: `ide0`.
  ///   - first: the master, a hard disk or a CD drive; nil for none.
  ///   - space: guest memory, for the bus master.
  ///   - room: where writes wait that the host has no room for; without one they fail.
  ///   - log: gets a sentence when the host first fails to read or write an image.
  public init(
    name: String, first: Drive?, second: Drive?, irq: InterruptLine, space: AddressSpace,
    worker: DiskWorker, room: HostRoom? = nil,
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.name = name
    self.room = room
    self.irq = irq
    self.space = space
    self.worker = worker
    self.log = log
    let slots = Pair(
      first: Self.slot(first, serial: "PTH-\(name)-0"),
      second: Self.slot(second, serial: "PTH-\(name)-1"))
    let core = IDECore(slots)
    buffer = core.buffer
    state = Mutex(Guarded(core: core))
    worker.attach { [weak self] in self?.work() }
  }

  private static func slot(_ drive: Drive?, serial: String) -> IDESlot {
    guard let drive else { return .empty }
    switch drive.kind {
    case .hardDisk:
      guard let medium = drive.medium else { return .empty }
      return .disk(
        ATADisk(
          image: medium.image, trimmed: medium.trimmed, geometry: medium.geometry, serial: serial))
    case .cdrom: return .disc(drive)
    case .floppy: return .empty
    }
  }

  public func reset() {
    worker.drain()
    with { $0.hardReset() }
  }

  public func save() -> SavedState {
    worker.drain()
    return state.withLock { guarded in
      var channel = guarded.core.state
      for index in 0...1 {
        // A change that the guest was not told of is part of what it will be told.
        guard let drive = guarded.core.slots[index].disc,
          drive.changeCount != guarded.core.changesSeen[index]
        else { continue }
        channel.devices[index].disc.attention = .changed
        channel.devices[index].disc.event = drive.medium == nil ? .removed : .newMedia
      }
      return SavedState(
        channel: channel, data: buffer.prefix(max(channel.position, channel.filled)))
    }
  }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    worker.drain()
    let problem = state.withLock { $0.core.problem(saved.channel, data: saved.data.count) }
    if let problem { throw RestoreError(device: name, problem: problem) }
    with { core in
      core.abandon()
      core.state = saved.channel
      _ = core.buffer.fill(saved.data)
      for index in 0...1 { core.changesSeen[index] = core.slots[index].disc?.changeCount ?? 0 }
      core.pumpDMA()
    }
  }

  /// Runs `body` with the lock held, drives the wire, and sends the worker where there is work.
  @discardableResult
  func with<Result: Sendable>(_ body: (inout IDECore) -> Result) -> Result {
    let (result, hasWork) = state.withLock { guarded -> (Result, Bool) in
      let result = body(&guarded.core)
      settle(&guarded)
      return (result, guarded.core.job != nil && !guarded.core.isWorking)
    }
    if hasWork { worker.request() }
    return result
  }

  /// Drives the interrupt wire to match the core.
  private func settle(_ guarded: inout Guarded) {
    let wanted = guarded.core.wantsInterrupt
    let isEdge = guarded.core.needsEdge && wanted
    guarded.core.needsEdge = false
    guard wanted != guarded.level || isEdge else { return }
    guarded.level = wanted
    if wanted { guarded.core.state.busMaster.status |= BusMasterStatus.interrupt }
    if isEdge { irq.pulse() } else { irq.set(wanted) }
  }

  /// On the worker's thread: does what the core wants until it wants nothing.
  private func work() {
    while var work = state.withLock({ $0.core.takeWork(room) }) {
      work.perform(buffer, space) { state.withLock { $0.core.isCancelled } }
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

extension IDECore {
  /// Why `saved` can't be the state of this channel; nil where it can.
  func problem(_ saved: IDEState, data: Int) -> String? {
    let transfer = saved.transfer
    guard (0...1).contains(saved.selected), (0...1).contains(transfer.device) else {
      return "a channel has two devices"
    }
    guard data <= IDEBuffer.bytes, data == max(saved.position, saved.filled), saved.position >= 0,
      saved.filled >= 0, saved.blockEnd >= 0, saved.blockEnd <= IDEBuffer.bytes
    else { return "its buffer does not hold what it says" }
    guard transfer.remaining >= 0, transfer.expected >= 0, transfer.expected <= IDEBuffer.bytes,
      (2...IDEBuffer.bytes).contains(transfer.blockBytes), (2...0xFFFE).contains(transfer.limit)
    else { return "its transfer is impossible" }
    guard saved.busMaster.cursor.left <= 0x10000, saved.busMaster.table & 3 == 0 else {
      return "its descriptors are impossible"
    }
    for index in 0...1 {
      let device = saved.devices[index]
      guard device.heads <= 16, device.multiple <= ATAIdentity.maximumMultiple,
        device.disc.sense.key < 16
      else { return "device \(index) has settings that it lacks" }
    }
    guard transfer.direction != .none else { return nil }
    return transferProblem(saved)
  }

  private func transferProblem(_ saved: IDEState) -> String? {
    let transfer = saved.transfer
    guard transfer.isPacket == slots[transfer.device].isPacketDevice || !transfer.isPacket,
      !slots[transfer.device].isEmpty
    else { return "there is no device for its transfer" }
    guard saved.blockEnd == 0 || saved.blockEnd >= saved.position else {
      return "its data block is impossible"
    }
    if transfer.usesImage {
      let limit: UInt64 = 1 << 48
      guard transfer.sector <= limit, UInt64(transfer.remaining) <= limit - transfer.sector else {
        return "its transfer lies beyond any disk"
      }
    }
    guard transfer.isPacket || transfer.blockBytes % Sector.bytes == 0 else {
      return "its data block is impossible"
    }
    return nil
  }
}
