import KVMEngine

/// The commands that move sectors.
extension FloppyCore {
  /// Begins one: for the worker, or first for the host's own data.
  mutating func transfer(_ now: UInt64) {
    guard var transfer = FloppyTransfer(state.command) else { return answer([FloppyBit.invalid]) }
    if state.configure & FloppyBit.impliedSeek != 0, transfer.kind != .format {
      state.cylinders[transfer.drive] = min(transfer.cylinder, 85)
      if let drive = drive(transfer.drive), drive.medium != nil {
        noticeChange(transfer.drive, drive)
        state.changed[transfer.drive] = false
      }
    }
    if transfer.kind == .format { transfer.cylinder = state.cylinders[transfer.drive] }
    if let failure = refusal(transfer) {
      state.interruptAt = now &+ Self.delay
      return end(transfer, FloppyBit.abnormal, failure.first, failure.second)
    }
    state.phase = .execution
    guard state.withoutDMA, transfer.kind == .write || transfer.kind == .format else {
      hasWork = true
      return
    }
    let geometry = drive(transfer.drive)?.medium?.geometry
    let size =
      transfer.kind == .format
      ? Int(transfer.endOfTrack) * 4
      : (geometry.map { transfer.blocks($0).count } ?? 0) * Sector.bytes
    guard size > 0 else {
      hasWork = true
      return
    }
    state.data = [UInt8](repeating: 0, count: min(size, FloppyState.maximumData))
    state.phase = .fromHost
    state.interrupt = true
  }

  /// Status registers 1 and 2 of a command that can't begin.
  private func refusal(_ transfer: FloppyTransfer) -> (first: UInt8, second: UInt8)? {
    let here = state.cylinders[transfer.drive]
    guard let geometry = readable(transfer.drive), Int(here) < geometry.cylinders,
      Int(transfer.head) < geometry.heads
    else { return (FloppyBit.noAddressMark, FloppyBit.noAddressMark) }
    if transfer.kind == .write || transfer.kind == .format,
      drive(transfer.drive)?.medium?.image.isReadOnly == true
    {
      return (FloppyBit.notWritable, 0)
    }
    guard transfer.sizeCode == 2 else { return (FloppyBit.noData, 0) }
    guard transfer.kind != .format else { return nil }
    guard transfer.cylinder == here else {
      return (FloppyBit.noData, FloppyBit.wrongCylinder)
    }
    guard transfer.side == transfer.head, transfer.sector >= 1,
      Int(transfer.sector) <= geometry.sectors
    else { return (FloppyBit.noData, 0) }
    return nil
  }

  // MARK: The worker

  mutating func takeWork(_ dma: I8237Pair, _ room: HostRoom?) -> FloppyWork? {
    guard hasWork, !isWorking else { return nil }
    hasWork = false
    guard var transfer = FloppyTransfer(state.command) else {
      answer([FloppyBit.invalid])
      return nil
    }
    isWorking = true
    if transfer.kind == .format { transfer.cylinder = state.cylinders[transfer.drive] }
    let medium = drive(transfer.drive)?.medium
    let geometry = medium?.geometry ?? FloppyGeometry.usual.chs
    var blocks = transfer.blocks(geometry)
    // No sector has a deleted address mark: the first one ends the search, or all are skipped.
    if transfer.deletedOnly { blocks = transfer.skips ? [] : Array(blocks.prefix(1)) }
    return FloppyWork(
      transfer: transfer, image: medium?.image, blocks: blocks,
      dma: state.withoutDMA ? nil : dma, room: room, geometry: geometry, data: state.data)
  }

  mutating func finish(_ work: FloppyWork) {
    isWorking = false
    if dropsResult {
      dropsResult = false
      return
    }
    guard state.phase == .execution else { return }
    if work.transfer.kind == .read, work.dma == nil, work.image != nil, !work.data.isEmpty {
      // The host takes the bytes itself; the result is worked out when it has.
      state.data = Array(work.data.prefix(FloppyState.maximumData))
      state.position = 0
      state.phase = .toHost
      state.interrupt = true
      return
    }
    state.interrupt = true
    conclude(work)
  }

  private mutating func conclude(_ work: FloppyWork) {
    var place = work.transfer
    if place.kind != .format { for _ in 0..<work.done { place.advance() } }
    guard work.image != nil else {
      return end(place, FloppyBit.abnormal, FloppyBit.noAddressMark, FloppyBit.noAddressMark)
    }
    if work.starved { return end(work.transfer, FloppyBit.abnormal, FloppyBit.overrun, 0) }
    if let error = work.error {
      if error.problem == .readOnly {
        return end(place, FloppyBit.abnormal, FloppyBit.notWritable, 0)
      }
      return end(place, FloppyBit.abnormal, FloppyBit.dataError, FloppyBit.dataErrorInData)
    }
    let mark = work.transfer.deletedOnly ? FloppyBit.controlMark : 0
    let endsByItself = place.kind == .format || place.kind == .verify || mark != 0
    if work.reachedEnd || endsByItself { return end(place, 0, 0, mark) }
    // Without a terminal count a transfer ends behind the last sector, or where one is missing.
    let wanted = work.transfer.sectorsUpToEnd(work.geometry)
    let isWhole = work.done >= wanted
    end(place, FloppyBit.abnormal, isWhole ? FloppyBit.endOfCylinder : FloppyBit.noData, mark)
  }

  /// The host took the last byte of a read without DMA.
  mutating func endByHost() {
    guard var transfer = FloppyTransfer(state.command) else { return answer([FloppyBit.invalid]) }
    for _ in 0..<(state.data.count / Sector.bytes) { transfer.advance() }
    state.interrupt = true
    end(transfer, FloppyBit.abnormal, FloppyBit.endOfCylinder, 0)
  }

  /// The seven bytes of the result phase.
  private mutating func end(
    _ place: FloppyTransfer, _ status: UInt8, _ first: UInt8, _ second: UInt8
  ) {
    let drive = UInt8(place.drive) | place.head << 2
    answer([
      status | drive, first, second, place.cylinder, place.side, place.sector, place.sizeCode,
    ])
  }
}

extension FloppyTransfer {
  /// Sectors from the first on up to the last that the command asks for, whether they are there.
  func sectorsUpToEnd(_ geometry: CHSGeometry) -> Int {
    guard sector <= endOfTrack else { return .max }
    let first = Int(endOfTrack - sector) + 1
    return multiTrack && side == 0 && geometry.heads > 1 ? first + Int(endOfTrack) : first
  }
}
