import KVMEngine

/// The interrupts of PCI (PCI BIOS Specification 2.1, sections 4.2.13 and 4.2.14): which input of the
/// ISA bridge each pin is wired to, and where the bridge sends it.
extension PCIBIOS {
  /// Function 0Eh. ES:DI has the size of a buffer and a far pointer to it.
  func tellRoutes(_ call: inout FirmwareCall) -> UInt8 {
    let place = call.esAddress(call.di)
    let room = call.memory.load(place, as: UInt16.self)
    let offset = UInt64(call.memory.load(place &+ 2, as: UInt16.self))
    let segment = UInt64(call.memory.load(place &+ 4, as: UInt16.self))
    let entries = PCIRoutingTable.entries
    call.memory.store(UInt16(entries.count), at: place)
    guard Int(room) >= entries.count else { return Result.bufferTooSmall }
    for (index, byte) in entries.enumerated() {
      call.memory.store(byte, at: (segment << 4) &+ offset &+ UInt64(index))
    }
    call.bx = 0  // no interrupt is PCI's alone
    return Result.successful
  }

  /// Function 0Fh. CH is the interrupt, CL the pin from 0Ah, BX the function whose pin it is.
  func route(_ call: FirmwareCall) -> UInt8 {
    let pin = Int(call.cl) - 0x0A
    let slot = Int(call.bx >> 3)
    let line = call.ch
    guard (0..<4).contains(pin), PCIRoutingTable.slots.contains(slot), line < 16,
      PCIRoutingTable.choices & 1 << UInt16(line) != 0
    else { return Result.setFailed }
    let register = UInt16(ISABridge.routes + PCIInterrupts.wire(slot: slot, pin: pin))
    select(PCIRoutingTable.router, register)
    ports.bus.write(Self.data(register), width: .byte, value: UInt32(line))
    // Edge or level: PCI's wires are levels.
    let control = MemoryMap.elcr.lowerBound + UInt16(line >> 3)
    let levels = ports.bus.read(control, width: .byte)
    ports.bus.write(control, width: .byte, value: levels | 1 << UInt32(line & 7))
    return Result.successful
  }
}
