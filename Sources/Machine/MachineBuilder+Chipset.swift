import Display
import Glibc
import Input
import KVMEngine
import Storage

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
      pciHole: ramBelow4G...MemoryMap.pciMemory.upperBound,
      memoryBytes: UInt64(configuration.memoryBytes), hasFloppyController: true)
  }

  /// PCI bus 0 with its bridges, the display adapter and the USB controller.
  func addChipset(
    interrupts: ISAInterrupts, legacy: LegacyReplacement, elcr: any PortDevice,
    shadow: ShadowMemory,
    video: VideoAdapter, space: AddressSpace, stock: StockFirmware?, storage: DiskControllers,
    tablet: USBTablet, message: @escaping @Sendable (MessageSignalledInterrupt) -> Void,
    control: MachineControl
  ) throws -> Chipset {
    let shared = SharedInterrupts(sink: interrupts)
    let pci = PCIBus(
      memory: PCIMemory(hole: acpiBoard.pciHole), ports: PCIPorts(),
      interrupts: PCIInterrupts(
        shared: shared, source: InterruptSource.pci, message: message))
    try bus.register(pci.memory, at: pci.memory.hole)
    try bus.register(shadow, at: ShadowMemory.range)
    try ports.register(pci, at: MemoryMap.configurationData, wiring: .native)

    let isaBridge = ISABridge.make(pci.interrupts)
    try pci.attach(HostBridge.make(ramBelow4G: ramBelow4G, shadow: shadow), slot: 0)
    try pci.attach(isaBridge, slot: MemoryMap.isaBridgeSlot)
    let power = PowerManagement(
      clock: clock,
      interrupt: shared.line(MemoryMap.systemControlIRQ, source: InterruptSource.power),
      powerOff: { [unowned control] in control.requestStop(.poweredOff) })
    legacy.whenClockRings { [unowned power] in power.clockRang() }
    let smbus = SMBusHost()
    try ports.register(power.apmPorts, at: MemoryMap.apm)
    let powerFunction = try PowerFunction.make(power, smbus: smbus, on: pci)
    let disks = DiskFunction.make(storage.channels)
    if let disks { try pci.attach(disks, slot: MemoryMap.isaBridgeSlot, number: 1) }
    try pci.attach(powerFunction, slot: MemoryMap.isaBridgeSlot, number: 3)
    let rom = try stock?.videoROM.map { try ExpansionROM($0, space: space, log: log) }
    try pci.attach(
      VideoFunction.make(video, rom: rom), slot: MemoryMap.videoSlot)
    let usb = USBControllerFunction.make(tablet: tablet, memory: space, clock: clock)
    try pci.attach(usb.function, slot: MemoryMap.usbSlot)
    return Chipset(
      pci: pci, isaBridge: isaBridge, powerFunction: powerFunction, disks: disks, power: power,
      elcr: elcr,
      space: space,
      isOurs: stock == nil,
      devices: [pci, power, smbus] + pci.attached.map { $0.function } + [tablet, usb.controller])
  }

  /// What firmware that is not ours reads of the machine, and where it talks.
  func addStockFirmware(
    _ space: AddressSpace, rtc: MC146818, drives: [Drive]
  ) throws -> [any Device] {
    let settings = firmwareConfiguration()
    StockFirmware.writeCMOS(rtc, settings, floppyTypes: DiskBIOS.floppyTypes(drives))
    let device = FirmwareConfigurationDevice(
      processors: configuration.processors,
      files: FirmwareFiles.all(
        acpiBoard, below4G: settings.ramBelow4G, above4G: settings.ramAbove4G,
        bootOrder: FirmwareFiles.bootOrder(drives, settings.bootOrder)),
      memory: space)
    let debug = FirmwareDebugPort(log: debugLog)
    try ports.register(device.selectorPorts, at: MemoryMap.firmwareConfiguration, wiring: .native)
    try ports.register(device.dmaPorts, at: MemoryMap.firmwareConfigurationDMA, wiring: .native)
    try ports.register(debug, at: MemoryMap.firmwareDebug)
    return [device, debug]
  }

  /// The flash chip with the stock firmware's variables, below its ROM, and the file that keeps them.
  func addFlash(
    _ stock: StockFirmware, _ space: AddressSpace
  ) throws -> (flash: ParallelFlash, variables: FirmwareVariables?)? {
    guard let template = stock.variables else { return nil }
    let file = try configuration.firmwareVariables.map {
      try FirmwareVariables(path: $0, template: template, clock: clock, log: log)
    }
    let memory = try MemoryBlock(name: "flash", size: template.count)
    memory.bytes(at: 0, count: template.count)?.copyBytes(from: file?.contents ?? template)
    let end = MemoryMap.firmwareEnd - UInt64(stock.rom.count)
    let flash = ParallelFlash(
      memory: memory, window: space.makeWindow(memory), address: end - UInt64(memory.size),
      keep: { file?.keep($0, $1) }, log: log)
    try bus.register(flash, at: (end - UInt64(memory.size))...(end - 1))
    return (flash, file)
  }

  /// Gets what stock firmware says, where the environment asks for it.
  private var debugLog: @Sendable (String) -> Void {
    guard getenv("PORTHOLE_FIRMWARE_LOG") != nil else { return { _ in } }
    return log
  }
}
