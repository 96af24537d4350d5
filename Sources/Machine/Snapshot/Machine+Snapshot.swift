import KVMEngine
import Storage
import Synchronization

/// Pausing, saving and restoring. What changes the machine here runs on its own thread, so that a
/// reset or a stop never comes in between.
extension Machine {
  /// Stops the guest and its clock until ``resume()``. Returns when every processor stands.
  public func pause() throws {
    try onOwnThread { machine in
      machine.isHeldByUser = true
      guard machine.frozenAt == nil else { return }
      try machine.holdStill()
      machine.tell(.paused)
    }
  }

  /// Lets a paused guest go on; its clock and its time-stamp counter have stood still.
  public func resume() throws {
    try onOwnThread { machine in
      machine.isHeldByUser = false
      guard machine.frozenAt != nil else { return }
      // It goes on as soon as there is room.
      if machine.isHeldForRoom { return machine.parts.room.retry() }

      machine.letGo()
      machine.tell(.resumed)
    }
  }

  /// Writes all of the machine to `path`, which is there whole or not at all when this returns. The
  /// guest stands still while its state is taken.
  /// - Parameter holds: whether it stays so afterwards, as what its media hold then fits the
  ///   snapshot; else it goes on if it ran before.
  public func save(to path: String, holds: Bool = false) throws {
    let writer = Handed(try SnapshotWriter(path: path))
    try onOwnThread { machine in
      if let shortage = machine.parts.room.shortage {
        throw SnapshotError("the desktop waits for room on the host: \(shortage)")
      }
      let wasRunning = machine.frozenAt == nil
      try machine.holdStill()
      do {
        machine.parts.input.hold()
        defer { machine.parts.input.letIn() }
        try machine.writeState(to: writer.value)
        try machine.parts.disk.flush()
        if holds {
          try writer.value.finish()
          machine.isHeldByUser = true
        }
      } catch {
        if wasRunning { machine.letGo() }
        throw error
      }
      if wasRunning && !holds { machine.letGo() }
    }
    if !holds { try writer.value.finish() }
  }

  /// A value that is handed to the machine's thread while its owner waits.
  private struct Handed<Value>: @unchecked Sendable {
    // SAFETY: only the machine's thread uses it until the owner has been told that it is done.
    let value: Value
    init(_ value: Value) { self.value = value }
  }

  /// Has the machine's thread call `body`, and waits.
  private func onOwnThread(_ body: @escaping @Sendable (Machine) throws -> Void) throws {
    let failure = Slot<any Error>()
    let errand = MachineErrand { [unowned self] in
      do { try body(self) } catch { failure.set(error) }
    }
    parts.control.request(errand)
    guard errand.wait() else { throw SnapshotError("the desktop is stopping") }
    if let error = failure.value { throw error }
  }

  // MARK: Standing still

  /// Stops processors and time. On the machine's thread.
  func holdStill() throws {
    guard frozenAt == nil else { return }
    repeat {
      parts.control.gate.close()
      parts.control.kickAll()
      parts.control.gate.waitUntilAllStand()
    } while carryOutPendingReset()
    if parts.control.isStopping { throw SnapshotError("the desktop is stopping") }
    parts.clock.pause()
    frozenAt = HostTimestamp.now()
  }

  /// Lets time and processors go on.
  func letGo() {
    guard let moment = frozenAt else { return }
    let distance = moment &- HostTimestamp.now()
    for processor in processors { processor.perform { $0.moveTimestamp(by: distance) } }
    frozenAt = nil
    parts.clock.resume()
    parts.control.gate.open()
  }

  // MARK: Saving

  private func writeState(to writer: SnapshotWriter) throws {
    let timestamp = frozenAt ?? HostTimestamp.now()
    let floppy = try builtInFloppyBytes()
    // First, and from the end: disk controllers end what they do by themselves, which the DMA and
    // interrupt controllers before them take part in, and memory is written then.
    let devices = try parts.devices.reversed().map { try Self.saved($0) }
    try writer.write(
      .description, SnapshotEncoder.encode(description(timestamp, floppy)).encoded())
    try SnapshotMemory.write(parts.memory.ram, as: .ram, to: writer)
    try SnapshotMemory.write(parts.videoMemory, as: .video, to: writer)
    if let floppy { try SnapshotMemory.write(floppy, to: writer) }
    for processor in processors {
      try writer.write(.processor, SnapshotEncoder.encode(state(of: processor)).encoded())
    }
    for device in devices { try writer.write(.device, device) }
    try writer.end()
  }

  private func description(_ timestamp: UInt64, _ floppy: [UInt8]?) -> SnapshotDescription {
    SnapshotDescription(
      memoryBytes: configuration.memoryBytes, processors: configuration.processors,
      engine: configuration.engine.rawValue,
      drives: configuration.drives.map(SnapshotDescription.record),
      builtInFloppyBytes: floppy?.count, bootOrder: configuration.bootOrder,
      directBoot: configuration.directBoot, firmwareKind: configuration.firmware,
      cpu: configuration.cpu.description,
      firmwareVariables: configuration.firmwareVariables.map(SnapshotDescription.wholePath),
      keyboard: configuration.keyboard.name, debugExit: configuration.debugExit,
      stopsOnTripleFault: configuration.onTripleFault == .stop,
      firmware: SnapshotDescription.firmwareMark,
      elapsed: parts.clock.now(), timestamp: timestamp, isA20Open: parts.memory.isGateOpen)
  }

  private func state(of processor: VirtualCPU) throws -> ProcessorState {
    let now = parts.clock.now()
    let slot = Slot<Result<ProcessorState, ProcessorStateError>>()
    processor.perform { processor in
      slot.set(
        Result { () throws(ProcessorStateError) in try processor.state(now: now) })
    }
    guard let state = slot.value else { throw SnapshotError("the desktop is stopping") }
    return try state.get()
  }

  private static func saved(_ device: some Device) throws -> [UInt8] {
    try SnapshotEncoder.encode(DeviceRecord(name: device.name, state: device.save())).encoded()
  }

  private func builtInFloppyBytes() throws -> [UInt8]? {
    guard configuration.builtInFloppy != nil, let image = parts.disk.drives.first?.medium?.image
    else { return nil }
    return try image.bytes(sector: 0, count: Int(clamping: image.sectorCount))
  }
}

/// What one thread leaves for another.
final class Slot<Value: Sendable>: Sendable {
  private let content = Mutex<Value?>(nil)
  var value: Value? { content.withLock { $0 } }
  func set(_ value: Value) { content.withLock { $0 = value } }
}

/// A device's name and state, as they stand in a snapshot.
struct DeviceRecord<State: Codable>: Codable {
  var name: String
  var state: State
}
