import Synchronization

/// The PC's two 8237A DMA controllers with their page registers (Intel 8237A datasheet, 231466-005;
/// IBM PC/AT Technical Reference, "Direct memory access"): channels 0 to 3 move bytes, 5 to 7 words,
/// 4 cascades.
///
/// A device moves as much as it has at once by ``transfer(channel:toMemory:_:)``: single, block and
/// demand mode are then the same. Not modelled: memory to memory, compressed timing, priorities, and
/// the cascade's own mask.
///
/// Lock order: the device's lock, then this one. Guest memory is accessed without it.
public final class I8237Pair: Device {
  public struct SavedState: Codable, Equatable, Sendable {
    var bytes = I8237Registers()
    var words = I8237Registers()
    /// The page registers that belong to no channel.
    var spare = [UInt8](repeating: 0, count: 16)
  }

  private let state = Mutex(SavedState())
  private let space: AddressSpace

  public let name = "i8237"

  public init(space: AddressSpace) { self.space = space }

  // MARK: What devices do

  /// Moves bytes between a device and guest memory, as far as the channel lets it.
  /// - Parameters:
  ///   - channel: 0 to 7.
  ///   - toMemory: the device gives; else it takes into `buffer`. Where the channel was set to the
  ///     other direction nothing but its counters moves.
  /// - Returns: how many bytes were moved, 0 for a masked channel; whether the terminal count was
  ///   reached.
  public func transfer(
    channel: Int, toMemory: Bool, _ buffer: UnsafeMutableRawBufferPointer
  ) -> (count: Int, reachedEnd: Bool) {
    guard (0...7).contains(channel) else { return (0, false) }
    let isWide = channel >= 4
    let size = isWide ? 2 : 1
    let before = state.withLock { state -> (I8237Channel, Int, Bool)? in
      let registers = isWide ? state.words : state.bytes
      var taken = registers.channels[channel & 3]
      guard registers.command & I8237Registers.off == 0, !taken.isMasked, !taken.isCascade else {
        return nil
      }
      let old = taken
      let transfers = min(Int(taken.count) + 1, buffer.count / size)
      guard transfers > 0 else { return nil }
      let reachedEnd = taken.advance(transfers)
      if isWide {
        state.words.channels[channel & 3] = taken
      } else {
        state.bytes.channels[channel & 3] = taken
      }
      return (old, transfers, reachedEnd)
    }
    guard let (start, transfers, reachedEnd) = before else { return (0, false) }
    let moved = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(transfers * size)])
    switch (start.kind, toMemory) {
    case (.toMemory, true), (.fromMemory, false):
      move(start, size: size, toMemory: toMemory, moved)
    default: break
    }
    return (moved.count, reachedEnd)
  }

  /// Copies in pieces that do not wrap: the page register stays while the address goes round.
  private func move(
    _ channel: I8237Channel, size: Int, toMemory: Bool, _ buffer: UnsafeMutableRawBufferPointer
  ) {
    let page =
      size == 2 ? UInt64(channel.page & 0xFE) << 16 : UInt64(channel.page) << 16
    var address = channel.address
    var done = 0
    while done < buffer.count {
      let untilWrap = channel.isDownwards ? 1 : 0x10000 - Int(address)
      let count = min(untilWrap * size, buffer.count - done)
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + count)])
      let at = page + UInt64(address) * UInt64(size)
      if toMemory {
        space.write(at, from: UnsafeRawBufferPointer(piece))
      } else {
        space.read(at, into: piece)
      }
      let step = UInt16(truncatingIfNeeded: count / size)
      address = channel.isDownwards ? address &- step : address &+ step
      done += count
    }
  }

  // MARK: Device

  public func reset() { state.withLock { $0 = SavedState() } }

  public func save() -> SavedState { state.withLock { $0 } }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    guard saved.bytes.channels.count == 4, saved.words.channels.count == 4, saved.spare.count == 16
    else { throw RestoreError(device: name, problem: "it has two times four channels") }
    state.withLock { $0 = saved }
  }

  // MARK: Ports

  /// Ports 00h to 0Fh: channels 0 to 3.
  public var bytePorts: any PortDevice { Registers(self, isWide: false) }
  /// Ports C0h to DFh: channels 4 to 7, a register every other port.
  public var wordPorts: any PortDevice { Registers(self, isWide: true) }
  /// Ports 81h to 8Fh.
  public var pagePorts: any PortDevice { Pages(self) }

  private final class Registers: PortDevice {
    private let pair: I8237Pair
    private let isWide: Bool

    init(_ pair: I8237Pair, isWide: Bool) {
      self.pair = pair
      self.isWide = isWide
    }

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
      pair.state.withLock { state in
        UInt32(isWide ? state.words.read(offset >> 1 & 15) : state.bytes.read(offset & 15))
      }
    }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
      let byte = UInt8(truncatingIfNeeded: value)
      pair.state.withLock { state in
        if isWide {
          state.words.write(offset >> 1 & 15, byte)
        } else {
          state.bytes.write(offset & 15, byte)
        }
      }
    }
  }

  private final class Pages: PortDevice {
    private let pair: I8237Pair

    init(_ pair: I8237Pair) { self.pair = pair }

    /// The channel that port 80h + `port` is the page of; nil for the spare ones.
    private static func channel(_ port: Int) -> Int? {
      switch port {
      case 0x1: 2
      case 0x2: 3
      case 0x3: 1
      case 0x7: 0
      case 0x9: 6
      case 0xA: 7
      case 0xB: 5
      case 0xF: 4
      default: nil
      }
    }

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
      let port = Int(offset &+ 1) & 15
      return pair.state.withLock { state in
        guard let channel = Self.channel(port) else { return UInt32(state.spare[port]) }
        return UInt32(
          channel >= 4 ? state.words.channels[channel & 3].page : state.bytes.channels[channel].page
        )
      }
    }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
      let port = Int(offset &+ 1) & 15
      let byte = UInt8(truncatingIfNeeded: value)
      pair.state.withLock { state in
        guard let channel = Self.channel(port) else {
          state.spare[port] = byte
          return
        }
        if channel >= 4 {
          state.words.channels[channel & 3].page = byte
        } else {
          state.bytes.channels[channel].page = byte
        }
      }
    }
  }
}
