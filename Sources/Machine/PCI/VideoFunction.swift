import Display
import KVMEngine

/// The display adapter as a PCI card: function 00:02.0, 1234:1111, with the frame buffer in base
/// address register 0, its registers in 2, and where there is one, a video BIOS as expansion ROM.
enum VideoFunction {
  /// - Parameter rom: the video BIOS; nil where the firmware has its own.
  static func make(_ video: VideoAdapter, rom: ExpansionROM?) -> PCIFunction {
    var identity = PCIIdentity(
      vendor: 0x1234, device: 0x1111, revision: 0x02, classCode: 0x030000)
    identity.subsystemVendor = 0x1AF4
    identity.subsystem = 0x1100
    identity.status = 0
    let function = PCIFunction(name: "vga-pci", identity)
    function.setRegion(
      0,
      PCIRegion(
        .memory(video.linearMemory, isPrefetchable: true),
        size: UInt32(VideoAdapter.visibleBytes),
        moved: { [video] in video.moveLinear(to: $0) }))
    function.setRegion(
      2,
      PCIRegion(
        .memory(VideoRegisterWindow(video), isPrefetchable: false),
        size: VideoRegisterWindow.size))
    if let rom {
      function.setRegion(
        PCIFunction.romRegion,
        PCIRegion(
          .memory(rom, isPrefetchable: false), size: rom.size, moved: { [rom] in rom.move(to: $0) })
      )
    }
    return function
  }
}

/// The ROM of a PCI card, mapped into the guest where its base address register says.
final class ExpansionROM: MemoryDevice {
  /// Bytes that the base address register spans, a power of two.
  let size: UInt32
  private let block: MemoryBlock
  private let window: MemoryWindow
  private let log: @Sendable (String) -> Void

  init(
    _ image: [UInt8], space: AddressSpace, log: @escaping @Sendable (String) -> Void
  ) throws(HostError) {
    var size: UInt32 = 4096
    while size < UInt32(clamping: image.count), size < 1 << 24 { size <<= 1 }
    self.size = size
    block = try MemoryBlock(name: "expansion-rom", size: Int(size))
    block.bytes(at: 0, count: min(image.count, block.size))?.copyBytes(
      from: image.prefix(block.size))
    window = space.makeWindow(block)
    self.log = log
  }

  /// Shows the ROM at `address`, or nowhere.
  func move(to address: UInt64?) {
    do {
      guard let address else { return try window.unmap() }
      try window.map(at: address, offset: 0, size: block.size, readOnly: true)
    } catch {
      log("an expansion ROM is read slowly: \(error)")
    }
  }

  func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<width.bytes {
      let place = Int(truncatingIfNeeded: offset & 0xFFFF_FFFF) + index
      let byte = block.bytes(at: place, count: 1)?.first ?? 0xFF
      value |= UInt64(byte) << UInt64(index * 8)
    }
    return value
  }

  func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {}
}
