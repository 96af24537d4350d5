/// What the firmware tells its callers about the machine.
public struct FirmwareConfiguration: Sendable, Equatable {
  /// Bytes of RAM from address 0 on, including the hole below 1 MiB; at most 3 GiB.
  public var ramBelow4G: UInt64
  /// Bytes of RAM from 4 GiB on.
  public var ramAbove4G: UInt64
  /// Conventional memory in KiB; the extended BIOS data area follows it.
  public var baseMemoryKiB: UInt16
  /// Processors, 1 or more.
  public var processorCount: Int
  /// What INT 19h tries, in this order.
  public var bootOrder: [BootDevice]
  /// Whether every boot begins with the boot menu.
  public var hasBootMenu = false

  public init(
    ramBelow4G: UInt64, ramAbove4G: UInt64 = 0, baseMemoryKiB: UInt16 = 639,
    processorCount: Int = 1, bootOrder: [BootDevice] = [.floppy, .hardDisk, .cdrom]
  ) {
    self.ramBelow4G = ramBelow4G
    self.ramAbove4G = ramAbove4G
    self.baseMemoryKiB = baseMemoryKiB
    self.processorCount = processorCount
    self.bootOrder = bootOrder
  }
}
