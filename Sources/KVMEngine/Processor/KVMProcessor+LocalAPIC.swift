import CKVM
import Synchronization

/// What a vCPU needs whose local APIC is ours: KVM then knows nothing of sleeping, of start-up
/// messages or of priorities, and takes vectors one at a time (api.rst, KVM_INTERRUPT).
struct LocalInterrupts {
  let chip: LocalAPIC
  /// The guest executed HLT and nothing has ended it.
  var isHalted = false
  /// An application processor that no start-up message has come for.
  var isWaitingForStartup: Bool
  /// ``GuestActivity`` was told that the processor sleeps.
  var isResting = false
  /// A vector was handed to KVM for the entry that comes.
  var hasVector = false
  /// What KVM had in IA32_APIC_BASE when it was last looked at.
  var base: UInt64

  init(_ chip: LocalAPIC) {
    self.chip = chip
    isWaitingForStartup = chip.waitsForStartup
    base = chip.save().base
  }

  mutating func reset() {
    let wasResting = isResting
    self = LocalInterrupts(chip)
    isResting = wasResting
  }
}

extension KVMProcessor {
  /// The local APIC of this vCPU in a VM whose KVM has none; given once before it runs.
  public var localAPIC: LocalAPIC? {
    get { local?.chip }
    set {
      local = newValue.map { LocalInterrupts($0) }
      newValue?.connect { [weak self] in self?.requestExit() }
    }
  }

  /// Delivers what waits, and sleeps where the guest does.
  /// - Returns: whether guest code is to run now.
  func prepareEntry() -> Bool {
    guard let chip = local?.chip else { return true }
    if chip.hasPending { takeEvents(chip) }
    if local?.isWaitingForStartup == true || local?.isHalted == true {
      if local?.isResting == false {
        local?.isResting = true
        guestActivity?.rest()
      }
      ckvm_sleep(shared)
      return false
    }
    if local?.isResting == true {
      local?.isResting = false
      guestActivity?.stir()
    }
    let waits = chip.pendingEvents.contains(.interrupt)
    shared.pointee.request_interrupt_window = requestInterruptWindow || waits ? 1 : 0
    shared.pointee.cr8 = UInt64(chip.taskPriorityClass)
    return true
  }

  private func takeEvents(_ chip: LocalAPIC) {
    if chip.takeInit() {
      // The state after INIT is that after RESET#, but for what RESET# alone does to the FPU.
      reset()
      local?.isWaitingForStartup = chip.waitsForStartup
    }
    if local?.isWaitingForStartup == true {
      guard let page = chip.takeStartup() else { return }
      start(at: page)
    }
    if chip.takeNMI() {
      _ = ckvm_ioctl(descriptor.number, ckvm_request_number(CKVM_NMI), 0)
      local?.isHalted = false
    }
    if isOpen, chip.pendingEvents.contains(.interrupt), let vector = chip.nextInterrupt() {
      injectInterrupt(vector)
    }
  }

  /// Begins at the page of a start-up message (Intel SDM vol. 3, 9.4.4).
  private func start(at page: UInt8) {
    local?.isWaitingForStartup = false
    local?.isHalted = false
    var system = systemRegisters()
    system.cs.selector = UInt16(page) << 8
    system.cs.base = UInt64(page) << 12
    setSystemRegisters(system)
    var registers = registers()
    registers.rip = 0
    setRegisters(registers)
  }

  /// Takes over what the guest did to the registers that KVM shares with a local APIC.
  func finishEntry() {
    guard let chip = local?.chip else { return }
    local?.hasVector = false
    let priority = UInt8(truncatingIfNeeded: shared.pointee.cr8 & 0xF)
    if priority != chip.taskPriorityClass { chip.taskPriorityClass = priority }
    let base = shared.pointee.apic_base
    if base != local?.base {
      local?.base = base
      _ = chip.writeMSR(Self.apicBase, value: base)
    }
  }

  private static let apicBase: UInt32 = 0x1B
}
