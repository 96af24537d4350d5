import KVMEngine

/// Transfer rings (4.10, 4.11).
extension XHCI {
  /// Bytes of a data stage at most: no request of a device here has more.
  private static let dataLimit = 4096

  /// A doorbell of `slot` for the endpoint of context index `endpoint`.
  func ring(_ slot: Int, _ endpoint: Int, _ state: inout XHCIState) {
    guard state.slots.indices.contains(slot), state.slots[slot].isEnabled, endpoint > 0,
      state.slots[slot].endpoints.indices.contains(endpoint)
    else { return }
    if state.slots[slot].endpoints[endpoint].state == .stopped {
      state.slots[slot].endpoints[endpoint].state = .running
    }
    var budget = Self.transferBudget
    serveEndpoint(slot, endpoint, &state, &budget)
  }

  /// The device of `port` has something for an interrupt endpoint.
  func deviceIsReady(port: UInt8) {
    guarded.withLock { state in
      guard state.isRunning else { return }
      var budget = Self.transferBudget
      for slot in state.slots.indices
      where state.slots[slot].isEnabled && state.slots[slot].port == port {
        for endpoint in 2..<32 { serveEndpoint(slot, endpoint, &state, &budget) }
      }
      drive(&state)
    }
  }

  /// Tells the device that nobody asks its interrupt endpoint any more.
  func fallSilent(_ slot: Int, _ endpoint: Int, _ state: XHCIState) {
    guard endpoint > 1, endpoint & 1 != 0, state.slots[slot].endpoints[endpoint].state != .disabled
    else { return }
    function(slot, state)?.interruptStopped(endpoint >> 1)
  }

  private func serveEndpoint(
    _ slot: Int, _ endpoint: Int, _ state: inout XHCIState, _ budget: inout Int
  ) {
    guard state.slots[slot].endpoints[endpoint].state == .running,
      let function = function(slot, state)
    else { return }
    if endpoint == 1 {
      serveControl(function, slot, &state, &budget)
    } else if endpoint & 1 != 0 {
      serveInterrupt(function, slot, endpoint, &state, &budget)
    }
  }

  private func function(_ slot: Int, _ state: XHCIState) -> (any USBFunction)? {
    let port = Int(state.slots[slot].port)
    guard port > 0, functions.indices.contains(port - 1),
      state.ports[port - 1] & XHCIPort.enabled != 0
    else { return nil }
    return functions[port - 1]
  }

  // MARK: Control transfers

  /// A control transfer as its blocks say (4.11.2.2): setup, data, and the status stage with what is
  /// chained to it.
  private struct Control {
    var setup: USBSetup
    var data: [Block] = []
    var status: [Block] = []
  }

  private func serveControl(
    _ function: any USBFunction, _ slot: Int, _ state: inout XHCIState, _ budget: inout Int
  ) {
    while true {
      // The ring moves on by whole transfers only, so that one half written by the guest waits.
      var ring = state.slots[slot].endpoints[1].ring
      guard let control = takeControl(&ring, &budget) else { return }
      state.slots[slot].endpoints[1].ring = ring
      guard perform(control, function, slot, &state) else { return }
    }
  }

  /// The transfer at the ring's start; nil where its end is not there yet.
  private func takeControl(_ ring: inout XHCIState.Ring, _ budget: inout Int) -> Control? {
    var control = Control(setup: USBSetup(0))
    while let block = next(&ring, &budget) {
      if block.type == XHCIType.setup {
        control = Control(setup: USBSetup(block.parameter))
      } else if block.type == XHCIType.status || !control.status.isEmpty {
        control.status.append(block)
        if !block.isChained { return control }
      } else {
        control.data.append(block)
      }
    }
    return nil
  }

  /// Does a control transfer. False where the endpoint halts.
  private func perform(
    _ control: Control, _ function: any USBFunction, _ slot: Int, _ state: inout XHCIState
  ) -> Bool {
    var sent: [UInt8] = []
    let stage = control.data.filter { $0.type != XHCIType.eventData }
    if !control.setup.isIn {
      for block in stage where sent.count + block.length <= Self.dataLimit {
        sent += payload(block)
      }
    }
    guard case .data(let answer) = function.control(control.setup, data: sent) else {
      state.slots[slot].endpoints[1].state = .halted
      publish(slot, 1, state)
      if let place = stage.first ?? control.status.first {
        let residual = place.type == XHCIType.status ? 0 : place.length
        completeTransfer(
          place, XHCICode.stall, residual: residual, slot: slot, endpoint: 1, &state)
      }
      return false
    }
    let data = control.setup.isIn ? Array(answer.prefix(Int(control.setup.length))) : nil
    transfer(data, by: control.data, slot: slot, endpoint: 1, &state)
    transfer(nil, by: control.status, slot: slot, endpoint: 1, &state)
    return true
  }

  /// What the guest sends: the buffer, or the block itself where it holds the data (IDT).
  private func payload(_ block: Block) -> [UInt8] {
    if block.control & 1 << 6 != 0 {
      return withUnsafeBytes(of: block.parameter.littleEndian) {
        Array($0.prefix(min(block.length, 8)))
      }
    }
    return memory.bytes(at: block.parameter, count: block.length)
  }

  /// Writes `data` to the buffers of `blocks`, nil for blocks that brought data, and says what came
  /// short to whom it is to be said: by the block, or by an event data block behind it (4.11.5.2).
  private func transfer(
    _ data: [UInt8]?, by blocks: [Block], slot: Int, endpoint: Int, _ state: inout XHCIState
  ) {
    var rest = data?[...]
    var moved = 0
    var isShort = false
    for block in blocks {
      if block.type == XHCIType.eventData {
        guard block.interrupts else { continue }
        let code = isShort ? XHCICode.shortPacket : XHCICode.success
        tellData(block, code, moved: moved, slot: slot, endpoint: endpoint, &state)
        moved = 0
        continue
      }
      var count = block.type == XHCIType.status ? 0 : block.length
      let wanted = count
      if let left = rest {
        let part = left.prefix(count)
        memory.write(block.parameter, bytes: Array(part))
        rest = left.dropFirst(part.count)
        count = part.count
      }
      moved += count
      isShort = isShort || count < wanted
      guard block.interrupts || count < wanted && block.interruptsOnShort else { continue }
      completeTransfer(
        block, count < wanted ? XHCICode.shortPacket : XHCICode.success,
        residual: wanted - count, slot: slot, endpoint: endpoint, &state)
    }
  }

  // MARK: Interrupt transfers

  private func serveInterrupt(
    _ function: any USBFunction, _ slot: Int, _ endpoint: Int, _ state: inout XHCIState,
    _ budget: inout Int
  ) {
    while true {
      // Looked at before the device is asked, so that nothing is taken that has no place to go.
      var ring = state.slots[slot].endpoints[endpoint].ring
      var blocks: [Block] = []
      while blocks.count < 16, let block = next(&ring, &budget) {
        blocks.append(block)
        if !block.isChained { break }
      }
      guard let last = blocks.last, !last.isChained || blocks.count == 16 else { return }
      guard last.type != XHCIType.noOperation else {
        state.slots[slot].endpoints[endpoint].ring = ring
        continue
      }
      guard let data = function.interruptIn(endpoint >> 1) else { return }
      state.slots[slot].endpoints[endpoint].ring = ring
      transfer(data, by: blocks, slot: slot, endpoint: endpoint, &state)
    }
  }
}
