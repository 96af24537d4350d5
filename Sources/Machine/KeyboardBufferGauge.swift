import KVMEngine

/// How full the BIOS's keyboard buffer is, for typing at the pace at which a program takes keys.
///
/// The buffer holds 15 keys (IBM PC/AT Technical Reference, BIOS data area 40:1A to 40:3D); a key that
/// finds it full is lost.
struct KeyboardBufferGauge: Sendable {
  let space: AddressSpace

  private static let keyboardVector: UInt64 = 9 * 4
  private static let firmwareSegment: UInt16 = 0xF000
  private static let head: UInt64 = 0x41A
  private static let tail: UInt64 = 0x41C
  private static let first: UInt64 = 0x480
  private static let end: UInt64 = 0x482
  /// Half of the buffer stays free for what is on its way.
  private static let comfortable = 8

  /// Whether another key finds room; nil where the guest reads its keyboard without the BIOS.
  var hasRoom: Bool? {
    guard space.load(Self.keyboardVector + 2, as: UInt16.self) == Self.firmwareSegment else {
      return nil
    }
    let head = Int(space.load(Self.head, as: UInt16.self))
    let tail = Int(space.load(Self.tail, as: UInt16.self))
    let first = Int(space.load(Self.first, as: UInt16.self))
    let end = Int(space.load(Self.end, as: UInt16.self))
    guard first < end, (first..<end).contains(head), (first..<end).contains(tail) else {
      return nil
    }
    let used = (tail - head + (tail < head ? end - first : 0)) / 2
    return used < Self.comfortable
  }
}
