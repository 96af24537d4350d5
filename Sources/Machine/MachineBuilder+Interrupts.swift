import KVMEngine

/// The interrupt controllers of a machine, wherever they are.
struct InterruptControllers: Sendable {
  /// Where the devices' wires end.
  let wires: ISAInterrupts
  /// The 8259 pair's ports and its edge/level control registers.
  let master: any PortDevice
  let slave: any PortDevice
  let elcr: any PortDevice
  /// The I/O APIC's window; nil where guests reach that in the kernel.
  let window: (any MemoryDevice)?
  /// The 8259 pair as vCPU 0 sees it; nil where KVM brings its interrupts.
  let external: (any ExternalInterruptSource)?
  /// The guest ended a level-triggered interrupt.
  let endOfInterrupt: @Sendable (UInt8) -> Void
  /// In the order in which they are reset, saved and restored.
  let devices: [any Device]
}

extension MachineBuilder {
  /// The interrupt controllers that the options ask for.
  func makeInterrupts(
    _ hypervisor: KVMVirtualMachine?, _ messages: APICBus, _ control: MachineControl
  ) -> InterruptControllers {
    if let hypervisor, hypervisor.localAPICs == .kernelWithAll {
      let kernel = KVMInterruptControllers(hypervisor)
      return InterruptControllers(
        wires: ISAInterrupts(kernel), master: kernel.pair.master, slave: kernel.pair.slave,
        elcr: kernel.pair.elcr, window: nil, external: nil, endOfInterrupt: { _ in },
        devices: [kernel.pair, kernel.ioapic])
    }
    let pic = I8259Pair { [unowned control, unowned messages] raised in
      messages.setExternalInterrupt(raised)
      control.interruptWire(raised: raised)
    }
    let ioapic = makeIOAPIC(hypervisor, messages)
    return InterruptControllers(
      wires: ISAInterrupts(pair: pic, ioapic: ioapic), master: pic.master, slave: pic.slave,
      elcr: pic.elcr, window: ioapic, external: pic,
      endOfInterrupt: { [ioapic] in ioapic.endOfInterrupt(vector: $0) }, devices: [pic, ioapic])
  }

  /// The I/O APIC, in front of KVM's local APICs or of ours.
  private func makeIOAPIC(_ hypervisor: KVMVirtualMachine?, _ messages: APICBus) -> IOAPIC {
    let deliver = messageSender(hypervisor, messages)
    guard let hypervisor, hypervisor.localAPICs == .kernel else {
      let ioapic = IOAPIC(deliver: deliver, routesChanged: { _ in })
      messages.connect { [unowned ioapic] in ioapic.endOfInterrupt(vector: $0) }
      return ioapic
    }
    return IOAPIC(
      deliver: deliver,
      routesChanged: { [hypervisor] routes in
        hypervisor.setInterruptRoutes(routes.map { $0.map { ($0.address, $0.data) } })
      })
  }

  /// Who takes messages for the local APICs: KVM, or ours.
  func messageSender(
    _ hypervisor: KVMVirtualMachine?, _ messages: APICBus
  ) -> @Sendable (MessageSignalledInterrupt) -> Void {
    guard let hypervisor, hypervisor.localAPICs != .none else {
      return { [unowned messages] in messages.deliver($0) }
    }
    return { [hypervisor] in hypervisor.signal(address: $0.address, data: $0.data) }
  }

  /// Whether the engine can have its interrupt controllers there.
  func checkIrqchip() throws(MachineError) {
    guard let wanted = configuration.irqchip else { return }
    guard configuration.engine == .kvm || wanted == .user else {
      throw MachineError(
        "--irqchip \(wanted.rawValue) is for --engine kvm: the engine"
          + " \(configuration.engine.rawValue) has interrupt controllers of its own, which are"
          + " --irqchip user")
    }
  }
}
