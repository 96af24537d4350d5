import KVMEngine
import Synchronization

/// The SMBus host of the 82371AB (PIIX4 datasheet, 7.3) on a bus without devices: every transaction
/// ends with a device error, as where nobody acknowledges the address. Not modelled: the slave port,
/// interrupts.
public final class SMBusHost: Device, PortDevice {
  /// The registers.
  public struct SavedState: Codable, Equatable, Sendable {
    var status: UInt8 = 0
    var control: UInt8 = 0
    /// Command, address, data 0 and 1.
    var registers = [UInt8](repeating: 0, count: 4)
  }

  /// Ports of the host.
  static let ports: UInt64 = 16

  private enum Offset {
    static let status: UInt16 = 0
    static let control: UInt16 = 2
    static let first: UInt16 = 3
  }
  private enum Status {
    static let deviceError: UInt8 = 0x04
    /// Interrupt, device error, collision, failed: a one clears each.
    static let clearable: UInt8 = 0x1E
  }
  private enum Control {
    static let start: UInt8 = 0x40
    static let kept: UInt8 = 0x1F
  }

  public let name = "piix4-smbus"
  private let state = Mutex(SavedState())

  public init() {}

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    let byte = state.withLock { state -> UInt8 in
      switch offset {
      case Offset.status: return state.status
      case Offset.control: return state.control
      case Offset.first..<(Offset.first + 4): return state.registers[Int(offset - Offset.first)]
      default: return 0
      }
    }
    return UInt32(byte)
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let byte = UInt8(truncatingIfNeeded: value)
    state.withLock { state in
      switch offset {
      case Offset.status: state.status &= ~(byte & Status.clearable)
      case Offset.control:
        state.control = byte & Control.kept
        if byte & Control.start != 0 { state.status |= Status.deviceError }
      case Offset.first..<(Offset.first + 4): state.registers[Int(offset - Offset.first)] = byte
      default: break
      }
    }
  }

  public func reset() { state.withLock { $0 = SavedState() } }
  public func save() -> SavedState { state.withLock { $0 } }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    guard saved.registers.count == 4, saved.control & ~Control.kept == 0,
      saved.status & ~Status.clearable == 0
    else { throw RestoreError(device: name, problem: "a register has bits that it lacks") }
    state.withLock { $0 = saved }
  }
}
