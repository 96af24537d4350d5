/// A processor's memory, seen as what it holds.
struct CPU {
  // SAFETY: `raw` is one allocation of `Layout.total` bytes that outlives every CPU made from it;
  // all offsets are constants below that, or indices masked to a table's size.
  let raw: UnsafeMutableRawPointer

  @inline(__always) var s: UnsafeMutablePointer<CPUState> {
    (raw + Layout.state).assumingMemoryBound(to: CPUState.self)
  }
  @inline(__always) var flags: UnsafeMutablePointer<UInt16> {
    (raw + Layout.flags).assumingMemoryBound(to: UInt16.self)
  }
  @inline(__always) func segment(_ offset: UInt16) -> UnsafeMutablePointer<SegmentState> {
    (raw + Int(offset)).assumingMemoryBound(to: SegmentState.self)
  }
  @inline(__always) func segment(_ name: Seg) -> UnsafeMutablePointer<SegmentState> {
    (raw + Int(name.rawValue)).assumingMemoryBound(to: SegmentState.self)
  }
  @inline(__always) var environment: Environment {
    s.pointee.environment._withUnsafeGuaranteedRef { $0 }
  }

  /// A register by its byte offset.
  @inline(__always) func get<W: Word>(_ offset: UInt8, _ type: W.Type = W.self) -> W {
    raw.load(fromByteOffset: Int(offset), as: W.self)
  }
  @inline(__always) func set<W: Word>(_ offset: UInt8, _ value: W) {
    if W.self == UInt32.self {
      raw.storeBytes(
        of: UInt64(truncatingIfNeeded: value), toByteOffset: Int(offset), as: UInt64.self)
    } else {
      raw.storeBytes(of: value, toByteOffset: Int(offset), as: W.self)
    }
  }
  /// A register by its number, whole.
  @inline(__always) subscript(_ number: Int) -> UInt64 {
    get { raw.load(fromByteOffset: (number & 31) * 8, as: UInt64.self) }
    nonmutating set {
      raw.storeBytes(of: newValue, toByteOffset: (number & 31) * 8, as: UInt64.self)
    }
  }
  @inline(__always) func get(_ offset: UInt8, size: UInt8) -> UInt64 {
    switch size {
    case 0: UInt64(get(offset, UInt8.self))
    case 1: UInt64(get(offset, UInt16.self))
    case 2: UInt64(get(offset, UInt32.self))
    default: get(offset, UInt64.self)
    }
  }
  @inline(__always) func set(_ offset: UInt8, size: UInt8, _ value: UInt64) {
    switch size {
    case 0: set(offset, UInt8(truncatingIfNeeded: value))
    case 1: set(offset, UInt16(truncatingIfNeeded: value))
    case 2: set(offset, UInt32(truncatingIfNeeded: value))
    default: set(offset, value)
    }
  }

  // MARK: Faults

  /// Records a fault without an error code.
  @inline(never) func fault(_ vector: UInt8) -> Int {
    s.pointee.faultVector = vector
    s.pointee.faultHasCode = false
    s.pointee.faultCode = 0
    return Next.fault
  }
  /// Records a fault with an error code.
  @inline(never) func fault(_ vector: UInt8, code: UInt32) -> Int {
    s.pointee.faultVector = vector
    s.pointee.faultHasCode = true
    s.pointee.faultCode = code
    return Next.fault
  }
  @inline(never) func protectionFault(_ code: UInt32 = 0) -> Int {
    fault(Vector.protection, code: code)
  }
  @inline(never) func undefined() -> Int { fault(Vector.undefined) }

  // MARK: Flags

  @inline(__always) var carry: Bool { flags.pointee & FlagWord.carry != 0 }
  @inline(__always) func setFlag(_ bit: UInt16, _ on: Bool) {
    if on { flags.pointee |= bit } else { flags.pointee &= ~bit }
  }

  /// RFLAGS as the guest sees it.
  var rflags: UInt64 {
    let f = UInt64(flags.pointee)
    return s.pointee.eflags | (f >> 8 & 0xD5) | (f & 1) << 11 | 2
  }

  /// Sets the arithmetic flags from an RFLAGS image.
  func setArithmeticFlags(_ image: UInt64) {
    flags.pointee = UInt16(truncatingIfNeeded: (image & 0xD5) << 8 | 0x200 | (image >> 11 & 1))
  }

  /// Sets all of RFLAGS.
  func setRFlags(_ image: UInt64) {
    setArithmeticFlags(image)
    let old = s.pointee.eflags
    s.pointee.eflags = image & 0x003F_7700
    if (old ^ image) & (RFlag.virtual8086 | RFlag.alignment) != 0 { modeChanged() }
    flagsChanged()
  }

  /// After a change of TF or IF: the loop has to look up.
  @inline(__always) func flagsChanged() {
    if s.pointee.eflags & RFlag.trap != 0 {
      s.pointee.slow |= Slow.singleStep
    } else {
      s.pointee.slow &= ~Slow.singleStep
    }
    if s.pointee.eflags & RFlag.interrupt != 0 { unpark() }
  }

  /// What waited for IF is looked at again.
  @inline(__always) func unpark() {
    s.pointee.slow |= s.pointee.parked
    s.pointee.parked = 0
  }

  /// The condition `code` of Jcc, SETcc and CMOVcc.
  @inline(__always) func condition(_ code: UInt8) -> Bool {
    let f = flags.pointee
    let result: Bool
    switch code >> 1 & 7 {
    case 0: result = f & 1 != 0
    case 1: result = f & FlagWord.carry != 0
    case 2: result = f & FlagWord.zero != 0
    case 3: result = f & (FlagWord.zero | FlagWord.carry) != 0
    case 4: result = f & FlagWord.sign != 0
    case 5: result = f & FlagWord.parity != 0
    case 6: result = (f >> 15 ^ f) & 1 != 0
    default: result = (f >> 15 ^ f) & 1 != 0 || f & FlagWord.zero != 0
    }
    return result != (code & 1 != 0)
  }
}
