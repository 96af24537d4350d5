import Display
import Glibc
import Input
import Interpreter
import KVMEngine
import Storage

/// The one place where the PC is wired: which device sits where, and whose wire goes to whom.
///
/// Devices know nothing of each other; what they need to tell the machine they tell through the
/// closures that are given to them here.
struct MachineBuilder {
  let configuration: MachineConfiguration
  let log: @Sendable (String) -> Void

  let clock = MachineClock()
  let ports = PortBus()
  let bus = MemoryBus()

  init(_ configuration: MachineConfiguration, log: @escaping @Sendable (String) -> Void) {
    self.configuration = configuration
    self.log = log
  }

  /// Builds everything; nothing runs yet.
  /// - Throws: ``MachineError``, `HostError` or `ImageError`: a sentence for the user each.
  func build() throws -> MachineParts {
    try validate()
    let drives = try openDrives()
    let hypervisor = try makeHypervisor()
    let space = AddressSpace(bus: bus, slots: hypervisor ?? UnmappedSlots())
    let control = MachineControl(gate: RunGate(processors: configuration.processors))

    let stock = try StockFirmware(configuration.firmware)
    let (memory, shadow) = try mapMemory(space, rom: stock?.rom)
    let messages = APICBus()
    let chips = makeInterrupts(hypervisor, messages, control)
    let interrupts = chips.wires
    try ports.register(chips.master, at: MemoryMap.pic1)
    try ports.register(chips.slave, at: MemoryMap.pic2)
    try ports.register(chips.elcr, at: MemoryMap.elcr)
    if let window = chips.window { try bus.register(window, at: MemoryMap.ioapic) }

    var devices = chips.devices
    let legacy = LegacyReplacement(
      timer: interrupts.line(MemoryMap.timerIRQ), clock: interrupts.line(MemoryMap.rtcIRQ))
    let rtc = MC146818(
      clock: clock, irq8: legacy.clock, wallTime: { Int64(time(nil)) })
    try ports.register(rtc, at: MemoryMap.rtc)
    devices.append(rtc)
    devices += try addTimers(interrupts, legacy)
    let serial = try addSerial(interrupts)
    devices.append(serial.uart)
    let keyboard = try addKeyboard(interrupts, memory: memory, control: control)
    devices.append(keyboard)
    let (video, videoMemory) = try addVideo(space)
    devices.append(video)
    let room = HostRoom()
    let storage = DiskControllers(
      drives, space: space, clock: clock, interrupts: interrupts, room: room, log: log)
    try storage.register(on: ports)
    devices += storage.devices
    let tablet = USBTablet()
    let chipset = try addChipset(
      interrupts: interrupts, legacy: legacy, elcr: chips.elcr, shadow: shadow, video: video,
      space: space,
      stock: stock, storage: storage, tablet: tablet,
      message: messageSender(hypervisor, messages), control: control)
    devices += try addControlPorts(memory: memory, control: control, pci: chipset.pci)
    let disk = DiskBIOS(drives: drives, memory: space, room: room, log: log)
    devices.append(disk)
    devices += chipset.devices
    if stock != nil { devices += try addStockFirmware(space, rtc: rtc, drives: drives) }
    let flash = try stock.flatMap { try addFlash($0, space) }
    if let flash { devices.append(flash.flash) }
    try ports.registerRest(chipset.pci.ports, in: MemoryMap.pciPorts)
    let settings = firmwareConfiguration()
    let direct = try configuration.directBoot.map { files in
      try DirectBoot(
        files, machine: settings, isRestored: configuration.restore != nil,
        show: { [video] in BootScreen.show($0, on: video) }
      ) { [unowned control] sentence in
        control.requestStop(.failed(sentence))
      }
    }
    let firmware = Firmware(
      configuration: settings, space: space, ports: ports, clock: clock,
      video: VideoBIOS(adapter: video, space: space), disk: disk, direct: direct)
    return MachineParts(
      clock: clock, ports: ports, space: space, hypervisor: hypervisor,
      hybrid: try configuration.engine == .hybrid ? makeHybrid(hypervisor) : nil, control: control,
      activity: GuestActivity(processors: configuration.processors),
      memory: memory, interrupts: chips, apicBus: messages, rtc: rtc,
      devices: devices + firmware.devices,
      video: video,
      videoMemory: videoMemory, serial: serial.backend,
      keyboard: keyboard, input: InputHub(keyboard, tablet: tablet, layout: configuration.keyboard),
      storage: storage, room: room,
      disk: disk, chipset: chipset,
      firmware: firmware, variables: flash?.variables, model: configuration.cpu)
  }

  /// KVM's part of the machine; nil where it has none.
  private func makeHypervisor() throws(HostError) -> KVMVirtualMachine? {
    switch configuration.engine {
    case .kvm:
      try KVMVirtualMachine(
        KVMSystem(),
        localAPICs: configuration.irqchip == .user
          ? .none : configuration.irqchip == .kernel ? .kernelWithAll : .kernel)
    case .hybrid: try KVMVirtualMachine(KVMSystem(), localAPICs: .none)
    case .software: nil
    }
  }

  /// What hybrid processors share.
  private func makeHybrid(_ hypervisor: KVMVirtualMachine?) throws(HostError) -> HybridMachine? {
    guard let hypervisor else { return nil }
    let bytes = UInt64(configuration.memoryBytes)
    let high = bytes > MemoryMap.lowMemoryLimit ? bytes - MemoryMap.lowMemoryLimit : 0
    return try HybridMachine(hypervisor, memoryEnd: MemoryMap.highMemory + high)
  }

  // MARK: Configuration

  private func validate() throws(MachineError) {
    let granularity = MachineConfiguration.memoryGranularity
    let bytes = configuration.memoryBytes
    guard bytes >= 2 * granularity, bytes % granularity == 0 else {
      throw MachineError("a desktop needs whole megabytes of memory, 2 or more")
    }
    let host = Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE)))
    guard bytes <= host else {
      throw MachineError(
        "\(bytes >> 20) MiB of memory are more than this host has (\(host >> 20) MiB)")
    }
    guard 1...MachineConfiguration.maximumProcessors ~= configuration.processors else {
      throw MachineError(
        "a desktop has 1 to \(MachineConfiguration.maximumProcessors) vCPUs,"
          + " not \(configuration.processors)")
    }
    guard configuration.firmwareVariables == nil || configuration.firmware == .ovmf else {
      throw MachineError(
        "only OVMF has variables: --firmware-variables goes with --firmware ovmf")
    }
    if configuration.engine != .kvm {
      let topology = GuestTopology(index: 0, count: configuration.processors)
      do throws(CPUModel.Problem) {
        try configuration.cpu.check("this engine") { topology.offers($0) }
      } catch { throw MachineError(error.description) }
    }
    try checkIrqchip()
  }

  private func openDrives() throws -> [Drive] {
    var drives: [Drive] = []
    if let image = configuration.builtInFloppy {
      drives.append(
        Drive(.floppy, medium: try Medium(floppy: image, name: "the built-in floppy")))
    }
    for description in configuration.drives { drives.append(try Drive(description)) }
    for drive in drives {
      for note in drive.medium?.notes ?? [] { log(note) }
    }
    return drives
  }

  func firmwareConfiguration() -> FirmwareConfiguration {
    let ram = UInt64(configuration.memoryBytes)
    let order = configuration.bootOrder.map { kind -> BootDevice in
      switch kind {
      case .floppy: .floppy
      case .hardDisk: .hardDisk
      case .cdrom: .cdrom
      }
    }
    var settings = FirmwareConfiguration(
      ramBelow4G: min(ram, MemoryMap.lowMemoryLimit),
      ramAbove4G: ram - min(ram, MemoryMap.lowMemoryLimit),
      processorCount: configuration.processors,
      bootOrder: order.isEmpty ? [.floppy, .cdrom, .hardDisk] : order)
    settings.hasBootMenu = configuration.hasBootMenu
    return settings
  }

  // MARK: Memory

  /// RAM that ends below 4 GiB; PCI's memory follows.
  var ramBelow4G: UInt64 {
    min(UInt64(configuration.memoryBytes), MemoryMap.lowMemoryLimit)
  }

  private func mapMemory(
    _ space: AddressSpace, rom image: [UInt8]?
  ) throws(HostError) -> (memory: MachineMemory, shadow: ShadowMemory) {
    let total = configuration.memoryBytes
    let ram = try MemoryBlock(name: "guest-ram", size: total)
    let low = min(total, Int(MemoryMap.lowMemoryLimit))
    let aboveGate = Int(MemoryMap.highMemoryArea) + MemoryMap.highMemoryAreaBytes
    try space.map(ram, size: Int(MemoryMap.conventional), at: 0)
    try space.map(
      ram, offset: aboveGate, size: low - aboveGate, at: UInt64(aboveGate))
    if total > low {
      try space.map(ram, offset: low, size: total - low, at: MemoryMap.highMemory)
    }
    let image = image ?? ROMImage.bytes(acpiBoard)
    let rom = try MemoryBlock(name: "firmware", size: image.count)
    rom.bytes(at: 0, count: image.count)?.copyBytes(from: image)
    try space.map(
      rom, size: rom.size, at: MemoryMap.firmwareEnd - UInt64(rom.size), readOnly: true)
    return (
      MachineMemory(ram: ram, gate: space.makeWindow(ram), log: log),
      ShadowMemory(ram: ram, rom: rom, space: space, log: log)
    )
  }

  // MARK: Devices

  private func addTimers(
    _ interrupts: ISAInterrupts, _ legacy: LegacyReplacement
  ) throws -> [any Device] {
    let pit = I8254(clock: clock, irq0: legacy.timer)
    let hpet = HPET(clock: clock, wire: { interrupts.line($0) }, legacy: legacy)
    try bus.register(hpet, at: MemoryMap.hpet)
    let portB = SystemControlPortB(clock: clock, timer: pit)
    try ports.register(pit, at: MemoryMap.pit)
    try ports.register(portB, at: MemoryMap.systemControlB)
    return [pit, portB, hpet]
  }

  private func addSerial(
    _ interrupts: ISAInterrupts
  ) throws -> (uart: UART16550, backend: SerialBackend) {
    let link = SerialLink()
    let backend = try SerialBackend(configuration.serial) { [link] in link.receive($0) }
    let uart = UART16550(
      name: "com1", clock: clock, irq: interrupts.line(MemoryMap.com1IRQ),
      output: { [backend] in backend.send($0) })
    link.attach(uart)
    try ports.register(uart, at: MemoryMap.com1)
    return (uart, backend)
  }

  private func addKeyboard(
    _ interrupts: ISAInterrupts, memory: MachineMemory, control: MachineControl
  ) throws -> I8042 {
    let controller = I8042(
      clock: clock, irq1: interrupts.line(MemoryMap.keyboardIRQ),
      irq12: interrupts.line(MemoryMap.mouseIRQ),
      outputs: I8042.Outputs(
        a20Changed: { [memory] in memory.setGate(open: $0) },
        resetRequested: { [unowned control] in control.requestReset(.processors) }))
    try ports.register(controller.dataPort, at: MemoryMap.keyboardData)
    try ports.register(controller.commandPort, at: MemoryMap.keyboardCommand)
    return controller
  }

  private func addControlPorts(
    memory: MachineMemory, control: MachineControl, pci: PCIBus
  ) throws -> [any Device] {
    let portA = SystemControlPortA(
      a20Changed: { [memory] in memory.setGate(open: $0) },
      resetRequested: { [unowned control] in control.requestReset(.processors) })
    let resetControl = ResetControl(resetRequested: { [unowned control] in
      control.requestReset(.machine)
    })
    let post = POSTCodePort()
    try ports.register(portA, at: MemoryMap.systemControlA)
    try ports.register(
      ConfigurationAddressPorts(reset: resetControl, bus: pci), at: MemoryMap.configurationAddress,
      wiring: .native)
    try ports.register(post, at: MemoryMap.post)
    guard configuration.debugExit else { return [portA, resetControl, post] }
    let exit = DebugExitPort(exitRequested: { [unowned control] in
      control.requestStop(.debugExit($0))
    })
    try ports.register(exit, at: MemoryMap.debugExit)
    return [portA, resetControl, post, exit]
  }

  private func addVideo(
    _ space: AddressSpace
  ) throws -> (adapter: VideoAdapter, memory: MemoryBlock) {
    let memory = try MemoryBlock(name: "video-memory", size: VideoAdapter.memoryBytes)
    let video = VideoAdapter(
      memory: memory, clock: clock, legacyWindow: space.makeWindow(memory),
      linearWindow: space.makeWindow(memory), linearAddress: nil, log: log)
    if let size = configuration.resolution, !video.monitor.prefer(size) {
      throw HostError(
        "show \(size.width)x\(size.height) pixels", advice: "the display has no such size")
    }
    for range in VideoAdapter.portRanges {
      let first = range.lowerBound - VideoAdapter.ports.lowerBound
      try ports.register(OffsetPorts(video, by: first), at: range)
    }
    try ports.register(video.dispiPorts, at: MemoryMap.dispi, wiring: .native)
    try bus.register(video, at: MemoryMap.vga)
    return (video, memory)
  }
}
