/// What an operation does that can be translated to instructions of the host, told by the handler that
/// executes it.
struct Meaning {
  enum Kind {
    case arithmetic, move, moveImmediate, increment, decrement, not, negate, shift, loadAddress
    case zeroExtend, signExtend, conditionalMove, set, multiply, multiplyImmediate, push, pop
    case pushImmediate, jump
  }

  let kind: Kind
  var form = Form.registers
  /// Bytes as a power of two.
  var size: UInt8 = 3
  /// Which arithmetic, shift or condition; of an extension, the size that it comes from.
  var detail: UInt8 = 0

  /// Of the operation at `o`; nil where it can't be translated.
  static func of(_ o: OpRef) -> Meaning? { table[key(o.pointee.go)] }

  static func key(_ handler: Threaded) -> UInt {
    UInt(bitPattern: unsafeBitCast(handler, to: OpaquePointer.self))
  }

  private static let table: [UInt: Meaning] = {
    var table: [UInt: Meaning] = [:]
    func add(_ handler: Threaded?, _ meaning: Meaning) {
      if let handler { table[key(handler)] = meaning }
    }
    for size in UInt8(0)..<4 {
      let forms = [
        Form.registers, .registerImmediate, .registerMemory, .memoryRegister, .memoryImmediate,
      ]
      for form in forms {
        for operation in UInt8(0)..<9 {
          add(
            Handlers.arithmetic(operation, form, size),
            Meaning(kind: .arithmetic, form: form, size: size, detail: operation))
        }
      }
      for form in [Form.registers, .registerMemory, .memoryRegister] {
        add(Handlers.move(form, size), Meaning(kind: .move, form: form, size: size))
      }
      addMoves(size, add)
    }
    for condition in UInt8(0)..<16 {
      add(Handlers.setRegister(condition), Meaning(kind: .set, size: 0, detail: condition))
      add(Handlers.jcc(condition), Meaning(kind: .jump, detail: condition))
      addFused(condition, add)
    }
    for size in UInt8(1)..<4 {
      add(Handlers.pushRegister(size), Meaning(kind: .push, form: .memoryRegister, size: size))
      add(
        Handlers.pushImmediate(size),
        Meaning(kind: .pushImmediate, form: .memoryImmediate, size: size))
      add(Handlers.popRegister(size), Meaning(kind: .pop, form: .registerMemory, size: size))
    }
    return table
  }()

  /// Comparisons that do the jump behind them as well, which is an operation of its own here.
  private static func addFused(_ condition: UInt8, _ add: (Threaded?, Meaning) -> Void) {
    let kinds: [(Fusible, Form, UInt8)] = [
      (.compareRegisters, .registers, 7), (.compareImmediate, .registerImmediate, 7),
      (.testRegisters, .registers, 8), (.testImmediate, .registerImmediate, 8),
    ]
    for (kind, form, operation) in kinds {
      for size in UInt8(0)..<4 {
        add(
          Handlers.fused(kind.rawValue, size, condition),
          Meaning(kind: .arithmetic, form: form, size: size, detail: operation))
      }
    }
  }

  private static func addMoves(_ size: UInt8, _ add: (Threaded?, Meaning) -> Void) {
    add(
      Handlers.moveImmediate(memory: false, size),
      Meaning(kind: .moveImmediate, form: .registerImmediate, size: size))
    add(
      Handlers.moveImmediate(memory: true, size),
      Meaning(kind: .moveImmediate, form: .memoryImmediate, size: size))
    add(Handlers.incDec(dec: false, memory: false, size), Meaning(kind: .increment, size: size))
    add(Handlers.incDec(dec: true, memory: false, size), Meaning(kind: .decrement, size: size))
    add(Handlers.notNegate(negate: false, memory: false, size), Meaning(kind: .not, size: size))
    add(Handlers.notNegate(negate: true, memory: false, size), Meaning(kind: .negate, size: size))
    for operation in UInt8(0)..<8 {
      add(
        Handlers.shift(operation, memory: false, size),
        Meaning(kind: .shift, size: size, detail: operation))
    }
    if size > 0 {
      add(Handlers.loadAddress(size), Meaning(kind: .loadAddress, size: size))
      add(
        Handlers.multiplySigned(immediate: false, memory: false, size),
        Meaning(kind: .multiply, size: size))
      add(
        Handlers.multiplySigned(immediate: true, memory: false, size),
        Meaning(kind: .multiplyImmediate, form: .registerImmediate, size: size))
    }
    for from in 0..<size {
      for isSigned in [false, true] {
        let kind = isSigned ? Kind.signExtend : .zeroExtend
        for isMemory in [false, true] {
          add(
            Handlers.extend(signed: isSigned, memory: isMemory, from: from, to: size),
            Meaning(
              kind: kind, form: isMemory ? .registerMemory : .registers, size: size, detail: from))
        }
      }
    }
    if size >= 2 {
      for condition in UInt8(0)..<16 {
        add(
          Handlers.conditionalMove(condition, memory: false, size),
          Meaning(kind: .conditionalMove, size: size, detail: condition))
      }
    }
  }

  var isStack: Bool { kind == .push || kind == .pop || kind == .pushImmediate }
  var usesMemory: Bool {
    form == .registerMemory || form == .memoryRegister || form == .memoryImmediate
  }
}
