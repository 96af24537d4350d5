import CKVM
import Synchronization

/// KVM's own 8259 pair and I/O APIC (api.rst, KVM_CREATE_IRQCHIP), with the wires that end at them.
/// The guest reaches them in the kernel; the ports here are for firmware outside the guest.
public final class KVMInterruptControllers: InterruptSink {
  private let machine: KVMVirtualMachine
  public let pair: KVM8259Pair
  public let ioapic: KVMIOAPIC

  public init(_ machine: KVMVirtualMachine) {
    self.machine = machine
    pair = KVM8259Pair(machine)
    ioapic = KVMIOAPIC(machine)
  }

  /// Drives wire `number`: an ISA IRQ (0 to 15) or a pin of the I/O APIC (16 to 23).
  public func setLine(_ number: Int, asserted: Bool) {
    guard 0..<IOAPIC.pinCount ~= number else { return }
    _ = ckvm_irq_line(machine.descriptor.number, UInt32(number), asserted)
  }
}

/// One chip of the kernel, read and written whole.
private struct KernelChip: Sendable {
  enum Number: UInt32 {
    case master = 0
    case slave = 1
    case ioapic = 2
  }
  let machine: KVMVirtualMachine
  let number: Number
  /// Bytes of `struct kvm_irqchip`, and where the chip's registers begin in it.
  private static let bytes = 520
  private static let start = 8

  func read() -> [UInt8] {
    var image = blank
    let request = ckvm_request_number(CKVM_GET_IRQCHIP)
    _ = ckvm_ioctl_pointer(machine.descriptor.number, request, &image)
    return Array(image[Self.start...])
  }

  func write(_ registers: [UInt8]) {
    var image = blank
    image.replaceSubrange(Self.start..<Self.start + registers.count, with: registers)
    let request = ckvm_request_number(CKVM_SET_IRQCHIP)
    _ = ckvm_ioctl_pointer(machine.descriptor.number, request, &image)
  }

  private var blank: [UInt8] {
    var image = [UInt8](repeating: 0, count: Self.bytes)
    image[0] = UInt8(truncatingIfNeeded: number.rawValue)
    return image
  }
}

/// The kernel's 8259 pair, saved in the same form as ``I8259Pair``.
public final class KVM8259Pair: Device {
  public let name = "i8259"
  /// The master's two ports, the slave's, and ELCR's.
  public let master: any PortDevice
  public let slave: any PortDevice
  public let elcr: any PortDevice
  private let chips: KernelPair

  init(_ machine: KVMVirtualMachine) {
    let chips = KernelPair(machine)
    self.chips = chips
    master = KernelPICPorts(chips) { state, odd, value in
      guard let value else { return state.master.read(odd: odd) }
      state.master.write(odd: odd, value)
      return 0
    }
    slave = KernelPICPorts(chips) { state, odd, value in
      guard let value else { return state.slave.read(odd: odd) }
      state.slave.write(odd: odd, value)
      return 0
    }
    elcr = KernelPICPorts(chips) { state, odd, value in
      guard let value else { return odd ? state.slave.levelInputs : state.master.levelInputs }
      if odd {
        state.slave.levelInputs = value & I8259Pair.switchableInputs.slave
      } else {
        state.master.levelInputs = value & I8259Pair.switchableInputs.master
      }
      return 0
    }
  }

  public func reset() {
    chips.change { state in
      let lines = (state.master.lines, state.slave.lines)
      state = I8259Pair.SavedState()
      (state.master.lines, state.slave.lines) = lines
    }
  }

  public func save() -> I8259Pair.SavedState { chips.state }

  public func restore(_ state: I8259Pair.SavedState) throws(RestoreError) {
    for chip in [state.master, state.slave] {
      if let problem = chip.problem { throw RestoreError(device: name, problem: problem) }
    }
    chips.change { $0 = state }
  }
}

/// Both chips as values.
private final class KernelPair: Sendable {
  private let master: KernelChip
  private let slave: KernelChip
  private let lock = Mutex(())

  init(_ machine: KVMVirtualMachine) {
    master = KernelChip(machine: machine, number: .master)
    slave = KernelChip(machine: machine, number: .slave)
  }

  var state: I8259Pair.SavedState {
    var state = I8259Pair.SavedState()
    state.master = I8259(kernel: master.read(), cascade: 1 << I8259Pair.cascadeInput)
    state.slave = I8259(kernel: slave.read(), cascade: I8259Pair.cascadeInput)
    return state
  }

  func change<Result: Sendable>(
    _ body: (inout I8259Pair.SavedState) -> Result
  ) -> Result {
    lock.withLock { _ in
      var state = self.state
      let result = body(&state)
      master.write(state.master.kernelRegisters(I8259Pair.switchableInputs.master))
      slave.write(state.slave.kernelRegisters(I8259Pair.switchableInputs.slave))
      return result
    }
  }
}

private final class KernelPICPorts: PortDevice {
  typealias Access = @Sendable (inout I8259Pair.SavedState, Bool, UInt8?) -> UInt8
  private let chips: KernelPair
  private let access: Access

  init(_ chips: KernelPair, _ access: @escaping Access) {
    self.chips = chips
    self.access = access
  }

  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    UInt32(chips.change { access(&$0, offset & 1 != 0, nil) })
  }

  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    _ = chips.change { access(&$0, offset & 1 != 0, UInt8(truncatingIfNeeded: value)) }
  }
}

/// `struct kvm_pic_state`, byte by byte.
extension I8259 {
  init(kernel bytes: [UInt8], cascade: UInt8) {
    self.init()
    guard bytes.count >= 16 else { return }
    lines = bytes[0]
    latched = bytes[1]
    mask = bytes[2]
    inService = bytes[3]
    lowestPriority = bytes[4] &- 1 & 7
    vectorBase = bytes[5] & 0xF8
    readsInService = bytes[6] != 0
    polls = bytes[7] != 0
    specialMask = bytes[8] != 0
    nextICW = bytes[9] == 0 ? 0 : min(bytes[9] + 1, 4)
    autoEOI = bytes[10] != 0
    rotatesOnAutoEOI = bytes[11] != 0
    specialFullyNested = bytes[12] != 0
    wantsICW4 = bytes[13] != 0
    levelInputs = bytes[14] & bytes[15]
    self.cascade = cascade
  }

  func kernelRegisters(_ switchable: UInt8) -> [UInt8] {
    func flag(_ value: Bool) -> UInt8 { value ? 1 : 0 }
    return [
      lines, requests, mask, inService, lowestPriority &+ 1 & 7, vectorBase,
      flag(readsInService), flag(polls), flag(specialMask), nextICW == 0 ? 0 : nextICW - 1,
      flag(autoEOI), flag(rotatesOnAutoEOI), flag(specialFullyNested), flag(wantsICW4),
      levelInputs, switchable,
    ]
  }
}

/// The kernel's I/O APIC, saved in the same form as ``IOAPIC``.
public final class KVMIOAPIC: Device {
  public let name = "ioapic"
  private let chip: KernelChip

  /// Where `struct kvm_ioapic_state` has its fields.
  private enum Field {
    static let base = 0
    static let selected = 8
    static let identifier = 12
    static let lines = 16
    static let entries = 24
  }
  private static let deliveryStatus: UInt64 = 1 << 12
  private static let bytes = 216

  init(_ machine: KVMVirtualMachine) { chip = KernelChip(machine: machine, number: .ioapic) }

  public func reset() {
    var state = IOAPIC.SavedState()
    state.lines = save().lines
    write(state)
  }

  public func save() -> IOAPIC.SavedState {
    let image = chip.read()
    func number(_ at: Int, _ count: Int) -> UInt64 {
      (0..<count).reduce(0) { $0 | UInt64(image[at + $1]) << UInt64($1 * 8) }
    }
    var state = IOAPIC.SavedState()
    state.selected = image[Field.selected]
    state.identifier = image[Field.identifier] & 0xF
    state.lines = UInt32(truncatingIfNeeded: number(Field.lines, 4)) & 0xFF_FFFF
    for pin in 0..<IOAPIC.pinCount {
      state.entries[pin] = RedirectionEntry(
        rawValue: number(Field.entries + pin * 8, 8) & ~Self.deliveryStatus)
    }
    return state
  }

  public func restore(_ state: IOAPIC.SavedState) throws(RestoreError) {
    guard state.entries.count == IOAPIC.pinCount, state.identifier < 16,
      state.lines < 1 << UInt32(IOAPIC.pinCount), state.entries.allSatisfy(\.isPossible)
    else { throw RestoreError(device: name, problem: "a register has bits that it lacks") }
    write(state)
  }

  private func write(_ state: IOAPIC.SavedState) {
    var image = [UInt8](repeating: 0, count: Self.bytes)
    func put(_ value: UInt64, _ at: Int, _ count: Int) {
      for index in 0..<count {
        image[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8))
      }
    }
    put(Self.address, Field.base, 8)
    put(UInt64(state.selected), Field.selected, 4)
    put(UInt64(state.identifier), Field.identifier, 4)
    put(UInt64(state.lines), Field.lines, 4)
    for pin in 0..<IOAPIC.pinCount {
      put(state.entries[pin].rawValue, Field.entries + pin * 8, 8)
    }
    chip.write(image)
  }

  private static let address: UInt64 = 0xFEC0_0000
}
