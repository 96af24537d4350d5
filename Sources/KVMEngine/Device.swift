/// What every device of the PC has in common, apart from how the guest reaches it.
///
/// A device is given what it needs when it is made (an ``InterruptLine``, a ``Clock``, guest
/// memory if it does DMA) and sees nothing else: not the VM, not a vCPU, not a sibling.
///
/// Saving and restoring have no default implementation on purpose: a device that forgets them does
/// not compile.
public protocol Device: AnyObject, Sendable {
  /// A plain value that holds everything a guest could tell apart. It knows no file format.
  associatedtype SavedState: Codable & Sendable & Equatable

  /// The chip's name as its datasheet spells it, in lower case, unique in one machine: `i8254`.
  var name: String { get }

  /// Puts the device into the state that power-on or RESET# leaves it in.
  func reset()

  /// The device's state at this moment.
  func save() -> SavedState

  /// Makes `state` the device's state, drives its outputs to match and arms its timers again.
  /// - Throws: ``RestoreError`` where a value can't be the state of such a device; the device is
  ///   then unchanged.
  func restore(_ state: SavedState) throws(RestoreError)
}

/// A saved state that can't belong to the device it was given to.
public struct RestoreError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The device's name.
  public let device: String
  /// What was wrong, as a sentence's end: `channel 3 does not exist`.
  public let problem: String

  public init(device: String, problem: String) {
    self.device = device
    self.problem = problem
  }

  public var description: String { "cannot restore \(device): \(problem)" }
}

/// The width of one bus access.
public enum AccessWidth: UInt8, Sendable, CaseIterable {
  case byte = 1
  case word = 2
  case dword = 4
  case qword = 8

  /// The access as a number of bytes: 1, 2, 4 or 8.
  @inlinable public var bytes: Int { Int(rawValue) }

  /// All ones in the bits that the access transfers: what an empty bus reads as.
  @inlinable public var mask: UInt64 {
    self == .qword ? UInt64.max : (1 << (UInt64(rawValue) * 8)) - 1
  }
}

/// A device in the port space (IN and OUT). It is given offsets from where it was registered.
public protocol PortDevice: AnyObject, Sendable {
  /// - Parameters:
  ///   - offset: from the first port of the registered range.
  ///   - width: `.byte`, `.word` or `.dword`; only `.byte` where registered as ``PortWiring/bytes``.
  /// - Returns: the value; bits above `width` are ignored.
  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32

  /// - Parameter value: bits above `width` are zero.
  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32)
}

/// A device in the memory space. It is given offsets from where it was registered.
public protocol MemoryDevice: AnyObject, Sendable {
  /// - Returns: the value; bits above `width` are ignored.
  func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64

  /// - Parameter value: bits above `width` are zero.
  func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64)

  /// `count` stores of `value`, one behind the other from `offset` on: what a repeated STOS does.
  func fillMemory(_ offset: UInt64, width: AccessWidth, value: UInt64, count: Int)

  /// `count` loads, one behind the other from `source` on, each stored at the same distance from
  /// `offset` before the next is loaded: what a repeated MOVS does.
  func copyMemory(from source: UInt64, to offset: UInt64, width: AccessWidth, count: Int)
}

extension MemoryDevice {
  public func fillMemory(_ offset: UInt64, width: AccessWidth, value: UInt64, count: Int) {
    for index in 0..<max(0, count) {
      writeMemory(offset &+ UInt64(index &* width.bytes), width: width, value: value)
    }
  }

  public func copyMemory(
    from source: UInt64, to offset: UInt64, width: AccessWidth, count: Int
  ) {
    for index in 0..<max(0, count) {
      let distance = UInt64(index &* width.bytes)
      let value = readMemory(source &+ distance, width: width) & width.mask
      writeMemory(offset &+ distance, width: width, value: value)
    }
  }
}
