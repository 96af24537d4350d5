import KVMEngine

/// The 82371AB's power management function (PIIX4 datasheet, 7.1): PCI function 00:01.3, whose
/// registers say where the power management block and the SMBus host answer.
enum PowerFunction {
  /// Offsets of the chip's own registers.
  private enum Register {
    static let base = 0x40
    static let deviceActivityB = 0x58
    static let enable = 0x80
    static let busBase = 0x90
    static let busConfiguration = 0xD2
  }
  /// DEVACTB bit 25, in its last byte: APM writes raise system management interrupts. It is set after
  /// reset, by which firmware sees that there is no such mode left to set up.
  private static let systemManagement: UInt8 = 0x02

  static func make(
    _ chip: PowerManagement, smbus: SMBusHost, on bus: PCIBus
  ) throws(BusError) -> PCIFunction {
    let function = PCIFunction(
      name: "piix4-pm-pci",
      PCIIdentity(
        vendor: 0x8086, device: 0x7113, revision: 0x03, classCode: 0x068000, interruptPin: 0))
    function.define(Register.base, 0x01, writable: 0xC0)
    function.define(Register.base + 1, 0, writable: 0xFF)
    for index in 0..<3 { function.define(Register.deviceActivityB + index, 0, writable: 0xFF) }
    function.define(Register.deviceActivityB + 3, systemManagement, writable: 0x03)
    function.define(Register.enable, 0, writable: 1)
    function.define(Register.busBase, 0x01, writable: 0xF0)
    function.define(Register.busBase + 1, 0, writable: 0xFF)
    function.define(Register.busConfiguration, 0, writable: 0x0F)
    let movePower = try bus.ports.add(chip, size: PowerManagement.ports, wiring: .native)
    let moveBus = try bus.ports.add(smbus, size: SMBusHost.ports, wiring: .bytes)
    function.onChange { space in
      let base = UInt64(space.word(Register.base) & ~0x3F)
      movePower(space[Register.enable] & 1 != 0 && base != 0 ? base : nil)
      let busBase = UInt64(space.word(Register.busBase) & ~0xF)
      moveBus(space[Register.busConfiguration] & 1 != 0 && busBase != 0 ? busBase : nil)
    }
    return function
  }

  /// Puts both blocks where our firmware has them, and says which interrupt they use.
  static func configure(_ function: PCIFunction) {
    function.write(
      PCIRegister.interruptLine, width: .byte, value: UInt32(MemoryMap.systemControlIRQ))
    function.write(Register.base, width: .word, value: UInt32(MemoryMap.powerManagement))
    function.write(Register.enable, width: .byte, value: 1)
    function.write(Register.busBase, width: .word, value: UInt32(MemoryMap.smbus))
    function.write(Register.busConfiguration, width: .byte, value: 0x09)
    let command = function.space.word(PCIRegister.command) | PCICommand.ports
    function.write(PCIRegister.command, width: .word, value: UInt32(command))
  }
}
