/// A comparison and the conditional jump behind it in one. The jump keeps its own place behind: the
/// comparison looks there for where it leads, and finds the links that it keeps.
enum Fusible: UInt8 {
  case compareRegisters, compareImmediate, testRegisters, testImmediate

  /// What an operation of ``Handlers/arithmetic(_:_:_:)`` on registers is.
  static func kind(_ operation: UInt8, immediate: Bool) -> Fusible? {
    switch operation {
    case 7: immediate ? .compareImmediate : .compareRegisters
    case 8: immediate ? .testImmediate : .testRegisters
    default: nil
    }
  }
}

extension CPU {
  @inline(__always)
  func rrJcc<A: Arithmetic, W: Word>(
    _ o: OpRef, _ code: UInt8, _ operation: A.Type, _ width: W.Type
  ) -> UInt {
    _ = A.apply(get(o.pointee.reg, W.self), get(o.pointee.rm, W.self), flags)
    return jcc(o + 1, code)
  }
  @inline(__always)
  func riJcc<A: Arithmetic, W: Word>(
    _ o: OpRef, _ code: UInt8, _ operation: A.Type, _ width: W.Type
  ) -> UInt {
    _ = A.apply(get(o.pointee.reg, W.self), W(truncatingIfNeeded: o.pointee.imm), flags)
    return jcc(o + 1, code)
  }
}

extension Handlers {
  /// The handler of a comparison with a jump on `condition` behind it; nil where it stays alone.
  static func fused(_ kind: UInt8, _ size: UInt8, _ condition: UInt8) -> Threaded? {
    guard let kind = Fusible(rawValue: kind) else { return nil }
    switch (kind, size) {
    case (.compareRegisters, 1): return compareRegisters16(condition)
    case (.compareRegisters, 2): return compareRegisters32(condition)
    case (.compareRegisters, 3): return compareRegisters64(condition)
    case (.compareImmediate, 0): return compareImmediate8(condition)
    case (.compareImmediate, 1): return compareImmediate16(condition)
    case (.compareImmediate, 2): return compareImmediate32(condition)
    case (.compareImmediate, 3): return compareImmediate64(condition)
    case (.testRegisters, 0): return testRegisters8(condition)
    case (.testRegisters, 2): return testRegisters32(condition)
    case (.testRegisters, 3): return testRegisters64(condition)
    case (.testImmediate, 0): return testImmediate8(condition)
    case (.testImmediate, 2): return testImmediate32(condition)
    default: return nil
    }
  }

  private static func compareRegisters16(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).rrJcc($1.op, 0, Cmp.self, UInt16.self) }
    case 1: { CPU(raw: $0).rrJcc($1.op, 1, Cmp.self, UInt16.self) }
    case 2: { CPU(raw: $0).rrJcc($1.op, 2, Cmp.self, UInt16.self) }
    case 3: { CPU(raw: $0).rrJcc($1.op, 3, Cmp.self, UInt16.self) }
    case 4: { CPU(raw: $0).rrJcc($1.op, 4, Cmp.self, UInt16.self) }
    case 5: { CPU(raw: $0).rrJcc($1.op, 5, Cmp.self, UInt16.self) }
    case 6: { CPU(raw: $0).rrJcc($1.op, 6, Cmp.self, UInt16.self) }
    case 7: { CPU(raw: $0).rrJcc($1.op, 7, Cmp.self, UInt16.self) }
    case 8: { CPU(raw: $0).rrJcc($1.op, 8, Cmp.self, UInt16.self) }
    case 9: { CPU(raw: $0).rrJcc($1.op, 9, Cmp.self, UInt16.self) }
    case 10: { CPU(raw: $0).rrJcc($1.op, 10, Cmp.self, UInt16.self) }
    case 11: { CPU(raw: $0).rrJcc($1.op, 11, Cmp.self, UInt16.self) }
    case 12: { CPU(raw: $0).rrJcc($1.op, 12, Cmp.self, UInt16.self) }
    case 13: { CPU(raw: $0).rrJcc($1.op, 13, Cmp.self, UInt16.self) }
    case 14: { CPU(raw: $0).rrJcc($1.op, 14, Cmp.self, UInt16.self) }
    default: { CPU(raw: $0).rrJcc($1.op, 15, Cmp.self, UInt16.self) }
    }
  }

  private static func compareRegisters32(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).rrJcc($1.op, 0, Cmp.self, UInt32.self) }
    case 1: { CPU(raw: $0).rrJcc($1.op, 1, Cmp.self, UInt32.self) }
    case 2: { CPU(raw: $0).rrJcc($1.op, 2, Cmp.self, UInt32.self) }
    case 3: { CPU(raw: $0).rrJcc($1.op, 3, Cmp.self, UInt32.self) }
    case 4: { CPU(raw: $0).rrJcc($1.op, 4, Cmp.self, UInt32.self) }
    case 5: { CPU(raw: $0).rrJcc($1.op, 5, Cmp.self, UInt32.self) }
    case 6: { CPU(raw: $0).rrJcc($1.op, 6, Cmp.self, UInt32.self) }
    case 7: { CPU(raw: $0).rrJcc($1.op, 7, Cmp.self, UInt32.self) }
    case 8: { CPU(raw: $0).rrJcc($1.op, 8, Cmp.self, UInt32.self) }
    case 9: { CPU(raw: $0).rrJcc($1.op, 9, Cmp.self, UInt32.self) }
    case 10: { CPU(raw: $0).rrJcc($1.op, 10, Cmp.self, UInt32.self) }
    case 11: { CPU(raw: $0).rrJcc($1.op, 11, Cmp.self, UInt32.self) }
    case 12: { CPU(raw: $0).rrJcc($1.op, 12, Cmp.self, UInt32.self) }
    case 13: { CPU(raw: $0).rrJcc($1.op, 13, Cmp.self, UInt32.self) }
    case 14: { CPU(raw: $0).rrJcc($1.op, 14, Cmp.self, UInt32.self) }
    default: { CPU(raw: $0).rrJcc($1.op, 15, Cmp.self, UInt32.self) }
    }
  }

  private static func compareRegisters64(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).rrJcc($1.op, 0, Cmp.self, UInt64.self) }
    case 1: { CPU(raw: $0).rrJcc($1.op, 1, Cmp.self, UInt64.self) }
    case 2: { CPU(raw: $0).rrJcc($1.op, 2, Cmp.self, UInt64.self) }
    case 3: { CPU(raw: $0).rrJcc($1.op, 3, Cmp.self, UInt64.self) }
    case 4: { CPU(raw: $0).rrJcc($1.op, 4, Cmp.self, UInt64.self) }
    case 5: { CPU(raw: $0).rrJcc($1.op, 5, Cmp.self, UInt64.self) }
    case 6: { CPU(raw: $0).rrJcc($1.op, 6, Cmp.self, UInt64.self) }
    case 7: { CPU(raw: $0).rrJcc($1.op, 7, Cmp.self, UInt64.self) }
    case 8: { CPU(raw: $0).rrJcc($1.op, 8, Cmp.self, UInt64.self) }
    case 9: { CPU(raw: $0).rrJcc($1.op, 9, Cmp.self, UInt64.self) }
    case 10: { CPU(raw: $0).rrJcc($1.op, 10, Cmp.self, UInt64.self) }
    case 11: { CPU(raw: $0).rrJcc($1.op, 11, Cmp.self, UInt64.self) }
    case 12: { CPU(raw: $0).rrJcc($1.op, 12, Cmp.self, UInt64.self) }
    case 13: { CPU(raw: $0).rrJcc($1.op, 13, Cmp.self, UInt64.self) }
    case 14: { CPU(raw: $0).rrJcc($1.op, 14, Cmp.self, UInt64.self) }
    default: { CPU(raw: $0).rrJcc($1.op, 15, Cmp.self, UInt64.self) }
    }
  }

  private static func compareImmediate8(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).riJcc($1.op, 0, Cmp.self, UInt8.self) }
    case 1: { CPU(raw: $0).riJcc($1.op, 1, Cmp.self, UInt8.self) }
    case 2: { CPU(raw: $0).riJcc($1.op, 2, Cmp.self, UInt8.self) }
    case 3: { CPU(raw: $0).riJcc($1.op, 3, Cmp.self, UInt8.self) }
    case 4: { CPU(raw: $0).riJcc($1.op, 4, Cmp.self, UInt8.self) }
    case 5: { CPU(raw: $0).riJcc($1.op, 5, Cmp.self, UInt8.self) }
    case 6: { CPU(raw: $0).riJcc($1.op, 6, Cmp.self, UInt8.self) }
    case 7: { CPU(raw: $0).riJcc($1.op, 7, Cmp.self, UInt8.self) }
    case 8: { CPU(raw: $0).riJcc($1.op, 8, Cmp.self, UInt8.self) }
    case 9: { CPU(raw: $0).riJcc($1.op, 9, Cmp.self, UInt8.self) }
    case 10: { CPU(raw: $0).riJcc($1.op, 10, Cmp.self, UInt8.self) }
    case 11: { CPU(raw: $0).riJcc($1.op, 11, Cmp.self, UInt8.self) }
    case 12: { CPU(raw: $0).riJcc($1.op, 12, Cmp.self, UInt8.self) }
    case 13: { CPU(raw: $0).riJcc($1.op, 13, Cmp.self, UInt8.self) }
    case 14: { CPU(raw: $0).riJcc($1.op, 14, Cmp.self, UInt8.self) }
    default: { CPU(raw: $0).riJcc($1.op, 15, Cmp.self, UInt8.self) }
    }
  }

  private static func compareImmediate16(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).riJcc($1.op, 0, Cmp.self, UInt16.self) }
    case 1: { CPU(raw: $0).riJcc($1.op, 1, Cmp.self, UInt16.self) }
    case 2: { CPU(raw: $0).riJcc($1.op, 2, Cmp.self, UInt16.self) }
    case 3: { CPU(raw: $0).riJcc($1.op, 3, Cmp.self, UInt16.self) }
    case 4: { CPU(raw: $0).riJcc($1.op, 4, Cmp.self, UInt16.self) }
    case 5: { CPU(raw: $0).riJcc($1.op, 5, Cmp.self, UInt16.self) }
    case 6: { CPU(raw: $0).riJcc($1.op, 6, Cmp.self, UInt16.self) }
    case 7: { CPU(raw: $0).riJcc($1.op, 7, Cmp.self, UInt16.self) }
    case 8: { CPU(raw: $0).riJcc($1.op, 8, Cmp.self, UInt16.self) }
    case 9: { CPU(raw: $0).riJcc($1.op, 9, Cmp.self, UInt16.self) }
    case 10: { CPU(raw: $0).riJcc($1.op, 10, Cmp.self, UInt16.self) }
    case 11: { CPU(raw: $0).riJcc($1.op, 11, Cmp.self, UInt16.self) }
    case 12: { CPU(raw: $0).riJcc($1.op, 12, Cmp.self, UInt16.self) }
    case 13: { CPU(raw: $0).riJcc($1.op, 13, Cmp.self, UInt16.self) }
    case 14: { CPU(raw: $0).riJcc($1.op, 14, Cmp.self, UInt16.self) }
    default: { CPU(raw: $0).riJcc($1.op, 15, Cmp.self, UInt16.self) }
    }
  }

  private static func compareImmediate32(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).riJcc($1.op, 0, Cmp.self, UInt32.self) }
    case 1: { CPU(raw: $0).riJcc($1.op, 1, Cmp.self, UInt32.self) }
    case 2: { CPU(raw: $0).riJcc($1.op, 2, Cmp.self, UInt32.self) }
    case 3: { CPU(raw: $0).riJcc($1.op, 3, Cmp.self, UInt32.self) }
    case 4: { CPU(raw: $0).riJcc($1.op, 4, Cmp.self, UInt32.self) }
    case 5: { CPU(raw: $0).riJcc($1.op, 5, Cmp.self, UInt32.self) }
    case 6: { CPU(raw: $0).riJcc($1.op, 6, Cmp.self, UInt32.self) }
    case 7: { CPU(raw: $0).riJcc($1.op, 7, Cmp.self, UInt32.self) }
    case 8: { CPU(raw: $0).riJcc($1.op, 8, Cmp.self, UInt32.self) }
    case 9: { CPU(raw: $0).riJcc($1.op, 9, Cmp.self, UInt32.self) }
    case 10: { CPU(raw: $0).riJcc($1.op, 10, Cmp.self, UInt32.self) }
    case 11: { CPU(raw: $0).riJcc($1.op, 11, Cmp.self, UInt32.self) }
    case 12: { CPU(raw: $0).riJcc($1.op, 12, Cmp.self, UInt32.self) }
    case 13: { CPU(raw: $0).riJcc($1.op, 13, Cmp.self, UInt32.self) }
    case 14: { CPU(raw: $0).riJcc($1.op, 14, Cmp.self, UInt32.self) }
    default: { CPU(raw: $0).riJcc($1.op, 15, Cmp.self, UInt32.self) }
    }
  }

  private static func compareImmediate64(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).riJcc($1.op, 0, Cmp.self, UInt64.self) }
    case 1: { CPU(raw: $0).riJcc($1.op, 1, Cmp.self, UInt64.self) }
    case 2: { CPU(raw: $0).riJcc($1.op, 2, Cmp.self, UInt64.self) }
    case 3: { CPU(raw: $0).riJcc($1.op, 3, Cmp.self, UInt64.self) }
    case 4: { CPU(raw: $0).riJcc($1.op, 4, Cmp.self, UInt64.self) }
    case 5: { CPU(raw: $0).riJcc($1.op, 5, Cmp.self, UInt64.self) }
    case 6: { CPU(raw: $0).riJcc($1.op, 6, Cmp.self, UInt64.self) }
    case 7: { CPU(raw: $0).riJcc($1.op, 7, Cmp.self, UInt64.self) }
    case 8: { CPU(raw: $0).riJcc($1.op, 8, Cmp.self, UInt64.self) }
    case 9: { CPU(raw: $0).riJcc($1.op, 9, Cmp.self, UInt64.self) }
    case 10: { CPU(raw: $0).riJcc($1.op, 10, Cmp.self, UInt64.self) }
    case 11: { CPU(raw: $0).riJcc($1.op, 11, Cmp.self, UInt64.self) }
    case 12: { CPU(raw: $0).riJcc($1.op, 12, Cmp.self, UInt64.self) }
    case 13: { CPU(raw: $0).riJcc($1.op, 13, Cmp.self, UInt64.self) }
    case 14: { CPU(raw: $0).riJcc($1.op, 14, Cmp.self, UInt64.self) }
    default: { CPU(raw: $0).riJcc($1.op, 15, Cmp.self, UInt64.self) }
    }
  }

  private static func testRegisters8(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).rrJcc($1.op, 0, Test.self, UInt8.self) }
    case 1: { CPU(raw: $0).rrJcc($1.op, 1, Test.self, UInt8.self) }
    case 2: { CPU(raw: $0).rrJcc($1.op, 2, Test.self, UInt8.self) }
    case 3: { CPU(raw: $0).rrJcc($1.op, 3, Test.self, UInt8.self) }
    case 4: { CPU(raw: $0).rrJcc($1.op, 4, Test.self, UInt8.self) }
    case 5: { CPU(raw: $0).rrJcc($1.op, 5, Test.self, UInt8.self) }
    case 6: { CPU(raw: $0).rrJcc($1.op, 6, Test.self, UInt8.self) }
    case 7: { CPU(raw: $0).rrJcc($1.op, 7, Test.self, UInt8.self) }
    case 8: { CPU(raw: $0).rrJcc($1.op, 8, Test.self, UInt8.self) }
    case 9: { CPU(raw: $0).rrJcc($1.op, 9, Test.self, UInt8.self) }
    case 10: { CPU(raw: $0).rrJcc($1.op, 10, Test.self, UInt8.self) }
    case 11: { CPU(raw: $0).rrJcc($1.op, 11, Test.self, UInt8.self) }
    case 12: { CPU(raw: $0).rrJcc($1.op, 12, Test.self, UInt8.self) }
    case 13: { CPU(raw: $0).rrJcc($1.op, 13, Test.self, UInt8.self) }
    case 14: { CPU(raw: $0).rrJcc($1.op, 14, Test.self, UInt8.self) }
    default: { CPU(raw: $0).rrJcc($1.op, 15, Test.self, UInt8.self) }
    }
  }

  private static func testRegisters32(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).rrJcc($1.op, 0, Test.self, UInt32.self) }
    case 1: { CPU(raw: $0).rrJcc($1.op, 1, Test.self, UInt32.self) }
    case 2: { CPU(raw: $0).rrJcc($1.op, 2, Test.self, UInt32.self) }
    case 3: { CPU(raw: $0).rrJcc($1.op, 3, Test.self, UInt32.self) }
    case 4: { CPU(raw: $0).rrJcc($1.op, 4, Test.self, UInt32.self) }
    case 5: { CPU(raw: $0).rrJcc($1.op, 5, Test.self, UInt32.self) }
    case 6: { CPU(raw: $0).rrJcc($1.op, 6, Test.self, UInt32.self) }
    case 7: { CPU(raw: $0).rrJcc($1.op, 7, Test.self, UInt32.self) }
    case 8: { CPU(raw: $0).rrJcc($1.op, 8, Test.self, UInt32.self) }
    case 9: { CPU(raw: $0).rrJcc($1.op, 9, Test.self, UInt32.self) }
    case 10: { CPU(raw: $0).rrJcc($1.op, 10, Test.self, UInt32.self) }
    case 11: { CPU(raw: $0).rrJcc($1.op, 11, Test.self, UInt32.self) }
    case 12: { CPU(raw: $0).rrJcc($1.op, 12, Test.self, UInt32.self) }
    case 13: { CPU(raw: $0).rrJcc($1.op, 13, Test.self, UInt32.self) }
    case 14: { CPU(raw: $0).rrJcc($1.op, 14, Test.self, UInt32.self) }
    default: { CPU(raw: $0).rrJcc($1.op, 15, Test.self, UInt32.self) }
    }
  }

  private static func testRegisters64(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).rrJcc($1.op, 0, Test.self, UInt64.self) }
    case 1: { CPU(raw: $0).rrJcc($1.op, 1, Test.self, UInt64.self) }
    case 2: { CPU(raw: $0).rrJcc($1.op, 2, Test.self, UInt64.self) }
    case 3: { CPU(raw: $0).rrJcc($1.op, 3, Test.self, UInt64.self) }
    case 4: { CPU(raw: $0).rrJcc($1.op, 4, Test.self, UInt64.self) }
    case 5: { CPU(raw: $0).rrJcc($1.op, 5, Test.self, UInt64.self) }
    case 6: { CPU(raw: $0).rrJcc($1.op, 6, Test.self, UInt64.self) }
    case 7: { CPU(raw: $0).rrJcc($1.op, 7, Test.self, UInt64.self) }
    case 8: { CPU(raw: $0).rrJcc($1.op, 8, Test.self, UInt64.self) }
    case 9: { CPU(raw: $0).rrJcc($1.op, 9, Test.self, UInt64.self) }
    case 10: { CPU(raw: $0).rrJcc($1.op, 10, Test.self, UInt64.self) }
    case 11: { CPU(raw: $0).rrJcc($1.op, 11, Test.self, UInt64.self) }
    case 12: { CPU(raw: $0).rrJcc($1.op, 12, Test.self, UInt64.self) }
    case 13: { CPU(raw: $0).rrJcc($1.op, 13, Test.self, UInt64.self) }
    case 14: { CPU(raw: $0).rrJcc($1.op, 14, Test.self, UInt64.self) }
    default: { CPU(raw: $0).rrJcc($1.op, 15, Test.self, UInt64.self) }
    }
  }

  private static func testImmediate8(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).riJcc($1.op, 0, Test.self, UInt8.self) }
    case 1: { CPU(raw: $0).riJcc($1.op, 1, Test.self, UInt8.self) }
    case 2: { CPU(raw: $0).riJcc($1.op, 2, Test.self, UInt8.self) }
    case 3: { CPU(raw: $0).riJcc($1.op, 3, Test.self, UInt8.self) }
    case 4: { CPU(raw: $0).riJcc($1.op, 4, Test.self, UInt8.self) }
    case 5: { CPU(raw: $0).riJcc($1.op, 5, Test.self, UInt8.self) }
    case 6: { CPU(raw: $0).riJcc($1.op, 6, Test.self, UInt8.self) }
    case 7: { CPU(raw: $0).riJcc($1.op, 7, Test.self, UInt8.self) }
    case 8: { CPU(raw: $0).riJcc($1.op, 8, Test.self, UInt8.self) }
    case 9: { CPU(raw: $0).riJcc($1.op, 9, Test.self, UInt8.self) }
    case 10: { CPU(raw: $0).riJcc($1.op, 10, Test.self, UInt8.self) }
    case 11: { CPU(raw: $0).riJcc($1.op, 11, Test.self, UInt8.self) }
    case 12: { CPU(raw: $0).riJcc($1.op, 12, Test.self, UInt8.self) }
    case 13: { CPU(raw: $0).riJcc($1.op, 13, Test.self, UInt8.self) }
    case 14: { CPU(raw: $0).riJcc($1.op, 14, Test.self, UInt8.self) }
    default: { CPU(raw: $0).riJcc($1.op, 15, Test.self, UInt8.self) }
    }
  }

  private static func testImmediate32(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).riJcc($1.op, 0, Test.self, UInt32.self) }
    case 1: { CPU(raw: $0).riJcc($1.op, 1, Test.self, UInt32.self) }
    case 2: { CPU(raw: $0).riJcc($1.op, 2, Test.self, UInt32.self) }
    case 3: { CPU(raw: $0).riJcc($1.op, 3, Test.self, UInt32.self) }
    case 4: { CPU(raw: $0).riJcc($1.op, 4, Test.self, UInt32.self) }
    case 5: { CPU(raw: $0).riJcc($1.op, 5, Test.self, UInt32.self) }
    case 6: { CPU(raw: $0).riJcc($1.op, 6, Test.self, UInt32.self) }
    case 7: { CPU(raw: $0).riJcc($1.op, 7, Test.self, UInt32.self) }
    case 8: { CPU(raw: $0).riJcc($1.op, 8, Test.self, UInt32.self) }
    case 9: { CPU(raw: $0).riJcc($1.op, 9, Test.self, UInt32.self) }
    case 10: { CPU(raw: $0).riJcc($1.op, 10, Test.self, UInt32.self) }
    case 11: { CPU(raw: $0).riJcc($1.op, 11, Test.self, UInt32.self) }
    case 12: { CPU(raw: $0).riJcc($1.op, 12, Test.self, UInt32.self) }
    case 13: { CPU(raw: $0).riJcc($1.op, 13, Test.self, UInt32.self) }
    case 14: { CPU(raw: $0).riJcc($1.op, 14, Test.self, UInt32.self) }
    default: { CPU(raw: $0).riJcc($1.op, 15, Test.self, UInt32.self) }
    }
  }
}
