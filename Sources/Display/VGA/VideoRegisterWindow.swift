import KVMEngine

/// The adapter's registers as memory, 4 KiB: what base address register 2 of the PCI card has (the
/// "standard VGA" layout that Bochs' and QEMU's documentation describes).
///
/// The monitor's EDID is at 0, the ports 3C0h to 3DFh at 400h, the registers of the Bochs display
/// interface as words at 500h, and a size and byte order at 600h, which is little-endian always.
public final class VideoRegisterWindow: MemoryDevice {
  /// Bytes of the window.
  public static let size: UInt32 = 4096

  private enum Place {
    static let ports: ClosedRange<UInt64> = 0x400...0x41F
    static let dispi: ClosedRange<UInt64> = 0x500...0x515
    static let extras: ClosedRange<UInt64> = 0x600...0x607
  }
  private static let firstPort: UInt16 = 0x3C0
  /// Bytes of the registers at 600h, and the word that says "little-endian".
  private static let extensionBytes: UInt64 = 8
  private static let littleEndian: UInt64 = 0x1E1E_1E1E

  private let adapter: VideoAdapter

  public init(_ adapter: VideoAdapter) { self.adapter = adapter }

  public func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    switch offset {
    case Place.ports:
      return UInt64(adapter.readPort(port(offset), width: width == .qword ? .dword : width))
    case Place.dispi where width != .byte:
      var value: UInt64 = 0
      for index in 0..<UInt64(width.bytes / 2) {
        value |=
          UInt64(adapter.readDispi(register: register(offset) &+ UInt16(index)))
          << (index * 16)
      }
      return value
    case Place.extras:
      let all = Self.extensionBytes | Self.littleEndian << 32
      return all >> ((offset & 7) * 8) & width.mask
    default:
      let edid = adapter.monitor.data
      var value: UInt64 = 0
      for index in 0..<width.bytes {
        let place = Int(truncatingIfNeeded: offset & 0xFFF) + index
        let byte = edid.indices.contains(place) ? edid[place] : place < 0x400 ? 0 : 0xFF
        value |= UInt64(byte) << UInt64(index * 8)
      }
      return value
    }
  }

  public func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    switch offset {
    case Place.ports:
      adapter.writePort(
        port(offset), width: width == .qword ? .dword : width,
        value: UInt32(truncatingIfNeeded: value))
    case Place.dispi where width != .byte:
      for index in 0..<UInt64(width.bytes / 2) {
        adapter.writeDispi(
          register: register(offset) &+ UInt16(index),
          UInt16(truncatingIfNeeded: value >> (index * 16)))
      }
    default:
      break
    }
  }

  private func port(_ offset: UInt64) -> UInt16 {
    Self.firstPort &- VideoAdapter.ports.lowerBound
      &+ UInt16(truncatingIfNeeded: offset &- Place.ports.lowerBound)
  }

  private func register(_ offset: UInt64) -> UInt16 {
    UInt16(truncatingIfNeeded: (offset &- Place.dispi.lowerBound) >> 1)
  }
}
