import KVMEngine

/// Rings in guest memory: what the controller reads from them, and the events that it writes.
extension XHCI {
  /// One transfer request block (4.11.1), and where it was.
  struct Block {
    var parameter: UInt64
    var status: UInt32
    var control: UInt32
    var address: UInt64

    var type: UInt32 { control >> 10 & 0x3F }
    var interrupts: Bool { control & 1 << 5 != 0 }
    var interruptsOnShort: Bool { control & 1 << 2 != 0 }
    var isChained: Bool { control & 1 << 4 != 0 }
    /// Bytes of its buffer.
    var length: Int { Int(status & 0x1FFFF) }
    var slot: Int { Int(control >> 24) }
    var endpoint: Int { Int(control >> 16 & 0x1F) }
  }

  /// Blocks that one doorbell, or one word of a device, has read at most, links counted: several
  /// times what a driver's ring holds. What is beyond waits for the next doorbell, so that a ring
  /// that runs in circles does not keep the controller.
  static let transferBudget = 1024
  static let commandBudget = 256

  /// Takes the next block that the guest has given to the controller; nil for none, and where
  /// `budget` is used up.
  func next(_ ring: inout XHCIState.Ring, _ budget: inout Int) -> Block? {
    while budget > 0 {
      budget -= 1
      let block = load(ring.pointer)
      guard (block.control & 1 != 0) == ring.cycle else { return nil }
      guard block.type == XHCIType.link else {
        ring.pointer &+= 16
        return block
      }
      ring.pointer = block.parameter & ~0xF
      if block.control & 2 != 0 { ring.cycle.toggle() }
    }
    return nil
  }

  private func load(_ address: UInt64) -> Block {
    let low = memory.load(address, as: UInt64.self)
    let high = memory.load(address &+ 8, as: UInt64.self)
    return Block(
      parameter: low, status: UInt32(truncatingIfNeeded: high),
      control: UInt32(truncatingIfNeeded: high >> 32), address: address)
  }

  // MARK: Events

  func completeCommand(
    _ block: Block, _ code: UInt32, slot: Int = 0, _ state: inout XHCIState
  ) {
    post(
      XHCIState.Event(
        parameter: block.address, status: code << 24,
        control: XHCIType.commandCompletion << 10 | UInt32(slot) << 24), &state)
  }

  /// A transfer event (6.4.2.1): `residual` bytes of the block were not transferred.
  func completeTransfer(
    _ block: Block, _ code: UInt32, residual: Int, slot: Int, endpoint: Int,
    _ state: inout XHCIState
  ) {
    post(
      XHCIState.Event(
        parameter: block.address, status: code << 24 | UInt32(residual) & 0xFF_FFFF,
        control: XHCIType.transferEvent << 10 | UInt32(endpoint) << 16 | UInt32(slot) << 24),
      &state)
  }

  /// The event that an event data block asks for: its parameter, and the bytes moved.
  func tellData(
    _ block: Block, _ code: UInt32, moved: Int, slot: Int, endpoint: Int,
    _ state: inout XHCIState
  ) {
    let isEventData: UInt32 = 1 << 2
    post(
      XHCIState.Event(
        parameter: block.parameter, status: code << 24 | UInt32(moved) & 0xFF_FFFF,
        control: XHCIType.transferEvent << 10 | UInt32(endpoint) << 16 | UInt32(slot) << 24
          | isEventData), &state)
  }

  /// Writes an event to the guest's ring, or keeps it until there is room.
  func post(_ event: XHCIState.Event, _ state: inout XHCIState) {
    guard state.waiting.count < XHCIState.waitingLimit else { return }
    state.waiting.append(event)
    flushEvents(&state)
  }

  /// Writes what waits while the ring has room, and interrupts (4.9.4, 4.17).
  func flushEvents(_ state: inout XHCIState) {
    while let event = state.waiting.first, let place = eventPlace(&state) {
      state.waiting.removeFirst()
      memory.store(event.parameter, at: place)
      memory.store(event.status, at: place &+ 8)
      // The cycle bit last: it hands the event over.
      memory.store(event.control | (state.producerCycle ? 1 : 0), at: place &+ 12)
      state.entry &+= 1
      wrapProducer(&state)
    }
    guard state.dequeue & XHCIInterrupter.busy == 0, state.segmentCount > 0,
      let next = currentEntry(state), next != state.dequeue & ~0xF
    else { return }
    state.dequeue |= XHCIInterrupter.busy
    state.management |= XHCIInterrupter.pending
    state.status |= XHCIStatus.event
  }

  /// A segment of the event ring: base and number of entries (6.5).
  private func segment(_ index: UInt32, _ state: XHCIState) -> (base: UInt64, size: UInt32)? {
    guard state.segmentCount > 0, index < min(state.segmentCount, 16) else { return nil }
    let place = state.segmentTable &+ UInt64(index) &* 16
    let base = memory.load(place, as: UInt64.self) & ~0x3F
    let size = memory.load(place &+ 8, as: UInt32.self) & 0xFFFF
    return size >= 16 ? (base, size) : nil
  }

  private func currentEntry(_ state: XHCIState) -> UInt64? {
    segment(state.segment, state).map { $0.base &+ UInt64(state.entry) &* 16 }
  }

  /// Where the next event goes; nil while the ring is full or is none.
  private func eventPlace(_ state: inout XHCIState) -> UInt64? {
    guard let place = currentEntry(state) else { return nil }
    var after = state
    after.entry &+= 1
    wrapProducer(&after)
    guard let next = currentEntry(after), next != state.dequeue & ~0xF else { return nil }
    return place
  }

  private func wrapProducer(_ state: inout XHCIState) {
    guard let current = segment(state.segment, state), state.entry >= current.size else { return }
    state.entry = 0
    state.segment &+= 1
    if state.segment >= min(state.segmentCount, 16) {
      state.segment = 0
      state.producerCycle.toggle()
    }
  }

  // MARK: Ports

  func writePort(_ index: Int, _ value: UInt32, _ state: inout XHCIState) {
    var port = state.ports[index]
    port &= ~(value & XHCIPort.changes)
    if value & XHCIPort.enabled != 0 { port &= ~XHCIPort.enabled }
    port = port & ~XHCIPort.wakes | value & XHCIPort.wakes
    if value & XHCIPort.linkWrite != 0 {
      port = port & ~XHCIPort.linkMask | value & XHCIPort.linkMask
    }
    state.ports[index] = port
    guard value & XHCIPort.reset != 0, let function = functions[index] else { return }
    function.busReset()
    state.ports[index] =
      port & ~XHCIPort.linkMask | XHCIPort.enabled | XHCIPort.resetChange
    reportPort(index, &state)
  }

  func reportPort(_ index: Int, _ state: inout XHCIState) {
    state.status |= XHCIStatus.portChange
    guard state.isRunning else { return }
    post(
      XHCIState.Event(
        parameter: UInt64(index + 1) << 24, status: XHCICode.success << 24,
        control: XHCIType.portStatusChange << 10), &state)
  }
}
