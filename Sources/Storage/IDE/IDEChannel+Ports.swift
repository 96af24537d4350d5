import KVMEngine

extension IDEChannel {
  /// What the registers of a cable without devices read as: data bit 7 is pulled down, so that nobody
  /// takes it for a busy device (ATA/ATAPI-6, 6.1 "Signal conventions", note on DD7).
  fileprivate static let nobody: UInt32 = 0x7F

  /// The command block: data, and seven registers of a byte. Registered as `.native`.
  public var commandPorts: any PortDevice { CommandPorts(channel: self) }
  /// The control block's one port: device control and alternate status.
  public var controlPort: any PortDevice { ControlPort(channel: self) }

  private final class CommandPorts: PortDevice {
    private let channel: IDEChannel
    init(channel: IDEChannel) { self.channel = channel }

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
      guard offset != 0 else { return channel.readData(width) }
      return channel.readRegisters(offset, width)
    }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
      guard offset != 0 else { return channel.writeData(value, width) }
      channel.writeRegisters(offset, width, value)
    }
  }

  private final class ControlPort: PortDevice {
    private let channel: IDEChannel
    init(channel: IDEChannel) { self.channel = channel }

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
      channel.with { $0.isEmpty ? IDEChannel.nobody : UInt32($0.status) }
    }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
      channel.with { $0.writeControl(UInt8(truncatingIfNeeded: value)) }
    }
  }

  fileprivate func readData(_ width: AccessWidth) -> UInt32 {
    with { $0.readData(width.bytes) }
  }

  fileprivate func writeData(_ value: UInt32, _ width: AccessWidth) {
    with { $0.writeData(value, width.bytes) }
  }

  /// A wider access is one byte a register, the lowest first.
  fileprivate func readRegisters(_ offset: UInt16, _ width: AccessWidth) -> UInt32 {
    with { core in
      guard !core.isEmpty else { return 0x0101_0101 &* Self.nobody }
      var value: UInt32 = 0
      for index in 0..<UInt16(width.bytes) {
        let register = offset &+ index
        let byte: UInt8 = register <= 7 ? core.read(register) : 0xFF
        value |= UInt32(byte) << UInt32(index &* 8)
      }
      return value
    }
  }

  fileprivate func writeRegisters(_ offset: UInt16, _ width: AccessWidth, _ value: UInt32) {
    with { core in
      for index in 0..<UInt16(width.bytes) where offset &+ index <= 7 {
        core.write(offset &+ index, UInt8(truncatingIfNeeded: value >> UInt32(index &* 8)))
      }
    }
  }

  /// Register `offset` (0 to 7) of this channel's half of the bus master.
  func readBusMaster(_ offset: UInt16) -> UInt8 { with { $0.state.busMaster.read(offset) } }

  func writeBusMaster(_ offset: UInt16, _ value: UInt8) {
    with { $0.writeBusMaster(offset, value) }
  }
}

/// The sixteen ports of a bus master: the first channel's half, then the second's.
public final class BusMasterPorts: PortDevice {
  private let channels: Pair<IDEChannel>

  public init(_ first: IDEChannel, _ second: IDEChannel) {
    channels = Pair(first: first, second: second)
  }

  /// How many ports there are.
  public static let count: UInt16 = 16

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    var value: UInt32 = 0
    for index in 0..<UInt16(width.bytes) where offset &+ index < Self.count {
      let at = offset &+ index
      value |= UInt32(channels[Int(at >> 3)].readBusMaster(at & 7)) << UInt32(index &* 8)
    }
    return value
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    for index in 0..<UInt16(width.bytes) where offset &+ index < Self.count {
      let at = offset &+ index
      channels[Int(at >> 3)].writeBusMaster(
        at & 7, UInt8(truncatingIfNeeded: value >> UInt32(index &* 8)))
    }
  }
}
