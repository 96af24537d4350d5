import KVMEngine

/// The command ring (4.6).
extension XHCI {
  /// Serves what the command ring holds.
  func runCommands(_ state: inout XHCIState) {
    state.isCommandRingRunning = true
    var budget = Self.commandBudget
    while let block = next(&state.commandRing, &budget) {
      serve(block, &state)
    }
    state.isCommandRingRunning = false
  }

  /// CRCR's stop and abort bits. Commands are served at once, so that none is ever under way.
  func stopCommandRing(_ state: inout XHCIState) {
    state.isCommandRingRunning = false
    post(
      XHCIState.Event(
        parameter: state.commandRing.pointer, status: XHCICode.commandRingStopped << 24,
        control: XHCIType.commandCompletion << 10), &state)
  }

  private func serve(_ block: Block, _ state: inout XHCIState) {
    if block.type == XHCIType.enableSlot { return enableSlot(block, &state) }
    if block.type == XHCIType.noOperationCommand {
      return completeCommand(block, XHCICode.success, &state)
    }
    let slot = block.slot
    guard state.slots.indices.contains(slot), slot > 0, state.slots[slot].isEnabled else {
      return completeCommand(block, XHCICode.slotNotEnabled, slot: slot, &state)
    }
    let code: UInt32
    switch block.type {
    case XHCIType.disableSlot:
      for index in 2..<32 { fallSilent(slot, index, state) }
      state.slots[slot] = XHCIState.Slot()
      code = XHCICode.success
    case XHCIType.addressDevice: code = addressDevice(block, slot, &state)
    case XHCIType.configureEndpoint: code = configureEndpoints(block, slot, &state)
    case XHCIType.evaluateContext: code = evaluateContext(block, slot, &state)
    case XHCIType.resetEndpoint:
      code = change(slot, block.endpoint, from: .halted, to: .stopped, &state)
    case XHCIType.stopEndpoint: code = stopEndpoint(block, slot, &state)
    case XHCIType.setDequeue: code = setDequeue(block, slot, &state)
    case XHCIType.resetDevice: code = resetDevice(slot, &state)
    default: code = XHCICode.trbError
    }
    completeCommand(block, code, slot: slot, &state)
  }

  private func enableSlot(_ block: Block, _ state: inout XHCIState) {
    let limit = min(Int(state.configure & 0xFF), XHCIState.slotCount)
    for slot in 0..<limit where !state.slots[slot + 1].isEnabled {
      state.slots[slot + 1] = XHCIState.Slot()
      state.slots[slot + 1].isEnabled = true
      return completeCommand(block, XHCICode.success, slot: slot + 1, &state)
    }
    completeCommand(block, XHCICode.noSlots, &state)
  }

  // MARK: Contexts

  /// Dwords of an input or device context (6.2): contexts are 32 bytes.
  private func dword(_ context: UInt64, _ index: Int, _ word: Int) -> UInt32 {
    memory.load(context &+ UInt64(index * 32 + word * 4), as: UInt32.self)
  }
  private func set(_ context: UInt64, _ index: Int, _ word: Int, _ value: UInt32) {
    memory.store(value, at: context &+ UInt64(index * 32 + word * 4))
  }
  private func setSlotState(_ context: UInt64, _ value: UInt32, address: UInt32) {
    set(context, 0, 3, value << 27 | address)
  }
  private func copy(_ input: UInt64, _ inputIndex: Int, to output: UInt64, _ index: Int) {
    memory.write(
      output &+ UInt64(index * 32),
      bytes: memory.bytes(at: input &+ UInt64(inputIndex * 32), count: 32))
  }

  /// Writes an endpoint's state where the guest sees it.
  func publish(_ slot: Int, _ endpoint: Int, _ state: XHCIState) {
    let entry = state.slots[slot].endpoints[endpoint]
    let context = state.slots[slot].context
    set(
      context, endpoint, 0,
      dword(context, endpoint, 0) & ~7 | UInt32(entry.state.rawValue))
    let pointer = entry.ring.pointer | (entry.ring.cycle ? 1 : 0)
    set(context, endpoint, 2, UInt32(truncatingIfNeeded: pointer))
    set(context, endpoint, 3, UInt32(truncatingIfNeeded: pointer >> 32))
  }

  /// Takes endpoint `index` of the input context over.
  private func adopt(_ input: UInt64, _ index: Int, _ slot: Int, _ state: inout XHCIState) {
    // The input control context comes before the others.
    let type = UInt8(truncatingIfNeeded: dword(input, index + 1, 1) >> 3 & 7)
    let pointer =
      UInt64(dword(input, index + 1, 2)) | UInt64(dword(input, index + 1, 3)) << 32
    state.slots[slot].endpoints[index] = XHCIState.Endpoint(
      state: .running, type: type,
      ring: XHCIState.Ring(pointer: pointer & ~0xF, cycle: pointer & 1 != 0))
    copy(input, index + 1, to: state.slots[slot].context, index)
    publish(slot, index, state)
  }

  /// Address Device (4.6.5): slot and endpoint 0 come from the input context.
  private func addressDevice(
    _ block: Block, _ slot: Int, _ state: inout XHCIState
  ) -> UInt32 {
    let input = block.parameter & ~0xF
    guard memory.load(input &+ 4, as: UInt32.self) & 3 == 3 else { return XHCICode.trbError }
    let port = UInt8(truncatingIfNeeded: dword(input, 1, 1) >> 16)
    let route = dword(input, 1, 0) & 0xF_FFFF
    guard route == 0, port >= 1, Int(port) <= XHCIState.portCount,
      functions[Int(port) - 1] != nil
    else { return XHCICode.parameter }
    let context = memory.load(state.contexts &+ UInt64(slot * 8), as: UInt64.self) & ~0x3F
    state.slots[slot].context = context
    state.slots[slot].port = port
    copy(input, 1, to: context, 0)
    let isDefault = block.control & 1 << 9 != 0
    setSlotState(context, isDefault ? 1 : 2, address: isDefault ? 0 : UInt32(slot))
    adopt(input, 1, slot, &state)
    return XHCICode.success
  }

  private static let controlType: UInt8 = 4
  private static let interruptInType: UInt8 = 7

  /// Configure Endpoint (4.6.6).
  private func configureEndpoints(
    _ block: Block, _ slot: Int, _ state: inout XHCIState
  ) -> UInt32 {
    guard state.slots[slot].port != 0 else { return XHCICode.contextState }
    let context = state.slots[slot].context
    if block.control & 1 << 9 != 0 {
      for index in 2..<32 { drop(index, slot, &state) }
      setSlotState(context, 2, address: UInt32(slot))
      return XHCICode.success
    }
    let input = block.parameter & ~0xF
    let dropped = memory.load(input, as: UInt32.self)
    let added = memory.load(input &+ 4, as: UInt32.self)
    for index in 2..<32 where added & 1 << UInt32(index) != 0 {
      let type = UInt8(truncatingIfNeeded: dword(input, index + 1, 1) >> 3 & 7)
      guard type == Self.interruptInType else { return XHCICode.parameter }
    }
    for index in 2..<32 where dropped & 1 << UInt32(index) != 0 { drop(index, slot, &state) }
    for index in 2..<32 where added & 1 << UInt32(index) != 0 {
      adopt(input, index, slot, &state)
    }
    if added & 1 != 0 {
      set(context, 0, 0, dword(input, 1, 0))
    }
    let isConfigured = state.slots[slot].endpoints[2...].contains { $0.state != .disabled }
    setSlotState(context, isConfigured ? 3 : 2, address: UInt32(slot))
    return XHCICode.success
  }

  private func drop(_ index: Int, _ slot: Int, _ state: inout XHCIState) {
    guard state.slots[slot].endpoints[index].state != .disabled else { return }
    fallSilent(slot, index, state)
    state.slots[slot].endpoints[index] = XHCIState.Endpoint()
    publish(slot, index, state)
  }

  /// Evaluate Context (4.6.7): endpoint 0's largest packet, which only the context keeps.
  private func evaluateContext(
    _ block: Block, _ slot: Int, _ state: inout XHCIState
  ) -> UInt32 {
    guard state.slots[slot].port != 0 else { return XHCICode.contextState }
    let input = block.parameter & ~0xF
    let context = state.slots[slot].context
    if memory.load(input &+ 4, as: UInt32.self) & 2 != 0 {
      let packet = dword(input, 2, 1) & 0xFFFF_0000
      set(context, 1, 1, dword(context, 1, 1) & 0xFFFF | packet)
    }
    return XHCICode.success
  }

  private func change(
    _ slot: Int, _ endpoint: Int, from old: XHCIState.EndpointState,
    to new: XHCIState.EndpointState, _ state: inout XHCIState
  ) -> UInt32 {
    guard state.slots[slot].endpoints[endpoint].state == old else { return XHCICode.contextState }
    state.slots[slot].endpoints[endpoint].state = new
    publish(slot, endpoint, state)
    return XHCICode.success
  }

  /// Stop Endpoint (4.6.9): says where the ring stands.
  private func stopEndpoint(
    _ block: Block, _ slot: Int, _ state: inout XHCIState
  ) -> UInt32 {
    let code = change(slot, block.endpoint, from: .running, to: .stopped, &state)
    guard code == XHCICode.success else { return code }
    fallSilent(slot, block.endpoint, state)
    var place = block
    place.address = state.slots[slot].endpoints[block.endpoint].ring.pointer
    completeTransfer(
      place, XHCICode.stopped, residual: 0, slot: slot, endpoint: block.endpoint, &state)
    return code
  }

  /// Set TR Dequeue Pointer (4.6.10).
  private func setDequeue(_ block: Block, _ slot: Int, _ state: inout XHCIState) -> UInt32 {
    let endpoint = block.endpoint
    let current = state.slots[slot].endpoints[endpoint].state
    guard current == .stopped || current == .error else { return XHCICode.contextState }
    state.slots[slot].endpoints[endpoint].ring = XHCIState.Ring(
      pointer: block.parameter & ~0xF, cycle: block.parameter & 1 != 0)
    state.slots[slot].endpoints[endpoint].state = .stopped
    publish(slot, endpoint, state)
    return XHCICode.success
  }

  /// Reset Device (4.6.11): back to the default state, with endpoint 0 alone.
  private func resetDevice(_ slot: Int, _ state: inout XHCIState) -> UInt32 {
    guard state.slots[slot].port != 0 else { return XHCICode.contextState }
    for index in 2..<32 { drop(index, slot, &state) }
    setSlotState(state.slots[slot].context, 1, address: 0)
    return XHCICode.success
  }
}
