import KVMEngine

/// The 82441FX host bridge's configuration space (82441FX PMC datasheet, 290549, chapter 3): PCI
/// function 00:00.0, whose PAM registers route C0000h to FFFFFh.
///
/// Not modelled: system management RAM (its register is kept without effect, since the processors
/// have no such mode), DRAM timing and the AGP of later chips.
enum HostBridge {
  /// Offsets of the chip's own registers.
  private enum Register {
    static let configuration = 0x50
    static let pam = 0x59
    static let rowBoundaries = 0x60
    static let systemManagement = 0x72
  }

  /// Bits of SMRAM: D_LCK locks the register until reset; here it is written freely.
  private static let systemManagementReset: UInt8 = 0x02
  private static let systemManagementWritable: UInt8 = 0x78

  /// - Parameter ramBelow4G: bytes, told by the DRAM row boundaries in units of 8 MiB.
  static func make(ramBelow4G: UInt64, shadow: ShadowMemory) -> PCIFunction {
    var identity = PCIIdentity(
      vendor: 0x8086, device: 0x1237, revision: 0x02, classCode: 0x060000)
    // By these stock firmware knows the board.
    identity.subsystemVendor = 0x1AF4
    identity.subsystem = 0x1100
    // It answers memory always, and nobody can forbid it to be a master.
    identity.command = PCICommand.memory | PCICommand.busMaster
    identity.writableCommand = PCICommand.systemError | PCICommand.parityResponse
    let function = PCIFunction(name: "i440fx", identity)
    function.define(Register.configuration, 0, writable: 0xFF)
    function.define(Register.configuration + 1, 0, writable: 0xFF)
    for index in 0..<ShadowMemory.registers {
      function.define(Register.pam + index, 0, writable: index == 0 ? 0x30 : 0x33)
    }
    let rows = UInt8(clamping: ramBelow4G >> 23)
    for index in 0..<8 { function.define(Register.rowBoundaries + index, rows, writable: 0xFF) }
    function.define(
      Register.systemManagement, systemManagementReset, writable: systemManagementWritable)
    function.onChange { space in
      shadow.apply((0..<ShadowMemory.registers).map { space[Register.pam + $0] })
    }
    return function
  }
}
