/// Segment registers by their offsets in the state, in the order of their numbers.
enum Seg: UInt16 {
  case es = 256
  case cs = 320
  case ss = 384
  case ds = 448
  case fs = 512
  case gs = 576
  /// No base and no limit: data segments of 64-bit mode, and system accesses.
  case flat = 640
  case ldt = 704
  case tr = 768
  /// Like ``flat``, for operands that would lie in SS: what is wrong with one is #SS.
  case flatStack = 832

  /// The segment register of number 0 to 5.
  static func offset(_ number: UInt8) -> UInt16 { 256 + UInt16(number) * 64 }
}

/// Bits of the flags as LAHF and SETO give them.
enum FlagWord {
  static let overflow: UInt16 = 1
  static let carry: UInt16 = 1 << 8
  static let parity: UInt16 = 1 << 10
  static let auxiliary: UInt16 = 1 << 12
  static let zero: UInt16 = 1 << 14
  static let sign: UInt16 = 1 << 15
}

/// Bits of RFLAGS that are kept beside the arithmetic ones (Intel SDM vol. 1, 3.4.3).
enum RFlag {
  static let trap: UInt64 = 1 << 8
  static let interrupt: UInt64 = 1 << 9
  static let direction: UInt64 = 1 << 10
  static let privilege: UInt64 = 3 << 12
  static let nested: UInt64 = 1 << 14
  static let resume: UInt64 = 1 << 16
  static let virtual8086: UInt64 = 1 << 17
  static let alignment: UInt64 = 1 << 18
  static let virtualInterrupt: UInt64 = 1 << 19
  static let virtualPending: UInt64 = 1 << 20
  static let identification: UInt64 = 1 << 21
}

/// Exception vectors (Intel SDM vol. 3, table 6-1).
enum Vector {
  static let divide: UInt8 = 0
  static let debug: UInt8 = 1
  static let nonMaskable: UInt8 = 2
  static let breakpoint: UInt8 = 3
  static let overflow: UInt8 = 4
  static let bound: UInt8 = 5
  static let undefined: UInt8 = 6
  static let deviceMissing: UInt8 = 7
  static let double: UInt8 = 8
  static let taskState: UInt8 = 10
  static let notPresent: UInt8 = 11
  static let stack: UInt8 = 12
  static let protection: UInt8 = 13
  static let page: UInt8 = 14
  static let floatingPoint: UInt8 = 16
  static let alignment: UInt8 = 17
  static let vector: UInt8 = 19
}

/// Bits of CR0, CR4 and EFER.
enum Bits {
  static let pe: UInt64 = 1 << 0
  static let mp: UInt64 = 1 << 1
  static let em: UInt64 = 1 << 2
  static let ts: UInt64 = 1 << 3
  static let ne: UInt64 = 1 << 5
  static let wp: UInt64 = 1 << 16
  static let am: UInt64 = 1 << 18
  static let pg: UInt64 = 1 << 31
  static let vme: UInt64 = 1 << 0
  static let pvi: UInt64 = 1 << 1
  static let tsd: UInt64 = 1 << 2
  static let de: UInt64 = 1 << 3
  static let pse: UInt64 = 1 << 4
  static let pae: UInt64 = 1 << 5
  static let pce: UInt64 = 1 << 8
  static let osfxsr: UInt64 = 1 << 9
  static let osxmmexcpt: UInt64 = 1 << 10
  static let umip: UInt64 = 1 << 11
  static let pge: UInt64 = 1 << 7
  static let fsgsbase: UInt64 = 1 << 16
  static let pcide: UInt64 = 1 << 17
  static let osxsave: UInt64 = 1 << 18
  static let smep: UInt64 = 1 << 20
  static let smap: UInt64 = 1 << 21
  static let sce: UInt64 = 1 << 0
  static let lme: UInt64 = 1 << 8
  static let lma: UInt64 = 1 << 10
  static let nxe: UInt64 = 1 << 11
}
