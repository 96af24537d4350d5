import Display
import KVMEngine

/// The chipset's wiring.
extension MachineBuilder {
  /// Who drives an interrupt wire that several share.
  enum InterruptSource {
    static let pci = 0
    static let power = 1
  }

  /// What the ACPI tables tell.
  var acpiBoard: ACPIBoard {
    ACPIBoard(
      processors: configuration.processors,
      pciHole: ramBelow4G...MemoryMap.pciMemory.upperBound)
  }

  /// PCI bus 0 with its bridges and the display adapter.
  func addChipset(
    interrupts: ISAInterrupts, pic: I8259Pair, shadow: ShadowMemory, video: VideoAdapter,
    space: AddressSpace, control: MachineControl
  ) throws -> Chipset {
    let shared = SharedInterrupts(sink: interrupts)
    let pci = PCIBus(
      memory: PCIMemory(hole: acpiBoard.pciHole), ports: PCIPorts(),
      interrupts: PCIInterrupts(shared: shared, source: InterruptSource.pci))
    try bus.register(pci.memory, at: pci.memory.hole)
    try bus.register(shadow, at: ShadowMemory.range)
    try ports.register(pci, at: MemoryMap.configurationData, wiring: .native)

    let isaBridge = ISABridge.make(pci.interrupts)
    try pci.attach(HostBridge.make(ramBelow4G: ramBelow4G, shadow: shadow), slot: 0)
    try pci.attach(isaBridge, slot: 1)
    let power = PowerManagement(
      clock: clock,
      interrupt: shared.line(MemoryMap.systemControlIRQ, source: InterruptSource.power),
      powerOff: { [unowned control] in control.requestStop(.poweredOff) })
    let smbus = SMBusHost()
    try ports.register(power.apmPorts, at: MemoryMap.apm)
    let powerFunction = try PowerFunction.make(power, smbus: smbus, on: pci)
    try pci.attach(powerFunction, slot: 1, number: 3)
    try pci.attach(
      VideoFunction.make(video, edid: MonitorData.block, rom: nil), slot: MemoryMap.videoSlot)
    return Chipset(
      pci: pci, isaBridge: isaBridge, powerFunction: powerFunction, power: power, elcr: pic.elcr,
      space: space,
      devices: [pci, power, smbus] + pci.attached.map { $0.function })
  }
}
