import KVMEngine

/// What firmware does with PCI: gives every region an address, every pin an interrupt, and lets the
/// functions answer.
enum PCIAssignment {
  /// ISA interrupts of PIRQA to PIRQD.
  static let interrupts: [UInt8] = [10, 11, 10, 11]
  /// Ports that regions get.
  static let ports: Range<UInt64> = 0xC000..<0x1_0000
  private static let smallestMemory: UInt64 = 4096

  /// Does it for all functions of `bus`, the largest regions first, and returns nothing that a
  /// guest could not read back.
  static func assign(_ bus: PCIBus) {
    var regions: [(function: PCIFunction, index: Int, size: UInt64, isPorts: Bool)] = []
    for place in bus.attached {
      for (index, region) in place.function.regionList where index != PCIFunction.romRegion {
        if case .ports = region.target {
          regions.append((place.function, index, UInt64(region.size), true))
        } else {
          let size = max(UInt64(region.size), smallestMemory)
          regions.append((place.function, index, size, false))
        }
      }
    }
    var nextPort = ports.lowerBound
    var nextByte = MemoryMap.pciMemory.lowerBound
    for region in regions.sorted(by: { $0.size > $1.size }) {
      let next = region.isPorts ? nextPort : nextByte
      let base = (next + region.size - 1) & ~(region.size - 1)
      let limit = region.isPorts ? ports.upperBound - 1 : MemoryMap.pciMemory.upperBound
      guard base <= limit, limit - base >= region.size - 1 else { continue }
      if region.isPorts { nextPort = base + region.size } else { nextByte = base + region.size }
      region.function.write(
        PCIFunction.baseRegister(region.index), width: .dword,
        value: UInt32(truncatingIfNeeded: base))
    }
    for place in bus.attached { enable(place.function) }
  }

  private static func enable(_ function: PCIFunction) {
    if let wire = function.interruptWire {
      function.write(
        PCIRegister.interruptLine, width: .byte, value: UInt32(interrupts[wire & 3]))
    }
    var command = function.space.word(PCIRegister.command)
    for (index, region) in function.regionList where index != PCIFunction.romRegion {
      if case .ports = region.target {
        command |= PCICommand.ports
      } else {
        command |= PCICommand.memory
      }
    }
    function.write(PCIRegister.command, width: .word, value: UInt32(command))
  }
}
