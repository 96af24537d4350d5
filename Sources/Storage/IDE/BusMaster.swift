import KVMEngine

/// Bits of the bus master's command register ("Programming Interface for Bus Master IDE Controller",
/// revision 1.0, 2.1).
enum BusMasterCommand {
  static let start: UInt8 = 0x01
  /// The bus master writes to memory: the disk is read.
  static let toMemory: UInt8 = 0x08
}

/// Bits of the bus master's status register (2.2).
enum BusMasterStatus {
  static let active: UInt8 = 0x01
  static let error: UInt8 = 0x02
  static let interrupt: UInt8 = 0x04
  /// Bits 5 and 6: a driver or firmware says here that a device can do DMA.
  static let capable: UInt8 = 0x60
}

/// One channel's half of a bus master: its registers and where it stands in the PRD table.
struct BusMasterState: Codable, Equatable, Sendable {
  var command: UInt8 = 0
  var status: UInt8 = 0
  /// The descriptor table's address; the two lowest bits are zero.
  var table: UInt32 = 0
  var cursor = DescriptorCursor()

  var isStarted: Bool { command & BusMasterCommand.start != 0 }
  var isActive: Bool { status & BusMasterStatus.active != 0 }

  /// Register `offset`, 0 to 7.
  func read(_ offset: UInt16) -> UInt8 {
    switch offset {
    case 0: command
    case 2: status
    case 4...7: UInt8(truncatingIfNeeded: table >> (UInt32(offset - 4) * 8))
    default: 0
    }
  }

  /// - Returns: whether the start bit rose or fell.
  mutating func write(_ offset: UInt16, _ value: UInt8) -> Bool {
    switch offset {
    case 0:
      let changes = (value ^ command) & BusMasterCommand.start != 0
      command = value & (BusMasterCommand.start | BusMasterCommand.toMemory)
      guard changes else { return false }
      if isStarted {
        cursor = DescriptorCursor(next: table)
        status |= BusMasterStatus.active
      } else {
        status &= ~BusMasterStatus.active
      }
      return true
    case 2:
      let cleared = value & (BusMasterStatus.error | BusMasterStatus.interrupt)
      status = status & ~cleared & ~BusMasterStatus.capable | value & BusMasterStatus.capable
    case 4...7:
      let shift = UInt32(offset - 4) * 8
      table = (table & ~(0xFF << shift) | UInt32(value) << shift) & ~3
    default: break
    }
    return false
  }
}

/// A place in a table of physical region descriptors (1.2): eight bytes each, an address, a byte
/// count of which 0 means 64 KiB, and in the topmost bit whether it is the last.
struct DescriptorCursor: Codable, Equatable, Sendable {
  /// Where the next descriptor is.
  var next: UInt32 = 0
  /// The current region's next byte.
  var address: UInt32 = 0
  /// What is left of the current region, 0 to 65,536.
  var left: UInt32 = 0
  /// The current region is the last.
  var isLast = false

  private static let lastFlag: UInt32 = 1 << 31

  init(next: UInt32 = 0) { self.next = next }

  /// No region is left: the table is used up.
  var isUsedUp: Bool { isLast && left == 0 }

  /// Gives `body` pieces of guest memory, `count` bytes together at most.
  /// - Parameter body: gets a guest-physical address, the piece's offset and its length.
  /// - Returns: how many bytes there was room for.
  mutating func walk(
    _ space: AddressSpace, count: Int,
    _ body: (_ address: UInt64, _ offset: Int, _ length: Int) -> Void
  ) -> Int {
    var done = 0
    while done < count {
      if left == 0 {
        guard !isLast else { break }
        fetch(space)
      }
      let length = min(Int(left), count - done)
      body(UInt64(address), done, length)
      address &+= UInt32(truncatingIfNeeded: length)
      left &-= UInt32(truncatingIfNeeded: length)
      done += length
    }
    return done
  }

  private mutating func fetch(_ space: AddressSpace) {
    let entry = space.load(UInt64(next), as: UInt64.self)
    let flags = UInt32(truncatingIfNeeded: entry >> 32)
    // Bit 0 of address and count is not there.
    address = UInt32(truncatingIfNeeded: entry) & ~1
    left = flags & 0xFFFE
    if left == 0 { left = 0x10000 }
    isLast = flags & Self.lastFlag != 0
    next &+= 8
  }
}
