/// What a run's translation takes from the mode of the moment.
struct Surroundings {
  /// 1, 2 or 3: 16-, 32- or 64-bit code.
  let codeSize: UInt8
  /// Bits of ``Flatness``.
  let flatness: UInt8

  init(_ cpu: CPU) {
    codeSize = cpu.s.pointee.codeSize
    flatness = cpu.s.pointee.flatness
  }
}

/// Where translated code finds things in a processor's memory.
enum HostLayout {
  private static func state(_ field: PartialKeyPath<CPUState>) -> Int32 {
    Int32(Layout.state + (MemoryLayout<CPUState>.offset(of: field) ?? 0))
  }
  private static func segment(_ field: PartialKeyPath<SegmentState>) -> Int32 {
    Int32(MemoryLayout<SegmentState>.offset(of: field) ?? 0)
  }
  private static func entry(_ field: PartialKeyPath<TLBEntry>) -> Int32 {
    Int32(MemoryLayout<TLBEntry>.offset(of: field) ?? 0)
  }
  private static func block(_ field: PartialKeyPath<Block>) -> Int32 {
    Int32(MemoryLayout<Block>.offset(of: field) ?? 0)
  }

  static let tlb = state(\.tlb)
  static let linearMask = state(\.linearMask)
  static let flatness = state(\.flatness)
  static let world = state(\.world)
  static let credit = state(\.credit)
  static let slow = state(\.slow)
  static let attention = state(\.attention)
  static let jumps = Int32(Layout.jumps)
  static let blockRip = Int32(Layout.blockRegister)
  static let stackPointer = Int32(Translator.stackPointer)

  static let base = segment(\.base)
  static let readLimit = segment(\.readLimit)
  static let writeLimit = segment(\.writeLimit)
  static let readTag = entry(\.readTag)
  static let writeTag = entry(\.writeTag)
  static let addend = entry(\.addend)

  static let blockOps = block(\.ops)
  static let blockCode = block(\.code)
  static let blockGeneration = block(\.generation)
  static let blockCount = block(\.count)
  static let blockStart = block(\.rip)
  static let blockWorld = block(\.world)
}
