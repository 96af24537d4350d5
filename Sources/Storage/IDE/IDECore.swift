import KVMEngine

/// An IDE channel without its lock and its wires: registers in, registers and work for the disk out.
///
/// Whoever holds it drives the interrupt from ``wantsInterrupt`` and ``needsEdge`` after each call,
/// and has the worker do ``job``.
struct IDECore {
  let slots: Pair<IDESlot>
  let buffer = IDEBuffer()
  var state = IDEState()
  /// What waits for the worker, or is with it.
  var job: IDEJob?
  /// The worker has taken ``job``.
  var isWorking = false
  /// What the worker does is of no interest any more.
  var isCancelled = false
  /// Nothing of what the worker brings back is wanted.
  var dropsResult = false
  /// A reset came while the worker was at it; its return ends the reset.
  var waitingReset = WaitingReset.none
  /// INTRQ was raised anew since the wire was driven.
  var needsEdge = false
  /// How often each drive's medium had changed when the host was last told.
  var changesSeen = Pair<UInt64>(first: 0, second: 0)

  enum WaitingReset {
    case none
    /// DEVICE RESET to the device whose command it was.
    case device
    case soft
  }

  init(_ slots: Pair<IDESlot>) {
    self.slots = slots
    hardReset()
  }

  var isEmpty: Bool { slots.first.isEmpty && slots.second.isEmpty }

  /// INTRQ of the selected device, as far as the host lets it through.
  var wantsInterrupt: Bool {
    state.control & ATAControl.noInterrupt == 0 && state.devices[state.selected].interrupt
  }

  // MARK: Registers

  /// Register `offset`, 1 to 7, of the command block.
  mutating func read(_ offset: UInt16) -> UInt8 {
    let selected = state.selected
    guard !slots[selected].isEmpty else {
      // Device 0 answers for a device 1 that is not there, with zero as its status.
      return offset == 7 ? 0 : state.devices[0].file.read(offset, highOrder: state.highOrder)
    }
    guard offset == 7 else {
      return state.devices[selected].file.read(offset, highOrder: state.highOrder)
    }
    state.devices[selected].interrupt = false
    return status
  }

  /// The status register without taking the interrupt back, as the alternate status register shows.
  var status: UInt8 {
    guard !slots[state.selected].isEmpty else { return 0 }
    let status = state.devices[state.selected].file.status
    guard isBusy(state.selected) else { return status }
    return ATAStatus.busy | status & ~(ATAStatus.dataRequest | ATAStatus.error)
  }

  func isBusy(_ device: Int) -> Bool {
    state.isResetting || waitingReset != .none || (job != nil && state.transfer.device == device)
  }

  mutating func write(_ offset: UInt16, _ value: UInt8) {
    state.control &= ~ATAControl.highOrder
    guard !state.isResetting, waitingReset == .none else { return }
    if offset == 7 { return command(value) }
    guard offset == 6 || job == nil else { return }
    state.devices.first.file.write(offset, value)
    state.devices.second.file.write(offset, value)
    if offset == 6 { state.selected = value & ATADevice.second == 0 ? 0 : 1 }
  }

  mutating func writeControl(_ value: UInt8) {
    let old = state.control
    state.control = value & (ATAControl.noInterrupt | ATAControl.softReset | ATAControl.highOrder)
    guard (old ^ value) & ATAControl.softReset != 0 else { return }
    if state.isResetting {
      state.devices.first.interrupt = false
      state.devices.second.interrupt = false
      abandon()
    } else if isWorking {
      waitingReset = .soft
    } else {
      softReset()
    }
  }

  // MARK: Resets

  /// Power-on or RESET-: everything but what is in the drives.
  mutating func hardReset() {
    abandon()
    state = IDEState()
    changesSeen = Pair(
      first: slots.first.disc?.changeCount ?? 0, second: slots.second.disc?.changeCount ?? 0)
    for index in 0...1 {
      state.devices[index].disc.attention = slots[index].isPacketDevice ? .reset : .none
    }
    sign()
  }

  /// What SRST leaves (ATA/ATAPI-6, 9.2).
  mutating func softReset() {
    for index in 0...1 where !state.devices[index].keepsFeatures {
      let old = state.devices[index]
      state.devices[index] = IDEDeviceState()
      state.devices[index].heads = old.heads
      state.devices[index].sectors = old.sectors
      state.devices[index].transferMode = old.transferMode
      state.devices[index].disc = old.disc
    }
    sign()
  }

  /// Both devices show who they are, and device 0 is selected.
  mutating func sign() {
    state.selected = 0
    sign(0)
    sign(1)
  }

  mutating func sign(_ device: Int) {
    let packet = slots[device].isPacketDevice
    state.devices[device].interrupt = false
    state.devices[device].power = 0xFF
    state.devices[device].file.device = state.selected == 0 ? 0 : ATADevice.second
    state.devices[device].file.setSignature(packet: packet)
    state.devices[device].file.error = ATAError.passed
    state.devices[device].file.status = packet ? 0 : ATAStatus.ready | ATAStatus.seekComplete
  }

  /// Ends whatever is under way without a word; what the worker has is dropped when it comes back.
  mutating func abandon() {
    if isWorking {
      isCancelled = true
      dropsResult = true
    } else {
      job = nil
    }
    let device = state.transfer.device
    state.transfer = IDETransfer()
    state.transfer.device = device
    (state.position, state.blockEnd, state.filled) = (0, 0, 0)
  }

  // MARK: Ends

  /// The command of `device` is done.
  mutating func succeed(_ device: Int) {
    finish(device, status: ATAStatus.ready | ATAStatus.seekComplete, error: 0)
  }

  /// The command of `device` failed.
  /// - Parameter error: bits of the error register.
  mutating func fail(_ device: Int, _ error: UInt8) {
    finish(
      device, status: ATAStatus.ready | ATAStatus.seekComplete | ATAStatus.error, error: error)
  }

  mutating func finish(_ device: Int, status: UInt8, error: UInt8) {
    state.transfer.direction = .none
    (state.position, state.blockEnd, state.filled) = (0, 0, 0)
    state.devices[device].file.status = status
    state.devices[device].file.error = error
    interrupt(device)
  }

  mutating func interrupt(_ device: Int) {
    state.devices[device].interrupt = true
    if device == state.selected { needsEdge = true }
  }
}
