import KVMEngine
import Storage
import Synchronization

/// Restoring. Before anything of the machine has run.
extension Machine {
  /// Makes the machine the one that was saved. Its threads stand at the gate, its clock stands
  /// still, and nothing of it has run.
  func restoreState(from path: String) throws {
    let reader = try SnapshotReader(path: path)
    let description = try SnapshotDescription.read(reader)
    try check(description, reader)
    parts.clock.pause()
    parts.clock.set(elapsed: description.elapsed)
    let now = HostTimestamp.now()
    frozenAt = now
    let states = try readMemory(reader)
    guard states.processors.count == processors.count else {
      throw reader.damaged("it has the state of \(states.processors.count) processors")
    }
    for (processor, state) in zip(processors, states.processors) {
      var state = state
      state.timestampOffset &+= description.timestamp &- now
      try take(state, processor)
    }
    try restoreDevices(states.devices, reader)
    parts.memory.setGate(open: description.isA20Open)
    parts.input.releaseEverything()
  }

  private struct SavedStates {
    var processors: [ProcessorState] = []
    var devices: [SnapshotValue] = []
  }

  private static let mostDevices = 64

  /// Copies memory to its place; everything else is small and comes back.
  private func readMemory(_ reader: SnapshotReader) throws -> SavedStates {
    var states = SavedStates()
    var floppy = configuration.builtInFloppy ?? []
    while let section = try reader.next() {
      switch section.kind {
      case .memory:
        guard let run = SnapshotMemory.Run(section.bytes), copy(run, &floppy) else {
          throw reader.damaged("it has memory where the machine has none")
        }
      case .processor:
        guard states.processors.count < MachineConfiguration.maximumProcessors,
          let value = SnapshotValue(decoding: section.bytes),
          let state = try? SnapshotDecoder.decode(ProcessorState.self, from: value)
        else { throw reader.damaged("the state of a processor can't be read") }
        states.processors.append(state)
      case .device:
        guard states.devices.count < Self.mostDevices,
          let value = SnapshotValue(decoding: section.bytes)
        else { throw reader.damaged("the state of a device can't be read") }
        states.devices.append(value)
      case .description, .end: throw reader.damaged("it has two descriptions")
      }
    }
    try restoreFloppy(floppy)
    return states
  }

  private func copy(_ run: SnapshotMemory.Run, _ floppy: inout [UInt8]) -> Bool {
    switch run.region {
    case .ram: return run.copy(to: parts.memory.ram)
    case .video: return run.copy(to: parts.videoMemory)
    case .builtInFloppy:
      guard let start = Int(exactly: run.offset), start <= floppy.count,
        run.bytes.count <= floppy.count - start
      else { return false }
      floppy.replaceSubrange(start..<(start + run.bytes.count), with: run.bytes)
      return true
    }
  }

  private func restoreFloppy(_ bytes: [UInt8]) throws {
    guard configuration.builtInFloppy != nil, let image = parts.disk.drives.first?.medium?.image
    else { return }
    let count = bytes.count / Sector.bytes
    var failure: (any Error)?
    bytes.withUnsafeBytes { buffer in
      do { try image.write(sector: 0, count: count, from: buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  private func take(_ state: ProcessorState, _ processor: VirtualCPU) throws {
    let now = parts.clock.now()
    let slot = Slot<ProcessorStateError>()
    processor.perform { processor in
      do throws(ProcessorStateError) {
        try processor.setState(state, now: now)
      } catch {
        slot.set(error)
      }
    }
    if let error = slot.value { throw error }
  }

  private func restoreDevices(_ states: [SnapshotValue], _ reader: SnapshotReader) throws {
    var left = try states.map { state in
      guard case .map(let entries) = state,
        case .text(let name)? = entries.first(where: { $0.key == "name" })?.value
      else { throw reader.damaged("a device has no name") }
      return (name: name, state: state)
    }
    for device in parts.devices {
      guard let index = left.firstIndex(where: { $0.name == device.name }) else {
        throw SnapshotError("the snapshot \(reader.path) has no state of \(device.name)")
      }
      do {
        try Self.restore(device, left.remove(at: index).state)
      } catch let error as RestoreError {
        throw error
      } catch {
        throw reader.damaged("the state of \(device.name) can't be read")
      }
    }
    if let other = left.first {
      throw SnapshotError("the snapshot \(reader.path) has a \(other.name), which is not here")
    }
  }

  private static func restore<Chip: Device>(_ device: Chip, _ value: SnapshotValue) throws {
    let record = try SnapshotDecoder.decode(DeviceRecord<Chip.SavedState>.self, from: value)
    try device.restore(record.state)
  }

  // MARK: Checking

  /// Whether the machine is one that the snapshot can be of, and its media those that were in it.
  private func check(_ description: SnapshotDescription, _ reader: SnapshotReader) throws {
    guard description.memoryBytes == configuration.memoryBytes,
      description.processors == configuration.processors,
      description.debugExit == configuration.debugExit,
      description.firmwareKind == configuration.firmware,
      description.builtInFloppyBytes == configuration.builtInFloppy?.count
    else { throw SnapshotError("the snapshot \(reader.path) is of another machine") }
    let mark = SnapshotDescription.firmwareMark
    guard description.firmware == mark else {
      throw SnapshotError(
        "the snapshot \(reader.path) was made by another version of porthole, whose firmware the"
          + " guest was started with")
    }
    let drives = configuration.drives
    guard drives.map(\.kind) == description.drives.map(\.drive.kind) else {
      let list = description.drives.map(\.drive.kind.rawValue).joined(separator: ", ")
      throw SnapshotError(
        "the snapshot \(reader.path) needs these drives: \(list.isEmpty ? "none" : list)")
    }
    for (drive, saved) in zip(drives, description.drives) {
      let found = SnapshotDescription.record(drive)
      guard found.bytes == saved.bytes else {
        throw SnapshotError(
          "\(drive.path ?? "the empty drive") has \(found.bytes) bytes, and the image in the"
            + " snapshot had \(saved.bytes)")
      }
      if found.modified != saved.modified {
        log(
          "\(drive.path ?? "") was changed since the snapshot; what the guest knows of it may be"
            + " wrong")
      }
    }
  }
}
