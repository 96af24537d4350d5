import KVMEngine

/// A piece of work that the worker does without the channel's lock, and afterwards what came of it.
struct IDEWork {
  let job: IDEJob
  let image: (any BlockImage)?
  /// The image where room is given back; nil where that is not done.
  let trimmed: (any StoredImage)?
  /// Written data has to reach the host's storage before the command ends.
  let flushes: Bool
  /// Where a write waits that the host has no room for; nil where it fails at once.
  let room: HostRoom?
  var transfer: IDETransfer
  var position: Int
  var filled: Int
  var cursor: DescriptorCursor
  /// What the host said, for the log.
  var error: ImageError?

  /// - Parameter isCancelled: asked between pieces of a long transfer.
  mutating func perform(_ buffer: IDEBuffer, _ space: AddressSpace, isCancelled: () -> Bool) {
    switch job {
    case .fill: fill(buffer)
    case .store: store(buffer, isCancelled)
    case .flush: flush(isCancelled)
    case .trim: trim(buffer, isCancelled)
    case .verify:
      while transfer.remaining > 0, transfer.failure == nil, !isCancelled() { fill(buffer) }
    case .dma where transfer.direction == .toHost: toMemory(buffer, space, isCancelled)
    case .dma: fromMemory(buffer, space, isCancelled)
    }
  }

  // MARK: DMA

  private mutating func toMemory(
    _ buffer: IDEBuffer, _ space: AddressSpace, _ isCancelled: () -> Bool
  ) {
    while !isCancelled() {
      if position < filled {
        let data = buffer.bytes(from: position, to: filled)
        position += cursor.walk(space, count: data.count) { address, offset, length in
          space.write(
            address, from: UnsafeRawBufferPointer(rebasing: data[offset..<(offset + length)]))
        }
        guard position == filled else { return }
      }
      guard transfer.usesImage, transfer.remaining > 0, transfer.failure == nil else { return }
      fill(buffer)
    }
  }

  private mutating func fromMemory(
    _ buffer: IDEBuffer, _ space: AddressSpace, _ isCancelled: () -> Bool
  ) {
    while !isCancelled() {
      let wanted = transfer.usesImage ? transfer.remaining * Sector.bytes : transfer.expected
      let room = buffer.bytes(from: position, to: min(wanted, IDEBuffer.bytes))
      position += cursor.walk(space, count: room.count) { address, offset, length in
        space.read(
          address, into: UnsafeMutableRawBufferPointer(rebasing: room[offset..<(offset + length)]))
      }
      filled = position
      guard position >= min(wanted, IDEBuffer.bytes), transfer.usesImage else { return }
      store(buffer, isCancelled)
      guard transfer.failure == nil, transfer.remaining > 0 else { return }
    }
  }

  // MARK: The image

  /// Reads as many of the remaining sectors as the buffer holds in whole blocks; where one can't be
  /// read, those before it.
  private mutating func fill(_ buffer: IDEBuffer) {
    let count = pieceCount
    position = 0
    let start = transfer.sector
    let done = each(count, writing: false, { true }) { image, first, sectors throws(ImageError) in
      let at = first * Sector.bytes
      try image.read(
        sector: start + UInt64(first), count: sectors,
        into: buffer.bytes(from: at, to: at + sectors * Sector.bytes))
    }
    filled = done * Sector.bytes
    advance(done)
  }

  /// Writes the whole sectors that the buffer holds.
  private mutating func store(_ buffer: IDEBuffer, _ isCancelled: () -> Bool) {
    let count = min(position / Sector.bytes, transfer.remaining)
    let start = transfer.sector
    let done = each(count, writing: true, isCancelled) { image, first, sectors throws(ImageError) in
      let at = first * Sector.bytes
      try image.write(
        sector: start + UInt64(first), count: sectors,
        from: UnsafeRawBufferPointer(buffer.bytes(from: at, to: at + sectors * Sector.bytes)))
    }
    advance(done)
    (position, filled) = (0, 0)
    if flushes, transfer.failure == nil, transfer.remaining == 0 {
      flush(isCancelled)
    }
  }

  mutating func flush(_ isCancelled: () -> Bool) {
    guard let image else { return }
    do throws(ImageError) {
      try persist(isCancelled) { () throws(ImageError) in try image.flush() }
    } catch {
      self.error = error
      transfer.failure = IDEFailure(error, writing: true)
    }
  }

  func persist(
    _ isCancelled: () -> Bool, _ body: () throws(ImageError) -> Void
  ) throws(ImageError) {
    guard let room else { return try body() }
    try room.persist(isCancelled: isCancelled, body)
  }

  private var pieceCount: Int {
    let block = max(Sector.bytes, transfer.blockBytes) / Sector.bytes
    let room = IDEBuffer.bytes / Sector.bytes
    return min(transfer.remaining, transfer.isPacket ? room : room / block * block)
  }

  private mutating func advance(_ sectors: Int) {
    transfer.sector += UInt64(sectors)
    transfer.remaining -= sectors
  }

  /// Moves `count` sectors at once, or where that fails one by one to find the bad one.
  /// - Returns: how many were moved.
  private mutating func each(
    _ count: Int, writing: Bool, _ isCancelled: () -> Bool,
    _ move: (_ image: any BlockImage, _ first: Int, _ sectors: Int) throws(ImageError) -> Void
  ) -> Int {
    guard count > 0 else { return 0 }
    var failed: ImageError?
    guard let image else {
      transfer.failure = .noMedium
      return 0
    }
    do throws(ImageError) {
      try persist(isCancelled) { () throws(ImageError) in try move(image, 0, count) }
      return count
    } catch { failed = error }
    var done = 0
    while count > 1 && done < count {
      do throws(ImageError) { try move(image, done, 1) } catch {
        failed = error
        break
      }
      done += 1
    }
    guard done < count else { return count }
    error = failed
    transfer.failure = failed.map { IDEFailure($0, writing: writing) } ?? .unreadable
    return done
  }
}

extension IDECore {
  /// What the worker has to do now, nil where nothing waits.
  mutating func takeWork(_ room: HostRoom?) -> IDEWork? {
    guard let job, !isWorking else { return nil }
    isWorking = true
    isCancelled = false
    let device = state.transfer.device
    return IDEWork(
      job: job, image: slots[device].image, trimmed: slots[device].disk?.trimmed,
      flushes: !state.devices[device].writeCache, room: room,
      transfer: state.transfer, position: state.position, filled: state.filled,
      cursor: state.busMaster.cursor)
  }

  /// Takes over what the worker did.
  mutating func finish(_ work: IDEWork) {
    isWorking = false
    let device = state.transfer.device
    let stopped = isCancelled
    job = nil
    isCancelled = false
    if dropsResult {
      dropsResult = false
      switch waitingReset {
      case .none: break
      case .device: sign(device)
      case .soft: softReset()
      }
      waitingReset = .none
      return
    }
    state.transfer = work.transfer
    state.position = work.position
    state.filled = work.filled
    switch work.job {
    case .dma: finishDMA(work, stopped: stopped)
    case .fill:
      if state.filled == 0 { failTransfer() } else { presentBlock() }
    case .store:
      if state.transfer.failure != nil {
        failTransfer()
      } else if state.transfer.remaining > 0 {
        presentBlock()
      } else {
        endWell(device)
      }
    case .verify, .flush, .trim:
      if state.transfer.failure != nil { failTransfer() } else { endWell(device) }
    }
  }

  private mutating func finishDMA(_ work: IDEWork, stopped: Bool) {
    if !stopped {
      state.busMaster.cursor = work.cursor
      if work.cursor.isUsedUp { state.busMaster.status &= ~BusMasterStatus.active }
    }
    let device = state.transfer.device
    let isDrained = state.transfer.direction != .toHost || state.position >= state.filled
    if state.transfer.failure != nil && isDrained { return failTransfer() }
    let needed = state.transfer.usesImage ? 0 : state.transfer.expected
    let isDone =
      state.transfer.remaining == 0 && isDrained
      && (state.transfer.direction == .toHost || state.position >= needed)
    if !isDone {
      requestDMA(device)
    } else if state.transfer.direction == .fromHost && !state.transfer.usesImage {
      receivedParameters(device)
    } else {
      endWell(device)
    }
  }

  private mutating func endWell(_ device: Int) {
    if state.transfer.isPacket { return completePacket(device) }
    if state.transfer.usesImage { showEnd(device) }
    succeed(device)
  }
}
