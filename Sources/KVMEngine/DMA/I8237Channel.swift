/// One of the four channels of an 8237A (Intel datasheet 231466-005).
struct I8237Channel: Codable, Equatable, Sendable {
  var baseAddress: UInt16 = 0
  var baseCount: UInt16 = 0
  var address: UInt16 = 0
  /// Transfers that are left, less one.
  var count: UInt16 = 0
  /// The mode register: bits 7 and 6 demand, single, block, cascade; 5 downwards; 4 autoinitialize;
  /// 3 and 2 verify, to memory, from memory.
  var mode: UInt8 = 0
  /// The page register: the address's bits above 15.
  var page: UInt8 = 0
  var isMasked = true
  /// Software asks for service.
  var isRequested = false
  /// Terminal count was reached since the status register was read.
  var reachedEnd = false

  private static let downwards: UInt8 = 0x20
  private static let autoinitialize: UInt8 = 0x10
  private static let modeBits: UInt8 = 0xC0

  /// What the channel does to memory.
  enum Kind {
    case verify
    case toMemory
    case fromMemory
  }

  var kind: Kind {
    switch mode >> 2 & 3 {
    case 1: .toMemory
    case 2: .fromMemory
    default: .verify
    }
  }

  var isDownwards: Bool { mode & Self.downwards != 0 }
  var isCascade: Bool { mode & Self.modeBits == Self.modeBits }

  /// Takes the channel on by `transfers`, at most those that are left.
  /// - Returns: whether the last one was among them.
  mutating func advance(_ transfers: Int) -> Bool {
    let left = Int(count) + 1
    let step = UInt16(truncatingIfNeeded: min(transfers, left))
    address = isDownwards ? address &- step : address &+ step
    count = count &- step
    guard transfers >= left else { return false }
    reachedEnd = true
    isRequested = false
    if mode & Self.autoinitialize != 0 {
      (address, count) = (baseAddress, baseCount)
    } else {
      isMasked = true
    }
    return true
  }
}

/// The registers of one 8237A.
struct I8237Registers: Codable, Equatable, Sendable {
  var channels = [I8237Channel](repeating: I8237Channel(), count: 4)
  /// The command register; bit 2 turns the controller off.
  var command: UInt8 = 0
  /// Whether the next access to an address or a count is to its high byte.
  var isHighByte = false

  static let off: UInt8 = 0x04

  /// Register `offset`, 0 to 15.
  mutating func read(_ offset: UInt16) -> UInt8 {
    switch offset {
    case 0...7:
      let channel = channels[Int(offset >> 1)]
      let value = offset & 1 == 0 ? channel.address : channel.count
      defer { isHighByte.toggle() }
      return UInt8(truncatingIfNeeded: isHighByte ? value >> 8 : value)
    case 8:
      var status: UInt8 = 0
      for index in channels.indices {
        if channels[index].reachedEnd { status |= 1 << UInt8(index) }
        if channels[index].isRequested { status |= 0x10 << UInt8(index) }
        channels[index].reachedEnd = false
      }
      return status
    case 13: return 0
    case 15:
      return channels.indices.reduce(0xF0) { $0 | (channels[$1].isMasked ? 1 << UInt8($1) : 0) }
    default: return 0xFF
    }
  }

  mutating func write(_ offset: UInt16, _ value: UInt8) {
    let selected = Int(value & 3)
    switch offset {
    case 0...7: writeWord(Int(offset >> 1), isCount: offset & 1 != 0, value)
    case 8: command = value
    case 9: channels[selected].isRequested = value & 4 != 0
    case 10: channels[selected].isMasked = value & 4 != 0
    case 11: channels[selected].mode = value & ~3
    case 12: isHighByte = false
    case 13: clear()
    case 14: for index in channels.indices { channels[index].isMasked = false }
    case 15:
      for index in channels.indices { channels[index].isMasked = value >> UInt8(index) & 1 != 0 }
    default: break
    }
  }

  private mutating func writeWord(_ index: Int, isCount: Bool, _ value: UInt8) {
    let shift: UInt16 = isHighByte ? 8 : 0
    let keep: UInt16 = isHighByte ? 0x00FF : 0xFF00
    let bits = UInt16(value) << shift
    if isCount {
      channels[index].baseCount = channels[index].baseCount & keep | bits
      channels[index].count = channels[index].baseCount
    } else {
      channels[index].baseAddress = channels[index].baseAddress & keep | bits
      channels[index].address = channels[index].baseAddress
    }
    isHighByte.toggle()
  }

  /// Master clear: as a reset, but addresses, counts and modes stay.
  private mutating func clear() {
    command = 0
    isHighByte = false
    for index in channels.indices {
      channels[index].isMasked = true
      channels[index].isRequested = false
      channels[index].reachedEnd = false
    }
  }
}
