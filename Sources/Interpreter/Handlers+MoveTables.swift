/// Which handler executes a form of a move, a shift, a jump or a string instruction.
extension Handlers {
  static func move(_ form: Form, _ size: UInt8) -> Threaded {
    switch form {
    case .registers:
      switch size {
      case 0: { CPU(raw: $0).movRR($1.op, UInt8.self) }
      case 1: { CPU(raw: $0).movRR($1.op, UInt16.self) }
      case 2: { CPU(raw: $0).movRR($1.op, UInt32.self) }
      default: { CPU(raw: $0).movRR($1.op, UInt64.self) }
      }
    case .registerMemory:
      switch size {
      case 0: { CPU(raw: $0).movRM($1.op, UInt8.self) }
      case 1: { CPU(raw: $0).movRM($1.op, UInt16.self) }
      case 2: { CPU(raw: $0).movRM($1.op, UInt32.self) }
      default: { CPU(raw: $0).movRM($1.op, UInt64.self) }
      }
    default:
      switch size {
      case 0: { CPU(raw: $0).movMR($1.op, UInt8.self) }
      case 1: { CPU(raw: $0).movMR($1.op, UInt16.self) }
      case 2: { CPU(raw: $0).movMR($1.op, UInt32.self) }
      default: { CPU(raw: $0).movMR($1.op, UInt64.self) }
      }
    }
  }

  static func moveImmediate(memory: Bool, _ size: UInt8) -> Threaded {
    switch (memory, size) {
    case (false, 0): { CPU(raw: $0).movRI($1.op, UInt8.self) }
    case (false, 1): { CPU(raw: $0).movRI($1.op, UInt16.self) }
    case (false, 2): { CPU(raw: $0).movRI($1.op, UInt32.self) }
    case (false, 3): { CPU(raw: $0).movRI($1.op, UInt64.self) }
    case (true, 0): { CPU(raw: $0).movMI($1.op, UInt8.self) }
    case (true, 1): { CPU(raw: $0).movMI($1.op, UInt16.self) }
    case (true, 2): { CPU(raw: $0).movMI($1.op, UInt32.self) }
    default: { CPU(raw: $0).movMI($1.op, UInt64.self) }
    }
  }

  static func incDec(dec: Bool, memory: Bool, _ size: UInt8) -> Threaded {
    switch (dec, memory, size) {
    case (false, false, 0): { CPU(raw: $0).incR($1.op, UInt8.self) }
    case (false, false, 1): { CPU(raw: $0).incR($1.op, UInt16.self) }
    case (false, false, 2): { CPU(raw: $0).incR($1.op, UInt32.self) }
    case (false, false, 3): { CPU(raw: $0).incR($1.op, UInt64.self) }
    case (false, true, 0): { CPU(raw: $0).incM($1.op, UInt8.self) }
    case (false, true, 1): { CPU(raw: $0).incM($1.op, UInt16.self) }
    case (false, true, 2): { CPU(raw: $0).incM($1.op, UInt32.self) }
    case (false, true, 3): { CPU(raw: $0).incM($1.op, UInt64.self) }
    case (true, false, 0): { CPU(raw: $0).decR($1.op, UInt8.self) }
    case (true, false, 1): { CPU(raw: $0).decR($1.op, UInt16.self) }
    case (true, false, 2): { CPU(raw: $0).decR($1.op, UInt32.self) }
    case (true, false, 3): { CPU(raw: $0).decR($1.op, UInt64.self) }
    case (true, true, 0): { CPU(raw: $0).decM($1.op, UInt8.self) }
    case (true, true, 1): { CPU(raw: $0).decM($1.op, UInt16.self) }
    case (true, true, 2): { CPU(raw: $0).decM($1.op, UInt32.self) }
    default: { CPU(raw: $0).decM($1.op, UInt64.self) }
    }
  }

  static func notNegate(negate: Bool, memory: Bool, _ size: UInt8) -> Threaded {
    switch (negate, memory, size) {
    case (false, false, 0): { CPU(raw: $0).notR($1.op, UInt8.self) }
    case (false, false, 1): { CPU(raw: $0).notR($1.op, UInt16.self) }
    case (false, false, 2): { CPU(raw: $0).notR($1.op, UInt32.self) }
    case (false, false, 3): { CPU(raw: $0).notR($1.op, UInt64.self) }
    case (false, true, 0): { CPU(raw: $0).notM($1.op, UInt8.self) }
    case (false, true, 1): { CPU(raw: $0).notM($1.op, UInt16.self) }
    case (false, true, 2): { CPU(raw: $0).notM($1.op, UInt32.self) }
    case (false, true, 3): { CPU(raw: $0).notM($1.op, UInt64.self) }
    case (true, false, 0): { CPU(raw: $0).negR($1.op, UInt8.self) }
    case (true, false, 1): { CPU(raw: $0).negR($1.op, UInt16.self) }
    case (true, false, 2): { CPU(raw: $0).negR($1.op, UInt32.self) }
    case (true, false, 3): { CPU(raw: $0).negR($1.op, UInt64.self) }
    case (true, true, 0): { CPU(raw: $0).negM($1.op, UInt8.self) }
    case (true, true, 1): { CPU(raw: $0).negM($1.op, UInt16.self) }
    case (true, true, 2): { CPU(raw: $0).negM($1.op, UInt32.self) }
    default: { CPU(raw: $0).negM($1.op, UInt64.self) }
    }
  }

  static func extend(signed: Bool, memory: Bool, from: UInt8, to: UInt8) -> Threaded {
    switch (signed, memory, from << 2 | to) {
    case (false, false, 1): { CPU(raw: $0).zxR($1.op, UInt8.self, UInt16.self) }
    case (false, false, 2): { CPU(raw: $0).zxR($1.op, UInt8.self, UInt32.self) }
    case (false, false, 3): { CPU(raw: $0).zxR($1.op, UInt8.self, UInt64.self) }
    case (false, false, 6): { CPU(raw: $0).zxR($1.op, UInt16.self, UInt32.self) }
    case (false, false, 7): { CPU(raw: $0).zxR($1.op, UInt16.self, UInt64.self) }
    case (false, false, 11): { CPU(raw: $0).zxR($1.op, UInt32.self, UInt64.self) }
    case (false, true, 1): { CPU(raw: $0).zxM($1.op, UInt8.self, UInt16.self) }
    case (false, true, 2): { CPU(raw: $0).zxM($1.op, UInt8.self, UInt32.self) }
    case (false, true, 3): { CPU(raw: $0).zxM($1.op, UInt8.self, UInt64.self) }
    case (false, true, 6): { CPU(raw: $0).zxM($1.op, UInt16.self, UInt32.self) }
    case (false, true, 7): { CPU(raw: $0).zxM($1.op, UInt16.self, UInt64.self) }
    case (false, true, 11): { CPU(raw: $0).zxM($1.op, UInt32.self, UInt64.self) }
    case (true, false, 1): { CPU(raw: $0).sxR($1.op, UInt8.self, UInt16.self) }
    case (true, false, 2): { CPU(raw: $0).sxR($1.op, UInt8.self, UInt32.self) }
    case (true, false, 3): { CPU(raw: $0).sxR($1.op, UInt8.self, UInt64.self) }
    case (true, false, 6): { CPU(raw: $0).sxR($1.op, UInt16.self, UInt32.self) }
    case (true, false, 7): { CPU(raw: $0).sxR($1.op, UInt16.self, UInt64.self) }
    case (true, false, 11): { CPU(raw: $0).sxR($1.op, UInt32.self, UInt64.self) }
    case (true, true, 1): { CPU(raw: $0).sxM($1.op, UInt8.self, UInt16.self) }
    case (true, true, 2): { CPU(raw: $0).sxM($1.op, UInt8.self, UInt32.self) }
    case (true, true, 3): { CPU(raw: $0).sxM($1.op, UInt8.self, UInt64.self) }
    case (true, true, 6): { CPU(raw: $0).sxM($1.op, UInt16.self, UInt32.self) }
    case (true, true, 7): { CPU(raw: $0).sxM($1.op, UInt16.self, UInt64.self) }
    default: { CPU(raw: $0).sxM($1.op, UInt32.self, UInt64.self) }
    }
  }

  static func shift(_ operation: UInt8, memory: Bool, _ size: UInt8) -> Threaded {
    memory ? shiftMemory(operation << 2 | size & 3) : shiftRegister(operation << 2 | size & 3)
  }

  private static func shiftRegister(_ index: UInt8) -> Threaded {
    switch index {
    case 0: { CPU(raw: $0).shiftR($1.op, Rol.self, UInt8.self) }
    case 1: { CPU(raw: $0).shiftR($1.op, Rol.self, UInt16.self) }
    case 2: { CPU(raw: $0).shiftR($1.op, Rol.self, UInt32.self) }
    case 3: { CPU(raw: $0).shiftR($1.op, Rol.self, UInt64.self) }
    case 4: { CPU(raw: $0).shiftR($1.op, Ror.self, UInt8.self) }
    case 5: { CPU(raw: $0).shiftR($1.op, Ror.self, UInt16.self) }
    case 6: { CPU(raw: $0).shiftR($1.op, Ror.self, UInt32.self) }
    case 7: { CPU(raw: $0).shiftR($1.op, Ror.self, UInt64.self) }
    case 8: { CPU(raw: $0).shiftR($1.op, Rcl.self, UInt8.self) }
    case 9: { CPU(raw: $0).shiftR($1.op, Rcl.self, UInt16.self) }
    case 10: { CPU(raw: $0).shiftR($1.op, Rcl.self, UInt32.self) }
    case 11: { CPU(raw: $0).shiftR($1.op, Rcl.self, UInt64.self) }
    case 12: { CPU(raw: $0).shiftR($1.op, Rcr.self, UInt8.self) }
    case 13: { CPU(raw: $0).shiftR($1.op, Rcr.self, UInt16.self) }
    case 14: { CPU(raw: $0).shiftR($1.op, Rcr.self, UInt32.self) }
    case 15: { CPU(raw: $0).shiftR($1.op, Rcr.self, UInt64.self) }
    case 16: { CPU(raw: $0).shiftR($1.op, Shl.self, UInt8.self) }
    case 17: { CPU(raw: $0).shiftR($1.op, Shl.self, UInt16.self) }
    case 18: { CPU(raw: $0).shiftR($1.op, Shl.self, UInt32.self) }
    case 19: { CPU(raw: $0).shiftR($1.op, Shl.self, UInt64.self) }
    case 20: { CPU(raw: $0).shiftR($1.op, Shr.self, UInt8.self) }
    case 21: { CPU(raw: $0).shiftR($1.op, Shr.self, UInt16.self) }
    case 22: { CPU(raw: $0).shiftR($1.op, Shr.self, UInt32.self) }
    case 23: { CPU(raw: $0).shiftR($1.op, Shr.self, UInt64.self) }
    case 24: { CPU(raw: $0).shiftR($1.op, Shl.self, UInt8.self) }
    case 25: { CPU(raw: $0).shiftR($1.op, Shl.self, UInt16.self) }
    case 26: { CPU(raw: $0).shiftR($1.op, Shl.self, UInt32.self) }
    case 27: { CPU(raw: $0).shiftR($1.op, Shl.self, UInt64.self) }
    case 28: { CPU(raw: $0).shiftR($1.op, Sar.self, UInt8.self) }
    case 29: { CPU(raw: $0).shiftR($1.op, Sar.self, UInt16.self) }
    case 30: { CPU(raw: $0).shiftR($1.op, Sar.self, UInt32.self) }
    default: { CPU(raw: $0).shiftR($1.op, Sar.self, UInt64.self) }
    }
  }

  private static func shiftMemory(_ index: UInt8) -> Threaded {
    switch index {
    case 0: { CPU(raw: $0).shiftM($1.op, Rol.self, UInt8.self) }
    case 1: { CPU(raw: $0).shiftM($1.op, Rol.self, UInt16.self) }
    case 2: { CPU(raw: $0).shiftM($1.op, Rol.self, UInt32.self) }
    case 3: { CPU(raw: $0).shiftM($1.op, Rol.self, UInt64.self) }
    case 4: { CPU(raw: $0).shiftM($1.op, Ror.self, UInt8.self) }
    case 5: { CPU(raw: $0).shiftM($1.op, Ror.self, UInt16.self) }
    case 6: { CPU(raw: $0).shiftM($1.op, Ror.self, UInt32.self) }
    case 7: { CPU(raw: $0).shiftM($1.op, Ror.self, UInt64.self) }
    case 8: { CPU(raw: $0).shiftM($1.op, Rcl.self, UInt8.self) }
    case 9: { CPU(raw: $0).shiftM($1.op, Rcl.self, UInt16.self) }
    case 10: { CPU(raw: $0).shiftM($1.op, Rcl.self, UInt32.self) }
    case 11: { CPU(raw: $0).shiftM($1.op, Rcl.self, UInt64.self) }
    case 12: { CPU(raw: $0).shiftM($1.op, Rcr.self, UInt8.self) }
    case 13: { CPU(raw: $0).shiftM($1.op, Rcr.self, UInt16.self) }
    case 14: { CPU(raw: $0).shiftM($1.op, Rcr.self, UInt32.self) }
    case 15: { CPU(raw: $0).shiftM($1.op, Rcr.self, UInt64.self) }
    case 16: { CPU(raw: $0).shiftM($1.op, Shl.self, UInt8.self) }
    case 17: { CPU(raw: $0).shiftM($1.op, Shl.self, UInt16.self) }
    case 18: { CPU(raw: $0).shiftM($1.op, Shl.self, UInt32.self) }
    case 19: { CPU(raw: $0).shiftM($1.op, Shl.self, UInt64.self) }
    case 20: { CPU(raw: $0).shiftM($1.op, Shr.self, UInt8.self) }
    case 21: { CPU(raw: $0).shiftM($1.op, Shr.self, UInt16.self) }
    case 22: { CPU(raw: $0).shiftM($1.op, Shr.self, UInt32.self) }
    case 23: { CPU(raw: $0).shiftM($1.op, Shr.self, UInt64.self) }
    case 24: { CPU(raw: $0).shiftM($1.op, Shl.self, UInt8.self) }
    case 25: { CPU(raw: $0).shiftM($1.op, Shl.self, UInt16.self) }
    case 26: { CPU(raw: $0).shiftM($1.op, Shl.self, UInt32.self) }
    case 27: { CPU(raw: $0).shiftM($1.op, Shl.self, UInt64.self) }
    case 28: { CPU(raw: $0).shiftM($1.op, Sar.self, UInt8.self) }
    case 29: { CPU(raw: $0).shiftM($1.op, Sar.self, UInt16.self) }
    case 30: { CPU(raw: $0).shiftM($1.op, Sar.self, UInt32.self) }
    default: { CPU(raw: $0).shiftM($1.op, Sar.self, UInt64.self) }
    }
  }

  static func jcc(_ condition: UInt8) -> Threaded {
    switch condition {
    case 0: { CPU(raw: $0).jcc($1.op, 0) }
    case 1: { CPU(raw: $0).jcc($1.op, 1) }
    case 2: { CPU(raw: $0).jcc($1.op, 2) }
    case 3: { CPU(raw: $0).jcc($1.op, 3) }
    case 4: { CPU(raw: $0).jcc($1.op, 4) }
    case 5: { CPU(raw: $0).jcc($1.op, 5) }
    case 6: { CPU(raw: $0).jcc($1.op, 6) }
    case 7: { CPU(raw: $0).jcc($1.op, 7) }
    case 8: { CPU(raw: $0).jcc($1.op, 8) }
    case 9: { CPU(raw: $0).jcc($1.op, 9) }
    case 10: { CPU(raw: $0).jcc($1.op, 10) }
    case 11: { CPU(raw: $0).jcc($1.op, 11) }
    case 12: { CPU(raw: $0).jcc($1.op, 12) }
    case 13: { CPU(raw: $0).jcc($1.op, 13) }
    case 14: { CPU(raw: $0).jcc($1.op, 14) }
    default: { CPU(raw: $0).jcc($1.op, 15) }
    }
  }

  static func pushRegister(_ size: UInt8) -> Threaded {
    switch size {
    case 1: { CPU(raw: $0).pushR($1.op, UInt16.self) }
    case 2: { CPU(raw: $0).pushR($1.op, UInt32.self) }
    default: { CPU(raw: $0).pushR($1.op, UInt64.self) }
    }
  }

  static func popRegister(_ size: UInt8) -> Threaded {
    switch size {
    case 1: { CPU(raw: $0).popR($1.op, UInt16.self) }
    case 2: { CPU(raw: $0).popR($1.op, UInt32.self) }
    default: { CPU(raw: $0).popR($1.op, UInt64.self) }
    }
  }

  static func loadAddress(_ size: UInt8) -> Threaded {
    switch size {
    case 1: { CPU(raw: $0).lea($1.op, UInt16.self) }
    case 2: { CPU(raw: $0).lea($1.op, UInt32.self) }
    default: { CPU(raw: $0).lea($1.op, UInt64.self) }
    }
  }

  static func call(_ size: UInt8) -> Threaded {
    switch size {
    case 1: { CPU(raw: $0).callRelative($1.op, UInt16.self) }
    case 2: { CPU(raw: $0).callRelative($1.op, UInt32.self) }
    default: { CPU(raw: $0).callRelative($1.op, UInt64.self) }
    }
  }

  static let jump: Threaded = { CPU(raw: $0).jumpRelative($1.op) }

  static func jumpIndirect(_ size: UInt8) -> Threaded {
    switch size {
    case 1: { CPU(raw: $0).jumpIndirect($1.op, UInt16.self) }
    case 2: { CPU(raw: $0).jumpIndirect($1.op, UInt32.self) }
    default: { CPU(raw: $0).jumpIndirect($1.op, UInt64.self) }
    }
  }

  static func callIndirect(_ size: UInt8) -> Threaded {
    switch size {
    case 1: { CPU(raw: $0).callIndirect($1.op, UInt16.self) }
    case 2: { CPU(raw: $0).callIndirect($1.op, UInt32.self) }
    default: { CPU(raw: $0).callIndirect($1.op, UInt64.self) }
    }
  }

  static func pushImmediate(_ size: UInt8) -> Threaded {
    switch size {
    case 1: { CPU(raw: $0).pushI($1.op, UInt16.self) }
    case 2: { CPU(raw: $0).pushI($1.op, UInt32.self) }
    default: { CPU(raw: $0).pushI($1.op, UInt64.self) }
    }
  }

  static func returnNear(_ size: UInt8) -> Threaded {
    switch size {
    case 1: { CPU(raw: $0).returnNear($1.op, UInt16.self) }
    case 2: { CPU(raw: $0).returnNear($1.op, UInt32.self) }
    default: { CPU(raw: $0).returnNear($1.op, UInt64.self) }
    }
  }

  static func moveString(_ size: UInt8) -> Threaded {
    switch size {
    case 0: { CPU(raw: $0).done($1.op, CPU(raw: $0).movs($1.op, UInt8.self)) }
    case 1: { CPU(raw: $0).done($1.op, CPU(raw: $0).movs($1.op, UInt16.self)) }
    case 2: { CPU(raw: $0).done($1.op, CPU(raw: $0).movs($1.op, UInt32.self)) }
    default: { CPU(raw: $0).done($1.op, CPU(raw: $0).movs($1.op, UInt64.self)) }
    }
  }

  static func compareString(_ size: UInt8) -> Threaded {
    switch size {
    case 0: { CPU(raw: $0).done($1.op, CPU(raw: $0).cmps($1.op, UInt8.self)) }
    case 1: { CPU(raw: $0).done($1.op, CPU(raw: $0).cmps($1.op, UInt16.self)) }
    case 2: { CPU(raw: $0).done($1.op, CPU(raw: $0).cmps($1.op, UInt32.self)) }
    default: { CPU(raw: $0).done($1.op, CPU(raw: $0).cmps($1.op, UInt64.self)) }
    }
  }

  static func fillString(_ size: UInt8) -> Threaded {
    switch size {
    case 0: { CPU(raw: $0).done($1.op, CPU(raw: $0).stos($1.op, UInt8.self)) }
    case 1: { CPU(raw: $0).done($1.op, CPU(raw: $0).stos($1.op, UInt16.self)) }
    case 2: { CPU(raw: $0).done($1.op, CPU(raw: $0).stos($1.op, UInt32.self)) }
    default: { CPU(raw: $0).done($1.op, CPU(raw: $0).stos($1.op, UInt64.self)) }
    }
  }

  static func loadString(_ size: UInt8) -> Threaded {
    switch size {
    case 0: { CPU(raw: $0).done($1.op, CPU(raw: $0).lods($1.op, UInt8.self)) }
    case 1: { CPU(raw: $0).done($1.op, CPU(raw: $0).lods($1.op, UInt16.self)) }
    case 2: { CPU(raw: $0).done($1.op, CPU(raw: $0).lods($1.op, UInt32.self)) }
    default: { CPU(raw: $0).done($1.op, CPU(raw: $0).lods($1.op, UInt64.self)) }
    }
  }

  static func scanString(_ size: UInt8) -> Threaded {
    switch size {
    case 0: { CPU(raw: $0).done($1.op, CPU(raw: $0).scas($1.op, UInt8.self)) }
    case 1: { CPU(raw: $0).done($1.op, CPU(raw: $0).scas($1.op, UInt16.self)) }
    case 2: { CPU(raw: $0).done($1.op, CPU(raw: $0).scas($1.op, UInt32.self)) }
    default: { CPU(raw: $0).done($1.op, CPU(raw: $0).scas($1.op, UInt64.self)) }
    }
  }
}
