import KVMEngine

/// The way of a byte between the host and the four planes, all planes at once as one 32-bit word
/// (IBM VGA Technical Reference, section 2, "Display Memory Organization" and "Graphics Controller
/// Registers").
///
/// A write goes through rotate, set/reset, logic operation and bit mask, each of them one operation
/// on the word; write modes differ in which stages they use. A read fills the latches.
struct PlanarMemory: Sendable {
  let memory: VideoMemory

  /// One byte in all four planes.
  @inline(__always)
  static func spread(_ byte: UInt8) -> UInt32 { UInt32(byte) &* 0x0101_0101 }

  /// FFh in each plane whose bit of `color` is set, 00h in the others.
  @inline(__always)
  static func planes(_ color: UInt8) -> UInt32 {
    let bits = UInt32(color & 15)
    let low = (bits | bits &<< 7 | bits &<< 14 | bits &<< 21) & 0x0101_0101
    return low &* 0xFF
  }

  /// Where a host access goes: an offset in the planes, and the planes it can reach.
  struct Target: Equatable {
    var offset: Int
    var writable: UInt8
    var readable: UInt8
  }

  /// The target of host address `address`, counted from the start of the host's window.
  static func target(_ address: Int, chips: VideoChips) -> Target {
    let sequencer = chips.sequencer
    let graphics = chips.graphics
    if chips.dispi.isEnabled, chips.dispi.depth != 4 {
      // Pixels lie byte by byte, as chain 4 has them.
      let place = Int(chips.dispi.bank) << 16 + (address & 0xFFFF)
      let plane = UInt8(place & 3)
      return Target(offset: place >> 2, writable: 1 << plane, readable: plane)
    }
    if chips.dispi.isEnabled {
      return Target(
        offset: Int(chips.dispi.bank) << 16 + (address & 0xFFFF), writable: sequencer.mapMask,
        readable: graphics.readMap)
    }
    let low = UInt8(truncatingIfNeeded: address)
    if sequencer.chain4 {
      let plane = low & 3
      return Target(
        offset: (address & 0x3FFFF) >> 2, writable: sequencer.mapMask & 1 << plane,
        readable: plane)
    }
    var offset = address & 0xFFFF
    if graphics.chainsOddEven { offset = offset & ~1 | address >> 16 & 1 }
    let half: UInt8 = low & 1 == 0 ? 0b0101 : 0b1010
    return Target(
      offset: offset,
      writable: sequencer.oddEven ? sequencer.mapMask & half : sequencer.mapMask,
      readable: graphics.oddEvenRead ? graphics.readMap & 2 | low & 1 : graphics.readMap)
  }

  /// Whether a byte of the host is one byte of each plane, at the same offset.
  static func isPlain(_ chips: VideoChips) -> Bool {
    !chips.dispi.isEnabled && !chips.sequencer.chain4 && !chips.sequencer.oddEven
      && !chips.graphics.chainsOddEven
  }

  /// Host writes of `value`, `width` each, to `places` of the planes that ``isPlain(_:)``.
  func fill(
    _ places: Range<Int>, with value: UInt64, _ width: AccessWidth, mapMask: UInt8,
    _ graphics: GraphicsController, latch: UInt32
  ) {
    let reached = Self.planes(mapMask)
    var patterns = SIMD8<UInt32>()
    for index in 0..<8 {
      let byte = UInt8(truncatingIfNeeded: value >> UInt64(index % width.bytes * 8))
      patterns[index] = Self.stages(byte, graphics, latch: latch) & reached
    }
    for place in places {
      let pattern = patterns[(place &- places.lowerBound) & 7]
      memory.setWord(place, memory.word(place) & ~reached | pattern)
    }
  }

  /// Host bytes read from `sources` and written from `target` on in write mode 1, one after the
  /// other, where the planes are plain. Returns the last latch.
  func copy(_ sources: Range<Int>, to target: Int, mapMask: UInt8) -> UInt32 {
    let reached = Self.planes(mapMask)
    var latch: UInt32 = 0
    for place in sources {
      latch = memory.word(place)
      let other = target &+ (place &- sources.lowerBound)
      memory.setWord(other, memory.word(other) & ~reached | latch & reached)
    }
    return latch
  }

  /// A host read: fills `latch` and answers by read mode.
  func read(_ target: Target, _ graphics: GraphicsController, latch: inout UInt32) -> UInt8 {
    latch = memory.word(target.offset)
    guard graphics.comparesOnRead else {
      return UInt8(truncatingIfNeeded: latch &>> (UInt32(target.readable & 3) &* 8))
    }
    let differs =
      (latch ^ Self.planes(graphics.colorCompare)) & Self.planes(graphics.colorDontCare)
    let anyPlane = differs | differs &>> 8 | differs &>> 16 | differs &>> 24
    return ~UInt8(truncatingIfNeeded: anyPlane)
  }

  /// A host write by write mode.
  func write(_ value: UInt8, to target: Target, _ graphics: GraphicsController, latch: UInt32) {
    let new = Self.stages(value, graphics, latch: latch)
    let reached = Self.planes(target.writable)
    let old = memory.word(target.offset)
    memory.setWord(target.offset, old & ~reached | new & reached)
  }

  /// What a write of `value` leaves in the planes, before the map mask.
  static func stages(_ value: UInt8, _ graphics: GraphicsController, latch: UInt32) -> UInt32 {
    let rotated = value >> graphics.rotate | value << ((8 - graphics.rotate) & 7)
    var mask = spread(graphics.bitMask)
    var data: UInt32
    switch graphics.writeMode {
    case 0:
      let forced = planes(graphics.setResetEnable)
      data = spread(rotated) & ~forced | planes(graphics.setReset) & forced
    case 1:
      return latch
    case 2:
      data = planes(value)
    default:
      data = planes(graphics.setReset)
      mask = spread(rotated & graphics.bitMask)
    }
    switch graphics.logic {
    case 1: data &= latch
    case 2: data |= latch
    case 3: data ^= latch
    default: break
    }
    return data & mask | latch & ~mask
  }
}
