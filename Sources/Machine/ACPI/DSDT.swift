/// The machine's description for a system's ACPI interpreter: the PCI root with its windows and
/// interrupt wires, the board's own devices, the processors, soft off.
enum DSDT {
  /// PCI slots whose interrupt wires the table tells.
  private static let slots: ClosedRange<UInt32> = 1...15
  private static let links = ["LNKA", "LNKB", "LNKC", "LNKD"]
  private static let routes = ["PRQA", "PRQB", "PRQC", "PRQD"]
  /// What a system may route a wire to.
  private static let choices: [UInt8] = [5, 10, 11]

  /// The table's terms, behind its header.
  static func terms(_ board: ACPIBoard) -> [UInt8] {
    let root = AML.scope("\\_SB_", pciRoot(board) + routedLinks() + processors(board.processors))
    // Sleep type 0 is soft off; there are no other sleeping states.
    let softOff = AML.name(
      "\\_S5_", AML.package([0, 0, 0, 0].map { AML.integer($0) }))
    return root + softOff
  }

  // MARK: PCI

  private static func pciRoot(_ board: ACPIBoard) -> [UInt8] {
    let hole = UInt32(truncatingIfNeeded: board.pciHole.lowerBound)
    let end = UInt32(truncatingIfNeeded: board.pciHole.upperBound)
    let resources = ACPIResource.template(
      ACPIResource.buses(0...0), ACPIResource.ports(0xCF8...0xCFF),
      ACPIResource.portWindow(0...0xCF7), ACPIResource.portWindow(0xD00...0xFFFF),
      ACPIResource.memoryWindow(0xA0000...0xBFFFF), ACPIResource.memoryWindow(hole...end))
    return AML.device(
      "PCI0",
      AML.name("_HID", AML.identifier("PNP0A03"))
        + AML.name("_UID", AML.integer(0)) + AML.name("_CRS", resources)
        + AML.name("_PRT", routingTable()) + isaBridge(board))
  }

  private static func routingTable() -> [UInt8] {
    var entries: [[UInt8]] = []
    for slot in slots {
      for pin in 0..<UInt32(4) {
        let wire = PCIInterrupts.wire(slot: Int(slot), pin: Int(pin))
        entries.append(
          AML.package([
            AML.integer(slot << 16 | 0xFFFF), AML.integer(pin), AML.path(links[wire]),
            AML.integer(0),
          ]))
      }
    }
    return AML.package(entries)
  }

  /// The interrupt links, as devices that switch the bridge's routing registers.
  private static func routedLinks() -> [UInt8] {
    links.indices.flatMap { link($0) }
  }

  private static func link(_ index: Int) -> [UInt8] {
    let register = AML.path("\\_SB_.PCI0.ISA_." + routes[index])
    let off = AML.integer(UInt32(PCIInterrupts.unrouted))
    // The interrupt's number in the template of one: behind tag, length, flags and count.
    let numberOffset: UInt32 = 5
    let current = AML.local(0)
    return AML.device(
      links[index],
      AML.name("_HID", AML.identifier("PNP0C0F"))
        + AML.name("_UID", AML.integer(UInt32(index) + 1))
        + AML.name("_PRS", ACPIResource.template(ACPIResource.sharedInterrupt(choices)))
        + AML.method(
          "_STA",
          AML.whenTrue(AML.and(register, off), AML.returns(AML.integer(0x09)))
            + AML.returns(AML.integer(0x0B)))
        + AML.method("_DIS", AML.store(AML.or(register, off), to: register))
        + AML.method(
          "_CRS",
          AML.store(ACPIResource.template(ACPIResource.sharedInterrupt([0])), to: current)
            + AML.dwordField(current, numberOffset, "IRQN")
            + AML.store(AML.and(register, AML.integer(0x0F)), to: AML.path("IRQN"))
            + AML.returns(current))
        + AML.method(
          "_SRS", arguments: 1,
          AML.dwordField(AML.argument(0), numberOffset, "IRQN")
            + AML.store(AML.path("IRQN"), to: register)))
  }

  // MARK: The board's devices

  private static func isaBridge(_ board: ACPIBoard) -> [UInt8] {
    var terms = AML.name("_ADR", AML.integer(0x0001_0000))
    terms += AML.configurationBytes(
      "PIRQ", offset: UInt32(ISABridge.routes), names: routes)
    terms += device(
      "PIC_", "PNP0000",
      [
        ACPIResource.ports(MemoryMap.pic1), ACPIResource.ports(MemoryMap.pic2),
        ACPIResource.ports(MemoryMap.elcr), ACPIResource.interrupt(2),
      ])
    terms += device(
      "DMAC", "PNP0200",
      [
        ACPIResource.ports(0x00...0x0F), ACPIResource.ports(0x81...0x8F),
        ACPIResource.ports(0xC0...0xDF), ACPIResource.dma(4),
      ])
    terms += device(
      "TMR_", "PNP0100",
      [
        ACPIResource.ports(MemoryMap.pit), ACPIResource.interrupt(MemoryMap.timerIRQ),
      ])
    terms += device(
      "RTC_", "PNP0B00",
      [
        ACPIResource.ports(MemoryMap.rtc), ACPIResource.interrupt(MemoryMap.rtcIRQ),
      ])
    terms += device("SPKR", "PNP0800", [ACPIResource.ports(MemoryMap.systemControlB)])
    terms += device(
      "KBD_", "PNP0303",
      [
        ACPIResource.ports(MemoryMap.keyboardData), ACPIResource.ports(MemoryMap.keyboardCommand),
        ACPIResource.interrupt(MemoryMap.keyboardIRQ),
      ])
    terms += device("MOU_", "PNP0F13", [ACPIResource.interrupt(MemoryMap.mouseIRQ)])
    terms += device(
      "COM1", "PNP0501",
      [
        ACPIResource.ports(MemoryMap.com1), ACPIResource.interrupt(MemoryMap.com1IRQ),
      ], identifier: 1)
    if board.hasFloppyController {
      terms += device(
        "FDC0", "PNP0700",
        [
          ACPIResource.ports(0x3F2...0x3F5), ACPIResource.ports(0x3F7...0x3F7),
          ACPIResource.interrupt(6), ACPIResource.dma(2),
        ])
    }
    if board.hasHPET {
      let page = MemoryMap.hpet.lowerBound
      let size = MemoryMap.hpet.upperBound - page + 1
      terms += device(
        "HPET", "PNP0103",
        [
          ACPIResource.memory(
            UInt32(truncatingIfNeeded: page), size: UInt32(truncatingIfNeeded: size))
        ])
    }
    return AML.device("ISA_", terms + motherboard())
  }

  /// Ports that no driver is to give away.
  private static func motherboard() -> [UInt8] {
    func block(_ first: UInt64, _ size: UInt64) -> [UInt8] {
      ACPIResource.ports(
        UInt16(truncatingIfNeeded: first)...UInt16(truncatingIfNeeded: first + size - 1))
    }
    return device(
      "MBRD", "PNP0C02",
      [
        ACPIResource.ports(MemoryMap.post), ACPIResource.ports(MemoryMap.systemControlA),
        ACPIResource.ports(MemoryMap.apm),
        block(UInt64(MemoryMap.powerManagement), PowerManagement.ports),
        block(UInt64(MemoryMap.smbus), SMBusHost.ports),
      ])
  }

  private static func device(
    _ name: String, _ identifier: String, _ resources: [[UInt8]], identifier unit: UInt32? = nil
  ) -> [UInt8] {
    AML.device(
      name,
      AML.name("_HID", AML.identifier(identifier))
        + (unit.map { AML.name("_UID", AML.integer($0)) } ?? [])
        + AML.name("_CRS", ACPIResource.template(resources.flatMap { $0 })))
  }

  // MARK: Processors

  private static func processors(_ count: Int) -> [UInt8] {
    (0..<count).flatMap { index in
      let digits = String(index, radix: 16, uppercase: true)
      return AML.processor(
        "CP" + (index < 16 ? "0" : "") + digits, identifier: UInt8(truncatingIfNeeded: index))
    }
  }
}
