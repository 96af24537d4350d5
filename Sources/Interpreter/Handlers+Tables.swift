/// Where an operation of two operands has them.
enum Form { case registers, registerImmediate, registerMemory, memoryRegister, memoryImmediate }

// A C function can't be made from a generic one, so every width has its line here.

extension Handlers {
  /// ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST (0 to 8).
  static func arithmetic(_ operation: UInt8, _ form: Form, _ size: UInt8) -> Threaded {
    switch form {
    case .registers: arithmeticRegisters(operation << 2 | size & 3)
    case .registerImmediate: arithmeticRegisterImmediate(operation << 2 | size & 3)
    case .registerMemory: arithmeticRegisterMemory(operation << 2 | size & 3)
    case .memoryRegister: arithmeticMemoryRegister(operation << 2 | size & 3)
    case .memoryImmediate: arithmeticMemoryImmediate(operation << 2 | size & 3)
    }
  }

  private static func arithmeticRegisters(_ index: UInt8) -> Threaded {
    switch index {
    case 0: { CPU(raw: $0).rr($1.op, Add.self, UInt8.self) }
    case 1: { CPU(raw: $0).rr($1.op, Add.self, UInt16.self) }
    case 2: { CPU(raw: $0).rr($1.op, Add.self, UInt32.self) }
    case 3: { CPU(raw: $0).rr($1.op, Add.self, UInt64.self) }
    case 4: { CPU(raw: $0).rr($1.op, Or.self, UInt8.self) }
    case 5: { CPU(raw: $0).rr($1.op, Or.self, UInt16.self) }
    case 6: { CPU(raw: $0).rr($1.op, Or.self, UInt32.self) }
    case 7: { CPU(raw: $0).rr($1.op, Or.self, UInt64.self) }
    case 8: { CPU(raw: $0).rr($1.op, Adc.self, UInt8.self) }
    case 9: { CPU(raw: $0).rr($1.op, Adc.self, UInt16.self) }
    case 10: { CPU(raw: $0).rr($1.op, Adc.self, UInt32.self) }
    case 11: { CPU(raw: $0).rr($1.op, Adc.self, UInt64.self) }
    case 12: { CPU(raw: $0).rr($1.op, Sbb.self, UInt8.self) }
    case 13: { CPU(raw: $0).rr($1.op, Sbb.self, UInt16.self) }
    case 14: { CPU(raw: $0).rr($1.op, Sbb.self, UInt32.self) }
    case 15: { CPU(raw: $0).rr($1.op, Sbb.self, UInt64.self) }
    case 16: { CPU(raw: $0).rr($1.op, And.self, UInt8.self) }
    case 17: { CPU(raw: $0).rr($1.op, And.self, UInt16.self) }
    case 18: { CPU(raw: $0).rr($1.op, And.self, UInt32.self) }
    case 19: { CPU(raw: $0).rr($1.op, And.self, UInt64.self) }
    case 20: { CPU(raw: $0).rr($1.op, Sub.self, UInt8.self) }
    case 21: { CPU(raw: $0).rr($1.op, Sub.self, UInt16.self) }
    case 22: { CPU(raw: $0).rr($1.op, Sub.self, UInt32.self) }
    case 23: { CPU(raw: $0).rr($1.op, Sub.self, UInt64.self) }
    case 24: { CPU(raw: $0).rr($1.op, Xor.self, UInt8.self) }
    case 25: { CPU(raw: $0).rr($1.op, Xor.self, UInt16.self) }
    case 26: { CPU(raw: $0).rr($1.op, Xor.self, UInt32.self) }
    case 27: { CPU(raw: $0).rr($1.op, Xor.self, UInt64.self) }
    case 28: { CPU(raw: $0).rr($1.op, Cmp.self, UInt8.self) }
    case 29: { CPU(raw: $0).rr($1.op, Cmp.self, UInt16.self) }
    case 30: { CPU(raw: $0).rr($1.op, Cmp.self, UInt32.self) }
    case 31: { CPU(raw: $0).rr($1.op, Cmp.self, UInt64.self) }
    case 32: { CPU(raw: $0).rr($1.op, Test.self, UInt8.self) }
    case 33: { CPU(raw: $0).rr($1.op, Test.self, UInt16.self) }
    case 34: { CPU(raw: $0).rr($1.op, Test.self, UInt32.self) }
    default: { CPU(raw: $0).rr($1.op, Test.self, UInt64.self) }
    }
  }

  private static func arithmeticRegisterImmediate(_ index: UInt8) -> Threaded {
    switch index {
    case 0: { CPU(raw: $0).ri($1.op, Add.self, UInt8.self) }
    case 1: { CPU(raw: $0).ri($1.op, Add.self, UInt16.self) }
    case 2: { CPU(raw: $0).ri($1.op, Add.self, UInt32.self) }
    case 3: { CPU(raw: $0).ri($1.op, Add.self, UInt64.self) }
    case 4: { CPU(raw: $0).ri($1.op, Or.self, UInt8.self) }
    case 5: { CPU(raw: $0).ri($1.op, Or.self, UInt16.self) }
    case 6: { CPU(raw: $0).ri($1.op, Or.self, UInt32.self) }
    case 7: { CPU(raw: $0).ri($1.op, Or.self, UInt64.self) }
    case 8: { CPU(raw: $0).ri($1.op, Adc.self, UInt8.self) }
    case 9: { CPU(raw: $0).ri($1.op, Adc.self, UInt16.self) }
    case 10: { CPU(raw: $0).ri($1.op, Adc.self, UInt32.self) }
    case 11: { CPU(raw: $0).ri($1.op, Adc.self, UInt64.self) }
    case 12: { CPU(raw: $0).ri($1.op, Sbb.self, UInt8.self) }
    case 13: { CPU(raw: $0).ri($1.op, Sbb.self, UInt16.self) }
    case 14: { CPU(raw: $0).ri($1.op, Sbb.self, UInt32.self) }
    case 15: { CPU(raw: $0).ri($1.op, Sbb.self, UInt64.self) }
    case 16: { CPU(raw: $0).ri($1.op, And.self, UInt8.self) }
    case 17: { CPU(raw: $0).ri($1.op, And.self, UInt16.self) }
    case 18: { CPU(raw: $0).ri($1.op, And.self, UInt32.self) }
    case 19: { CPU(raw: $0).ri($1.op, And.self, UInt64.self) }
    case 20: { CPU(raw: $0).ri($1.op, Sub.self, UInt8.self) }
    case 21: { CPU(raw: $0).ri($1.op, Sub.self, UInt16.self) }
    case 22: { CPU(raw: $0).ri($1.op, Sub.self, UInt32.self) }
    case 23: { CPU(raw: $0).ri($1.op, Sub.self, UInt64.self) }
    case 24: { CPU(raw: $0).ri($1.op, Xor.self, UInt8.self) }
    case 25: { CPU(raw: $0).ri($1.op, Xor.self, UInt16.self) }
    case 26: { CPU(raw: $0).ri($1.op, Xor.self, UInt32.self) }
    case 27: { CPU(raw: $0).ri($1.op, Xor.self, UInt64.self) }
    case 28: { CPU(raw: $0).ri($1.op, Cmp.self, UInt8.self) }
    case 29: { CPU(raw: $0).ri($1.op, Cmp.self, UInt16.self) }
    case 30: { CPU(raw: $0).ri($1.op, Cmp.self, UInt32.self) }
    case 31: { CPU(raw: $0).ri($1.op, Cmp.self, UInt64.self) }
    case 32: { CPU(raw: $0).ri($1.op, Test.self, UInt8.self) }
    case 33: { CPU(raw: $0).ri($1.op, Test.self, UInt16.self) }
    case 34: { CPU(raw: $0).ri($1.op, Test.self, UInt32.self) }
    default: { CPU(raw: $0).ri($1.op, Test.self, UInt64.self) }
    }
  }

  private static func arithmeticRegisterMemory(_ index: UInt8) -> Threaded {
    switch index {
    case 0: { CPU(raw: $0).rm($1.op, Add.self, UInt8.self) }
    case 1: { CPU(raw: $0).rm($1.op, Add.self, UInt16.self) }
    case 2: { CPU(raw: $0).rm($1.op, Add.self, UInt32.self) }
    case 3: { CPU(raw: $0).rm($1.op, Add.self, UInt64.self) }
    case 4: { CPU(raw: $0).rm($1.op, Or.self, UInt8.self) }
    case 5: { CPU(raw: $0).rm($1.op, Or.self, UInt16.self) }
    case 6: { CPU(raw: $0).rm($1.op, Or.self, UInt32.self) }
    case 7: { CPU(raw: $0).rm($1.op, Or.self, UInt64.self) }
    case 8: { CPU(raw: $0).rm($1.op, Adc.self, UInt8.self) }
    case 9: { CPU(raw: $0).rm($1.op, Adc.self, UInt16.self) }
    case 10: { CPU(raw: $0).rm($1.op, Adc.self, UInt32.self) }
    case 11: { CPU(raw: $0).rm($1.op, Adc.self, UInt64.self) }
    case 12: { CPU(raw: $0).rm($1.op, Sbb.self, UInt8.self) }
    case 13: { CPU(raw: $0).rm($1.op, Sbb.self, UInt16.self) }
    case 14: { CPU(raw: $0).rm($1.op, Sbb.self, UInt32.self) }
    case 15: { CPU(raw: $0).rm($1.op, Sbb.self, UInt64.self) }
    case 16: { CPU(raw: $0).rm($1.op, And.self, UInt8.self) }
    case 17: { CPU(raw: $0).rm($1.op, And.self, UInt16.self) }
    case 18: { CPU(raw: $0).rm($1.op, And.self, UInt32.self) }
    case 19: { CPU(raw: $0).rm($1.op, And.self, UInt64.self) }
    case 20: { CPU(raw: $0).rm($1.op, Sub.self, UInt8.self) }
    case 21: { CPU(raw: $0).rm($1.op, Sub.self, UInt16.self) }
    case 22: { CPU(raw: $0).rm($1.op, Sub.self, UInt32.self) }
    case 23: { CPU(raw: $0).rm($1.op, Sub.self, UInt64.self) }
    case 24: { CPU(raw: $0).rm($1.op, Xor.self, UInt8.self) }
    case 25: { CPU(raw: $0).rm($1.op, Xor.self, UInt16.self) }
    case 26: { CPU(raw: $0).rm($1.op, Xor.self, UInt32.self) }
    case 27: { CPU(raw: $0).rm($1.op, Xor.self, UInt64.self) }
    case 28: { CPU(raw: $0).rm($1.op, Cmp.self, UInt8.self) }
    case 29: { CPU(raw: $0).rm($1.op, Cmp.self, UInt16.self) }
    case 30: { CPU(raw: $0).rm($1.op, Cmp.self, UInt32.self) }
    case 31: { CPU(raw: $0).rm($1.op, Cmp.self, UInt64.self) }
    case 32: { CPU(raw: $0).rm($1.op, Test.self, UInt8.self) }
    case 33: { CPU(raw: $0).rm($1.op, Test.self, UInt16.self) }
    case 34: { CPU(raw: $0).rm($1.op, Test.self, UInt32.self) }
    default: { CPU(raw: $0).rm($1.op, Test.self, UInt64.self) }
    }
  }

  private static func arithmeticMemoryRegister(_ index: UInt8) -> Threaded {
    switch index {
    case 0: { CPU(raw: $0).mr($1.op, Add.self, UInt8.self) }
    case 1: { CPU(raw: $0).mr($1.op, Add.self, UInt16.self) }
    case 2: { CPU(raw: $0).mr($1.op, Add.self, UInt32.self) }
    case 3: { CPU(raw: $0).mr($1.op, Add.self, UInt64.self) }
    case 4: { CPU(raw: $0).mr($1.op, Or.self, UInt8.self) }
    case 5: { CPU(raw: $0).mr($1.op, Or.self, UInt16.self) }
    case 6: { CPU(raw: $0).mr($1.op, Or.self, UInt32.self) }
    case 7: { CPU(raw: $0).mr($1.op, Or.self, UInt64.self) }
    case 8: { CPU(raw: $0).mr($1.op, Adc.self, UInt8.self) }
    case 9: { CPU(raw: $0).mr($1.op, Adc.self, UInt16.self) }
    case 10: { CPU(raw: $0).mr($1.op, Adc.self, UInt32.self) }
    case 11: { CPU(raw: $0).mr($1.op, Adc.self, UInt64.self) }
    case 12: { CPU(raw: $0).mr($1.op, Sbb.self, UInt8.self) }
    case 13: { CPU(raw: $0).mr($1.op, Sbb.self, UInt16.self) }
    case 14: { CPU(raw: $0).mr($1.op, Sbb.self, UInt32.self) }
    case 15: { CPU(raw: $0).mr($1.op, Sbb.self, UInt64.self) }
    case 16: { CPU(raw: $0).mr($1.op, And.self, UInt8.self) }
    case 17: { CPU(raw: $0).mr($1.op, And.self, UInt16.self) }
    case 18: { CPU(raw: $0).mr($1.op, And.self, UInt32.self) }
    case 19: { CPU(raw: $0).mr($1.op, And.self, UInt64.self) }
    case 20: { CPU(raw: $0).mr($1.op, Sub.self, UInt8.self) }
    case 21: { CPU(raw: $0).mr($1.op, Sub.self, UInt16.self) }
    case 22: { CPU(raw: $0).mr($1.op, Sub.self, UInt32.self) }
    case 23: { CPU(raw: $0).mr($1.op, Sub.self, UInt64.self) }
    case 24: { CPU(raw: $0).mr($1.op, Xor.self, UInt8.self) }
    case 25: { CPU(raw: $0).mr($1.op, Xor.self, UInt16.self) }
    case 26: { CPU(raw: $0).mr($1.op, Xor.self, UInt32.self) }
    case 27: { CPU(raw: $0).mr($1.op, Xor.self, UInt64.self) }
    case 28: { CPU(raw: $0).mr($1.op, Cmp.self, UInt8.self) }
    case 29: { CPU(raw: $0).mr($1.op, Cmp.self, UInt16.self) }
    case 30: { CPU(raw: $0).mr($1.op, Cmp.self, UInt32.self) }
    case 31: { CPU(raw: $0).mr($1.op, Cmp.self, UInt64.self) }
    case 32: { CPU(raw: $0).mr($1.op, Test.self, UInt8.self) }
    case 33: { CPU(raw: $0).mr($1.op, Test.self, UInt16.self) }
    case 34: { CPU(raw: $0).mr($1.op, Test.self, UInt32.self) }
    default: { CPU(raw: $0).mr($1.op, Test.self, UInt64.self) }
    }
  }

  private static func arithmeticMemoryImmediate(_ index: UInt8) -> Threaded {
    switch index {
    case 0: { CPU(raw: $0).mi($1.op, Add.self, UInt8.self) }
    case 1: { CPU(raw: $0).mi($1.op, Add.self, UInt16.self) }
    case 2: { CPU(raw: $0).mi($1.op, Add.self, UInt32.self) }
    case 3: { CPU(raw: $0).mi($1.op, Add.self, UInt64.self) }
    case 4: { CPU(raw: $0).mi($1.op, Or.self, UInt8.self) }
    case 5: { CPU(raw: $0).mi($1.op, Or.self, UInt16.self) }
    case 6: { CPU(raw: $0).mi($1.op, Or.self, UInt32.self) }
    case 7: { CPU(raw: $0).mi($1.op, Or.self, UInt64.self) }
    case 8: { CPU(raw: $0).mi($1.op, Adc.self, UInt8.self) }
    case 9: { CPU(raw: $0).mi($1.op, Adc.self, UInt16.self) }
    case 10: { CPU(raw: $0).mi($1.op, Adc.self, UInt32.self) }
    case 11: { CPU(raw: $0).mi($1.op, Adc.self, UInt64.self) }
    case 12: { CPU(raw: $0).mi($1.op, Sbb.self, UInt8.self) }
    case 13: { CPU(raw: $0).mi($1.op, Sbb.self, UInt16.self) }
    case 14: { CPU(raw: $0).mi($1.op, Sbb.self, UInt32.self) }
    case 15: { CPU(raw: $0).mi($1.op, Sbb.self, UInt64.self) }
    case 16: { CPU(raw: $0).mi($1.op, And.self, UInt8.self) }
    case 17: { CPU(raw: $0).mi($1.op, And.self, UInt16.self) }
    case 18: { CPU(raw: $0).mi($1.op, And.self, UInt32.self) }
    case 19: { CPU(raw: $0).mi($1.op, And.self, UInt64.self) }
    case 20: { CPU(raw: $0).mi($1.op, Sub.self, UInt8.self) }
    case 21: { CPU(raw: $0).mi($1.op, Sub.self, UInt16.self) }
    case 22: { CPU(raw: $0).mi($1.op, Sub.self, UInt32.self) }
    case 23: { CPU(raw: $0).mi($1.op, Sub.self, UInt64.self) }
    case 24: { CPU(raw: $0).mi($1.op, Xor.self, UInt8.self) }
    case 25: { CPU(raw: $0).mi($1.op, Xor.self, UInt16.self) }
    case 26: { CPU(raw: $0).mi($1.op, Xor.self, UInt32.self) }
    case 27: { CPU(raw: $0).mi($1.op, Xor.self, UInt64.self) }
    case 28: { CPU(raw: $0).mi($1.op, Cmp.self, UInt8.self) }
    case 29: { CPU(raw: $0).mi($1.op, Cmp.self, UInt16.self) }
    case 30: { CPU(raw: $0).mi($1.op, Cmp.self, UInt32.self) }
    case 31: { CPU(raw: $0).mi($1.op, Cmp.self, UInt64.self) }
    case 32: { CPU(raw: $0).mi($1.op, Test.self, UInt8.self) }
    case 33: { CPU(raw: $0).mi($1.op, Test.self, UInt16.self) }
    case 34: { CPU(raw: $0).mi($1.op, Test.self, UInt32.self) }
    default: { CPU(raw: $0).mi($1.op, Test.self, UInt64.self) }
    }
  }

  static func lockedImmediate(_ index: UInt8) -> Threaded {
    switch index {
    case 0: { CPU(raw: $0).lockedImmediate($1.op, Add.self, UInt8.self) }
    case 1: { CPU(raw: $0).lockedImmediate($1.op, Add.self, UInt16.self) }
    case 2: { CPU(raw: $0).lockedImmediate($1.op, Add.self, UInt32.self) }
    case 3: { CPU(raw: $0).lockedImmediate($1.op, Add.self, UInt64.self) }
    case 4: { CPU(raw: $0).lockedImmediate($1.op, Or.self, UInt8.self) }
    case 5: { CPU(raw: $0).lockedImmediate($1.op, Or.self, UInt16.self) }
    case 6: { CPU(raw: $0).lockedImmediate($1.op, Or.self, UInt32.self) }
    case 7: { CPU(raw: $0).lockedImmediate($1.op, Or.self, UInt64.self) }
    case 8: { CPU(raw: $0).lockedImmediate($1.op, Adc.self, UInt8.self) }
    case 9: { CPU(raw: $0).lockedImmediate($1.op, Adc.self, UInt16.self) }
    case 10: { CPU(raw: $0).lockedImmediate($1.op, Adc.self, UInt32.self) }
    case 11: { CPU(raw: $0).lockedImmediate($1.op, Adc.self, UInt64.self) }
    case 12: { CPU(raw: $0).lockedImmediate($1.op, Sbb.self, UInt8.self) }
    case 13: { CPU(raw: $0).lockedImmediate($1.op, Sbb.self, UInt16.self) }
    case 14: { CPU(raw: $0).lockedImmediate($1.op, Sbb.self, UInt32.self) }
    case 15: { CPU(raw: $0).lockedImmediate($1.op, Sbb.self, UInt64.self) }
    case 16: { CPU(raw: $0).lockedImmediate($1.op, And.self, UInt8.self) }
    case 17: { CPU(raw: $0).lockedImmediate($1.op, And.self, UInt16.self) }
    case 18: { CPU(raw: $0).lockedImmediate($1.op, And.self, UInt32.self) }
    case 19: { CPU(raw: $0).lockedImmediate($1.op, And.self, UInt64.self) }
    case 20: { CPU(raw: $0).lockedImmediate($1.op, Sub.self, UInt8.self) }
    case 21: { CPU(raw: $0).lockedImmediate($1.op, Sub.self, UInt16.self) }
    case 22: { CPU(raw: $0).lockedImmediate($1.op, Sub.self, UInt32.self) }
    case 23: { CPU(raw: $0).lockedImmediate($1.op, Sub.self, UInt64.self) }
    case 24: { CPU(raw: $0).lockedImmediate($1.op, Xor.self, UInt8.self) }
    case 25: { CPU(raw: $0).lockedImmediate($1.op, Xor.self, UInt16.self) }
    case 26: { CPU(raw: $0).lockedImmediate($1.op, Xor.self, UInt32.self) }
    default: { CPU(raw: $0).lockedImmediate($1.op, Xor.self, UInt64.self) }
    }
  }

  static func lockedRegister(_ index: UInt8) -> Threaded {
    switch index {
    case 0: { CPU(raw: $0).lockedRegister($1.op, Add.self, UInt8.self) }
    case 1: { CPU(raw: $0).lockedRegister($1.op, Add.self, UInt16.self) }
    case 2: { CPU(raw: $0).lockedRegister($1.op, Add.self, UInt32.self) }
    case 3: { CPU(raw: $0).lockedRegister($1.op, Add.self, UInt64.self) }
    case 4: { CPU(raw: $0).lockedRegister($1.op, Or.self, UInt8.self) }
    case 5: { CPU(raw: $0).lockedRegister($1.op, Or.self, UInt16.self) }
    case 6: { CPU(raw: $0).lockedRegister($1.op, Or.self, UInt32.self) }
    case 7: { CPU(raw: $0).lockedRegister($1.op, Or.self, UInt64.self) }
    case 8: { CPU(raw: $0).lockedRegister($1.op, Adc.self, UInt8.self) }
    case 9: { CPU(raw: $0).lockedRegister($1.op, Adc.self, UInt16.self) }
    case 10: { CPU(raw: $0).lockedRegister($1.op, Adc.self, UInt32.self) }
    case 11: { CPU(raw: $0).lockedRegister($1.op, Adc.self, UInt64.self) }
    case 12: { CPU(raw: $0).lockedRegister($1.op, Sbb.self, UInt8.self) }
    case 13: { CPU(raw: $0).lockedRegister($1.op, Sbb.self, UInt16.self) }
    case 14: { CPU(raw: $0).lockedRegister($1.op, Sbb.self, UInt32.self) }
    case 15: { CPU(raw: $0).lockedRegister($1.op, Sbb.self, UInt64.self) }
    case 16: { CPU(raw: $0).lockedRegister($1.op, And.self, UInt8.self) }
    case 17: { CPU(raw: $0).lockedRegister($1.op, And.self, UInt16.self) }
    case 18: { CPU(raw: $0).lockedRegister($1.op, And.self, UInt32.self) }
    case 19: { CPU(raw: $0).lockedRegister($1.op, And.self, UInt64.self) }
    case 20: { CPU(raw: $0).lockedRegister($1.op, Sub.self, UInt8.self) }
    case 21: { CPU(raw: $0).lockedRegister($1.op, Sub.self, UInt16.self) }
    case 22: { CPU(raw: $0).lockedRegister($1.op, Sub.self, UInt32.self) }
    case 23: { CPU(raw: $0).lockedRegister($1.op, Sub.self, UInt64.self) }
    case 24: { CPU(raw: $0).lockedRegister($1.op, Xor.self, UInt8.self) }
    case 25: { CPU(raw: $0).lockedRegister($1.op, Xor.self, UInt16.self) }
    case 26: { CPU(raw: $0).lockedRegister($1.op, Xor.self, UInt32.self) }
    default: { CPU(raw: $0).lockedRegister($1.op, Xor.self, UInt64.self) }
    }
  }
}
