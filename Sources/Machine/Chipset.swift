import Display
import KVMEngine

/// The board's chips that tie the others together: PCI with its bridges, and what firmware sets up
/// in them.
struct Chipset: Sendable {
  let pci: PCIBus
  let isaBridge: PCIFunction
  let powerFunction: PCIFunction
  /// The IDE controller.
  let disks: PCIFunction?
  let power: PowerManagement
  /// Everything of it that is reset, saved and restored, in that order.
  let devices: [any Device]
  private let elcr: any PortDevice
  private let space: AddressSpace
  /// Whether our firmware starts the machine; other firmware sets the chipset up by itself.
  private let isOurs: Bool

  init(
    pci: PCIBus, isaBridge: PCIFunction, powerFunction: PCIFunction, disks: PCIFunction?,
    power: PowerManagement,
    elcr: any PortDevice, space: AddressSpace, isOurs: Bool, devices: [any Device]
  ) {
    self.pci = pci
    self.isaBridge = isaBridge
    self.powerFunction = powerFunction
    self.disks = disks
    self.power = power
    self.elcr = elcr
    self.space = space
    self.isOurs = isOurs
    self.devices = devices
  }

  /// What the power-on self test of our firmware does with the chipset: addresses and interrupts for
  /// every function, level-triggered inputs for the interrupts that PCI has, and ACPI's control
  /// structure in memory.
  func configure() {
    guard isOurs else { return }
    space.write(MemoryMap.acpiControl, bytes: ACPITables.facsBytes)
    PCIAssignment.assign(pci)
    PowerFunction.configure(powerFunction)
    if let disks { DiskFunction.configure(disks) }
    for (wire, irq) in PCIAssignment.interrupts.enumerated() {
      isaBridge.write(ISABridge.routes + wire, width: .byte, value: UInt32(irq))
      let port = UInt16(irq >> 3)
      let levels = elcr.readPort(port, width: .byte)
      elcr.writePort(port, width: .byte, value: levels | 1 << UInt32(irq & 7))
    }
  }
}
