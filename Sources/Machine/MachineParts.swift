import Display
import Input
import Interpreter
import KVMEngine
import Storage
import Synchronization

/// Everything that ``MachineBuilder`` made, for the machine that runs it.
struct MachineParts: Sendable {
  let clock: MachineClock
  let ports: PortBus
  let space: AddressSpace
  /// Nil where the interpreter alone runs the guest.
  let hypervisor: KVMVirtualMachine?
  /// What hybrid processors share; nil under the other engines.
  let hybrid: HybridMachine?
  let control: MachineControl
  /// Whether the guest runs code.
  let activity: GuestActivity
  let memory: MachineMemory
  let interrupts: InterruptControllers
  /// Between the I/O APIC and the local APICs of processors in software; nobody is on it where KVM
  /// has them.
  let apicBus: APICBus
  let rtc: MC146818
  /// Every device, in the order in which they are reset, saved and restored.
  let devices: [any Device]
  let video: VideoAdapter
  let videoMemory: MemoryBlock
  let serial: SerialBackend
  let keyboard: I8042
  let input: InputHub
  let storage: DiskControllers
  /// Where writes wait that the host has no room for.
  let room: HostRoom
  let disk: DiskBIOS
  let chipset: Chipset
  let firmware: Firmware
  /// What stock firmware keeps in a file.
  let variables: FirmwareVariables?
  /// What processors the guest sees.
  let model: CPUModel
}

extension MachineParts {
  /// Processor `index` of `count`.
  func makeProcessor(_ index: Int, of count: Int) throws(HostError) -> any Processor {
    guard let hypervisor else {
      let processor = InterpretedProcessor(index: index, ports: ports, memory: space)
      return wire(processor, index, of: count)
    }
    if let hybrid {
      let processor = try HybridProcessor(hybrid, index: index, ports: ports, memory: space)
      wire(processor.interpreter, index, of: count)
      return processor
    }
    let processor = try KVMProcessor(
      hypervisor, index: index, processors: count, model: model, ports: ports, memory: space)
    guard hypervisor.localAPICs == .none else { return processor }
    processor.localAPIC = LocalAPIC(
      identifier: UInt32(index), isBootstrap: index == 0, clock: clock,
      timestampCounter: .init(
        frequency: GuestTimestampCounter.frequency, read: { HostTimestamp.now() }),
      bus: apicBus)
    processor.guestActivity = activity
    return processor
  }

  /// Gives a processor in software its place and its local APIC.
  @discardableResult
  private func wire(
    _ processor: InterpretedProcessor, _ index: Int, of count: Int
  ) -> InterpretedProcessor {
    processor.cpuid = { [model] leaf, subleaf in
      var result = GuestTopology(index: index, count: count).applied(
        to: HostCPUID.result(leaf, subleaf), leaf: leaf, subleaf: subleaf)
      model.apply(
        leaf: leaf, subleaf: subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx)
      return result
    }
    processor.hasSiblings = count > 1
    processor.guestActivity = activity
    processor.localAPIC = LocalAPIC(
      identifier: UInt32(index), isBootstrap: index == 0, clock: clock,
      timestampCounter: .init(processor.timestampCounter), bus: apicBus,
      physicalAddressBits: InterpretedProcessor.physicalAddressBits)
    return processor
  }
}

extension I8259Pair: ExternalInterruptSource {}

/// RAM, and the A20 gate in front of it: while the gate is shut, the 64 KiB above 1 MiB are those
/// from 0 on, as on a PC whose twenty-first address line is held low. Higher odd megabytes, which a
/// real gate folds as well, stay where they are: nothing uses them in real mode.
final class MachineMemory: Sendable {
  let ram: MemoryBlock
  private let gate: MemoryWindow
  private let log: @Sendable (String) -> Void
  private let open = Atomic(true)

  init(ram: MemoryBlock, gate: MemoryWindow, log: @escaping @Sendable (String) -> Void) {
    self.ram = ram
    self.gate = gate
    self.log = log
    setGate(open: true)
  }

  /// Whether the gate is open.
  var isGateOpen: Bool { open.load(ordering: .relaxed) }

  /// Opens or shuts the gate. Any thread.
  func setGate(open: Bool) {
    self.open.store(open, ordering: .relaxed)
    do {
      try gate.map(
        at: MemoryMap.highMemoryArea, offset: open ? Int(MemoryMap.highMemoryArea) : 0,
        size: MemoryMap.highMemoryAreaBytes)
    } catch {
      log("the A20 gate does not move: \(error)")
    }
  }
}

/// What the serial cable's far end calls before the UART exists.
final class SerialLink: Sendable {
  private let uart = Mutex<UART16550?>(nil)

  func attach(_ uart: UART16550) { self.uart.withLock { $0 = uart } }

  func receive(_ bytes: [UInt8]) -> Int {
    guard let uart = self.uart.withLock({ $0 }) else { return bytes.count }
    return uart.receive(bytes)
  }
}

/// A part of a device's ports, registered apart from the others.
final class OffsetPorts: PortDevice {
  private let device: any PortDevice
  private let first: UInt16

  /// - Parameter first: the offset in `device` that this part's port 0 is.
  init(_ device: any PortDevice, by first: UInt16) {
    self.device = device
    self.first = first
  }

  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    device.readPort(offset &+ first, width: width)
  }

  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    device.writePort(offset &+ first, width: width, value: value)
  }
}
