import KVMEngine
import Machine

/// One device of the PC as a guest reaches it: the addresses that its driver would use.
package struct DeviceTarget: Sendable {
  /// Where a guest's access goes.
  package enum Region: Sendable {
    case ports(ClosedRange<UInt16>)
    case memory(UInt64, bytes: UInt64)
    /// A memory region of a PCI function, wherever it was put.
    case function(slot: Int, index: Int, bytes: UInt64)
    case functionPorts(slot: Int, number: Int, index: Int, count: UInt16)
    case localAPIC
  }

  package let name: String
  package let regions: [Region]

  /// Every device.
  package static let all: [DeviceTarget] = [
    DeviceTarget("pci", .ports(0xCF8...0xCFF), .memory(0xE000_0000, bytes: 0x400_0000)),
    DeviceTarget("hpet", .memory(0xFED0_0000, bytes: 0x400)),
    DeviceTarget("power", .ports(0x600...0x63F), .ports(0x700...0x70F), .ports(0xB2...0xB3)),
    DeviceTarget("rtc", .ports(0x70...0x71)),
    DeviceTarget("pit", .ports(0x40...0x43), .ports(0x61...0x61)),
    DeviceTarget("pic", .ports(0x20...0x21), .ports(0xA0...0xA1), .ports(0x4D0...0x4D1)),
    DeviceTarget("ioapic", .memory(0xFEC0_0000, bytes: 0x44), .ports(0x40...0x43)),
    DeviceTarget("lapic", .localAPIC, .memory(0xFEC0_0000, bytes: 0x14)),
    DeviceTarget("uart", .ports(0x3F8...0x3FF)),
    DeviceTarget("i8042", .ports(0x60...0x60), .ports(0x64...0x64), .ports(0x92...0x92)),
    DeviceTarget("xhci", .function(slot: 3, index: 0, bytes: 0x4000)),
    DeviceTarget(
      "ide", .ports(0x1F0...0x1F7), .ports(0x3F6...0x3F6), .ports(0x170...0x177),
      .ports(0x376...0x376), .functionPorts(slot: 1, number: 1, index: 4, count: 16)),
    DeviceTarget("floppy", .ports(0x3F0...0x3F7), .ports(0x00...0x0F), .ports(0x80...0x8F)),
    DeviceTarget("dma", .ports(0x00...0x0F), .ports(0x80...0x8F), .ports(0xC0...0xDF)),
    DeviceTarget(
      "vga", .ports(0x3B4...0x3DF), .ports(0x1CE...0x1D0), .memory(0xA0000, bytes: 0x20000),
      .function(slot: 2, index: 0, bytes: 0x100_0000), .function(slot: 2, index: 2, bytes: 0x1000)),
    DeviceTarget("fw_cfg", .ports(0x510...0x511), .ports(0x514...0x51B), .ports(0x402...0x402)),
    DeviceTarget("all", .ports(0...0xFFFF), .memory(0xE000_0000, bytes: 0x1FFF_0000)),
  ]

  package static func named(_ name: String) -> DeviceTarget? { all.first { $0.name == name } }

  private init(_ name: String, _ regions: Region...) {
    self.name = name
    self.regions = regions
  }
}
