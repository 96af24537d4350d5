/// What executes operations. A handler gets the processor and the operation and says ``Next``.
enum Handlers {
  static let undefined: Handler = { raw, _ in CPU(raw: raw).undefined() }
  static let nothing: Handler = { _, _ in Next.op }

  static func lockedArithmetic(_ operation: UInt8, immediate: Bool, _ size: UInt8) -> Threaded {
    let index = operation << 2 | size & 3
    return immediate ? lockedImmediate(index) : lockedRegister(index)
  }
}

/// An operation of two operands on the host's own arithmetic unit.
protocol Arithmetic {
  static var writes: Bool { get }
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W
}

extension Arithmetic {
  @inline(__always) static var writes: Bool { true }
}

enum Add: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.add(a, b, f)
  }
}
enum Or: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.or(a, b, f)
  }
}
enum Adc: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.adc(a, b, f)
  }
}
enum Sbb: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.sbb(a, b, f)
  }
}
enum And: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.and(a, b, f)
  }
}
enum Sub: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.sub(a, b, f)
  }
}
enum Xor: Arithmetic {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.xor(a, b, f)
  }
}
enum Cmp: Arithmetic {
  @inline(__always) static var writes: Bool { false }
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.sub(a, b, f)
  }
}
enum Test: Arithmetic {
  @inline(__always) static var writes: Bool { false }
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ b: W, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.and(a, b, f)
  }
}

/// A shift or rotation by a count.
protocol Shift {
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W
}
enum Rol: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.rol(a, count, f)
  }
}
enum Ror: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.ror(a, count, f)
  }
}
enum Rcl: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.rcl(a, count, f)
  }
}
enum Rcr: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    W.rcr(a, count, f)
  }
}
enum Shl: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    count & (W.bitWidth == 64 ? 63 : 31) == 0 ? a : W.shl(a, count, f)
  }
}
enum Shr: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    count & (W.bitWidth == 64 ? 63 : 31) == 0 ? a : W.shr(a, count, f)
  }
}
enum Sar: Shift {
  @inline(__always)
  static func apply<W: Word>(_ a: W, _ count: UInt8, _ f: UnsafeMutablePointer<UInt16>) -> W {
    count & (W.bitWidth == 64 ? 63 : 31) == 0 ? a : W.sar(a, count, f)
  }
}
