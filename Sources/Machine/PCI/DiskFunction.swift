import KVMEngine
import Storage

/// The 82371SB's IDE function (PIIX3 datasheet, 2.3): PCI function 00:01.1, whose base address
/// register 4 has the bus master. The channels are at their old ports and interrupts always.
///
/// Not modelled: what the timing registers say; they are kept without effect.
enum DiskFunction {
  /// Offsets of the timing registers, of each channel; their highest bit says that it is decoded.
  private static let timing = [0x40, 0x42]
  private static let decoded: UInt8 = 0x80
  private static let busMasterPorts: UInt32 = 16
  private static let busMasterRegion = 4

  /// - Parameter channels: the primary channel and the secondary.
  static func make(_ channels: [IDEChannel]) -> PCIFunction? {
    guard channels.count == 2 else { return nil }
    // A bus master whose channels are in compatibility mode.
    var identity = PCIIdentity(vendor: 0x8086, device: 0x7010, classCode: 0x010180)
    identity.writableCommand = PCICommand.ports | PCICommand.busMaster
    let function = PCIFunction(name: "piix3-ide", identity)
    function.setRegion(
      busMasterRegion,
      PCIRegion(
        .ports(BusMasterPorts(channels[0], channels[1]), wiring: .native), size: busMasterPorts))
    for offset in timing {
      function.define(offset, 0, writable: 0xFF)
      function.define(offset + 1, decoded, writable: 0xFF)
    }
    function.define(0x44, 0, writable: 0xFF)
    return function
  }

  /// Lets the bus master work, as firmware does for what it boots from.
  static func configure(_ function: PCIFunction) {
    let command = function.space.word(PCIRegister.command) | PCICommand.busMaster
    function.write(PCIRegister.command, width: .word, value: UInt32(command))
  }
}
