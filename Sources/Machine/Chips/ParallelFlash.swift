import KVMEngine
import Synchronization

/// A parallel NOR flash chip with Intel's basic command set (Intel 28F640J3 datasheet, 290667, chapter
/// 8 "Command Set"; "Common Flash Memory Interface", JESD68), eight bits wide, in which stock firmware
/// keeps its variables.
///
/// While it shows its array it is memory that reads without an exit; a write leaves the guest and is
/// a command. Blocks that the guest programmed or erased are kept when it goes back to the array, so
/// that what is kept is what a command sequence left, not its middle. Clearing the status register
/// clears its ready bit, too: by that the firmware of this board tells flash from memory. Not
/// modelled: writes through the chip's buffer, block locks, suspended commands, and the time that
/// programming takes.
public final class ParallelFlash: Device, MemoryDevice {
  /// The chip's registers and its contents.
  public struct SavedState: Codable, Equatable, Sendable {
    var registers = Registers()
    var contents: [UInt8]
  }

  /// What the next read or write is.
  struct Registers: Codable, Equatable, Sendable {
    var mode = Mode.array
    /// The status register.
    var status: UInt8 = 0
  }

  /// What the chip shows and waits for.
  enum Mode: UInt8, Codable, Sendable {
    case array
    case status
    case identifier
    case query
    /// The next write is data.
    case program
    /// The next write confirms.
    case erase
  }

  /// Commands, the lowest byte of a write.
  private enum Command {
    static let programOld: UInt8 = 0x10
    static let erase: UInt8 = 0x20
    static let program: UInt8 = 0x40
    static let clearStatus: UInt8 = 0x50
    static let readStatus: UInt8 = 0x70
    static let identifier: UInt8 = 0x90
    static let query: UInt8 = 0x98
    static let confirm: UInt8 = 0xD0
    static let readArray: UInt8 = 0xFF
  }

  /// Bits of the status register.
  private enum Status {
    static let ready: UInt8 = 0x80
    static let eraseError: UInt8 = 0x20
    static let programError: UInt8 = 0x10
  }

  /// Bytes that are erased, and kept, together.
  public static let blockBytes = 4096
  private static let manufacturer: UInt8 = 0x89
  private static let device: UInt8 = 0x18

  private struct State {
    var registers = Registers()
    /// Blocks that the guest changed since they were kept.
    var changed: Set<Int> = []
  }

  public let name = "flash"
  private let memory: MemoryBlock
  private let window: MemoryWindow
  private let address: UInt64
  /// Keeps a block: its number and its bytes.
  private let keep: @Sendable (Int, UnsafeRawBufferPointer) -> Void
  private let log: @Sendable (String) -> Void
  private let state = Mutex(State())

  /// - Parameters:
  ///   - memory: the array, whole blocks.
  ///   - window: of `memory`.
  ///   - address: where the guest has it.
  ///   - keep: gets a block that changed, with its number, on a vCPU's thread.
  public init(
    memory: MemoryBlock, window: MemoryWindow, address: UInt64,
    keep: @escaping @Sendable (Int, UnsafeRawBufferPointer) -> Void,
    log: @escaping @Sendable (String) -> Void
  ) {
    self.memory = memory
    self.window = window
    self.address = address
    self.keep = keep
    self.log = log
    state.withLock { show($0.registers.mode) }
  }

  // MARK: The array

  /// Maps the array where it is what reads see.
  private func show(_ mode: Mode) {
    do {
      guard mode == .array else { return try window.unmap() }
      try window.map(at: address, offset: 0, size: memory.size, readOnly: true)
    } catch {
      log("the firmware's flash is read slowly: \(error)")
    }
  }

  private func setMode(_ mode: Mode, _ state: inout State) {
    let wasArray = state.registers.mode == .array
    state.registers.mode = mode
    guard wasArray != (mode == .array) else { return }
    if mode == .array { keepChanged(&state) }
    show(mode)
  }

  private func keepChanged(_ state: inout State) {
    for block in state.changed.sorted() {
      let bytes = memory.bytes(at: block * Self.blockBytes, count: Self.blockBytes)
      if let bytes { keep(block, UnsafeRawBufferPointer(bytes)) }
    }
    state.changed = []
  }

  /// Programs a byte: bits go from one to zero only.
  private func program(_ offset: UInt64, _ value: UInt8, _ state: inout State) {
    guard offset < UInt64(memory.size) else { return }
    let place = Int(offset)
    memory.setByte(place, memory.byte(place) & value)
    state.changed.insert(place / Self.blockBytes)
  }

  private func erase(_ offset: UInt64, _ state: inout State) {
    guard offset < UInt64(memory.size) else { return }
    let block = Int(offset) / Self.blockBytes
    for place in (block * Self.blockBytes)..<((block + 1) * Self.blockBytes) {
      memory.setByte(place, 0xFF)
    }
    state.changed.insert(block)
  }

  // MARK: MemoryDevice

  public func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    state.withLock { state in
      var value: UInt64 = 0
      for index in 0..<width.bytes {
        value |= UInt64(byte(at: offset &+ UInt64(index), state.registers)) << UInt64(index * 8)
      }
      return value
    }
  }

  private func byte(at offset: UInt64, _ registers: Registers) -> UInt8 {
    switch registers.mode {
    case .array: memory.byte(Int(truncatingIfNeeded: offset & 0xFFFF_FFFF))
    case .status, .program, .erase: registers.status
    case .identifier:
      switch offset & 0xFF {
      case 0: Self.manufacturer
      case 1: Self.device
      default: 0
      }
    case .query: FlashQuery.byte(Int(offset & 0xFF), arrayBytes: memory.size)
    }
  }

  public func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    state.withLock { state in
      switch state.registers.mode {
      case .program:
        for index in 0..<width.bytes {
          program(
            offset &+ UInt64(index), UInt8(truncatingIfNeeded: value >> UInt64(index * 8)), &state)
        }
        state.registers.status |= Status.ready
        setMode(.status, &state)
      case .erase:
        if UInt8(truncatingIfNeeded: value) == Command.confirm {
          erase(offset, &state)
        } else {
          state.registers.status |= Status.eraseError | Status.programError
        }
        state.registers.status |= Status.ready
        setMode(.status, &state)
      default: command(UInt8(truncatingIfNeeded: value), &state)
      }
    }
  }

  private func command(_ command: UInt8, _ state: inout State) {
    switch command {
    case Command.program, Command.programOld: setMode(.program, &state)
    case Command.erase: setMode(.erase, &state)
    case Command.readStatus: setMode(.status, &state)
    case Command.identifier: setMode(.identifier, &state)
    case Command.query: setMode(.query, &state)
    case Command.clearStatus:
      state.registers.status = 0
      setMode(.array, &state)
    default: setMode(.array, &state)
    }
  }

  // MARK: Device

  /// Shows the array; the contents stay, as they do without power.
  public func reset() {
    state.withLock { state in
      state.registers = Registers()
      keepChanged(&state)
      show(.array)
    }
  }

  public func save() -> SavedState {
    state.withLock { state in
      let bytes = memory.bytes(at: 0, count: memory.size).map {
        [UInt8](UnsafeRawBufferPointer($0))
      }
      return SavedState(registers: state.registers, contents: bytes ?? [])
    }
  }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    guard saved.contents.count == memory.size else {
      throw RestoreError(device: name, problem: "the chip has another size")
    }
    state.withLock { state in
      for (place, value) in saved.contents.enumerated() where memory.byte(place) != value {
        memory.setByte(place, value)
        state.changed.insert(place / Self.blockBytes)
      }
      state.registers = saved.registers
      if saved.registers.mode == .array { keepChanged(&state) }
      show(saved.registers.mode)
    }
  }
}

/// What the chip answers to the query command (JESD68.01, "CFI query identification string" and
/// "Device geometry definition").
private enum FlashQuery {
  static func byte(_ offset: Int, arrayBytes: Int) -> UInt8 {
    let blocks = arrayBytes / ParallelFlash.blockBytes - 1
    let log2 = UInt8(truncatingIfNeeded: Int.bitWidth - max(1, arrayBytes - 1).leadingZeroBitCount)
    switch offset {
    case 0x10: return UInt8(ascii: "Q")
    case 0x11: return UInt8(ascii: "R")
    case 0x12: return UInt8(ascii: "Y")
    case 0x13: return 1  // Intel's command set
    case 0x27: return log2
    case 0x2C: return 1  // one region of blocks
    case 0x2D: return UInt8(truncatingIfNeeded: blocks)
    case 0x2E: return UInt8(truncatingIfNeeded: blocks >> 8)
    case 0x2F: return UInt8(truncatingIfNeeded: ParallelFlash.blockBytes >> 8)
    case 0x30: return UInt8(truncatingIfNeeded: ParallelFlash.blockBytes >> 16)
    default: return 0
    }
  }
}
