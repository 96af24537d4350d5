import KVMEngine

/// The 82371SB's PCI-ISA bridge (PIIX3 datasheet, 290550, 2.2): PCI function 00:01.0, whose
/// registers 60h to 63h route PIRQA to PIRQD to ISA interrupts.
///
/// Not modelled: what its other registers switch (chip selects, DMA aliases, the speed of the ISA
/// bus); they are kept without effect.
enum ISABridge {
  /// Offset of PIRQRCA; three more follow.
  static let routes = 0x60
  private static let routeBits: UInt8 = 0x8F
  /// Interrupts that a wire can be routed to: 3 to 7, 9 to 12, 14, 15.
  private static let routable: UInt16 = 0xDEF8

  /// Registers that are kept, with their values after reset.
  private static let kept: [(offset: Int, value: UInt8)] = [
    (0x4C, 0x4D), (0x4E, 0x03), (0x4F, 0x00), (0x69, 0x02), (0x6A, 0x00), (0x70, 0x80),
    (0x71, 0x80), (0x76, 0x0C), (0x77, 0x0C), (0x78, 0x02), (0x79, 0x00), (0x80, 0x00),
    (0x82, 0x00), (0xA0, 0x08), (0xA2, 0x00), (0xA3, 0x00), (0xA4, 0x00), (0xA5, 0x00),
    (0xA6, 0x00), (0xA7, 0x00), (0xA8, 0x0F), (0xAA, 0x00), (0xAB, 0x00), (0xAC, 0x00),
    (0xAE, 0x00),
  ]

  /// - Parameter interrupts: which the routing registers steer.
  static func make(_ interrupts: PCIInterrupts) -> PCIFunction {
    var identity = PCIIdentity(vendor: 0x8086, device: 0x7000, classCode: 0x060100)
    // The bridge answers ports and memory, and is a master, always.
    identity.command = PCICommand.ports | PCICommand.memory | PCICommand.busMaster
    identity.writableCommand = PCICommand.systemError
    let function = PCIFunction(name: "piix3", identity)
    for register in kept { function.define(register.offset, register.value, writable: 0xFF) }
    for wire in 0..<PCIInterrupts.wires {
      function.define(routes + wire, PCIInterrupts.unrouted, writable: routeBits)
    }
    function.onChange { space in
      interrupts.setRoutes(
        (0..<PCIInterrupts.wires).map { wire in
          let route = space[routes + wire]
          let exists = routable >> UInt16(route & 15) & 1 != 0
          return exists ? route : PCIInterrupts.unrouted
        })
    }
    return function
  }
}
