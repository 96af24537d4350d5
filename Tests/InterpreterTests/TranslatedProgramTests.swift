import Glibc
import KVMEngine
import Testing

@testable import Interpreter

/// Random programs with loops, jumps, calls and a stack, translated and interpreted: both end alike.
@Suite struct TranslatedProgramTests {
  enum Mode: CaseIterable { case real, protected, paged, long }

  @Test(arguments: Mode.allCases) func programsEndAsInterpretedOnes(mode: Mode) throws {
    let translated = try Rig()
    let interpreted = try Rig()
    interpreted.processor.translationThreshold = nil
    var dice = Dice(state: 0x0DDB_1A5E_5EED)
    for number in 0..<(getenv("PORTHOLE_FULL") == nil ? 40 : 2000) {
      let program = RandomProgram(mode, &dice)
      let ends = [translated, interpreted].map { run(program, on: $0, mode) }
      guard ends[0] == ends[1] else {
        let code = program.code.map { String($0, radix: 16) }.joined(separator: " ")
        Issue.record("\(mode) \(number): \(code): \(ends[0].difference(from: ends[1]))")
        return
      }
    }
    #expect(translated.processor.environment.translated.used > 0)
  }

  /// What a program leaves behind.
  private struct End: Equatable {
    var registers: [UInt64]
    var rip: UInt64
    var flags: UInt64
    var memory: [UInt8]

    func difference(from other: End) -> String {
      let places = memory.indices.filter { memory[$0] != other.memory[$0] }
      return "\(registers) and \(other.registers), RIP \(rip) and \(other.rip), "
        + "flags \(flags) and \(other.flags), memory at \(places.prefix(8))"
    }
  }

  private func run(_ program: RandomProgram, on rig: Rig, _ mode: Mode) -> End {
    rig.processor.reset()
    rig.space.write(0x5000, bytes: [UInt8](repeating: 0x5A, count: 0x2000))
    switch mode {
    case .real: rig.real(program.code)
    case .protected: rig.protected(program.code)
    case .paged: rig.protected(program.code, paging: true)
    case .long: rig.long(program.code)
    }
    rig.set {
      ($0.rax, $0.rcx, $0.rdx, $0.rbx) = (
        program.registers[0], program.registers[1], program.registers[2], program.registers[3]
      )
      ($0.rsi, $0.rdi, $0.rbp) = (program.registers[4], program.registers[5], 0)
    }
    rig.processor.beginRun()
    _ = rig.processor.run()
    let r = rig.processor.registers()
    // AF is undefined after logical operations.
    return End(
      registers: [r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi], rip: r.rip,
      flags: r.rflags & ~0x10,
      memory: (UInt64(0x5000)..<0x7000).map { rig.space.load($0, as: UInt8.self) }
        + program.code.indices.map {
          rig.space.load(Rig.code + UInt64($0), as: UInt8.self)
        })
  }
}

/// A program that does itself some tens of times, then halts; or ends with a fault on its way.
private struct RandomProgram {
  var code: [UInt8] = []
  var registers: [UInt64] = []
  private let mode: TranslatedProgramTests.Mode
  private static let data = 0x5000
  private static let counter = 0x5F00
  /// Places of calls whose distance is not known yet.
  private var calls: [Int] = []
  /// Constants that the program may change.
  private var constants: [Int] = []
  private var isReal: Bool { mode == .real }

  init(_ mode: TranslatedProgramTests.Mode, _ dice: inout Dice) {
    self.mode = mode
    let mask: UInt64 = mode == .long ? .max : 0xFFFF_FFFF
    registers = (0..<6).map { _ in dice.next() & mask }
    // mov word [counter], 30; 1: mov esp, 7000h
    let word: [UInt8] = isReal ? [] : [0x66]
    code += word + [0xC7] + memory(0, Self.counter) + [30, 0]
    let start = code.count
    code += [0xBC, 0x00, 0x70] + (isReal ? [] : [0, 0])
    for _ in 0..<(2 + Int(dice.next() % 5)) { appendPiece(&dice) }
    // dec word [counter]; jnz 1b; hlt
    code += word + [0xFF] + memory(1, Self.counter)
    jump([0x0F, 0x85], to: start)
    code.append(0xF4)
    for place in calls { appendRoutine(calledAt: place, &dice) }
  }

  /// ModRM and an absolute address.
  private func memory(_ field: UInt8, _ address: Int) -> [UInt8] {
    let low = [UInt8(address & 255), UInt8(address >> 8)]
    switch mode {
    case .real: return [field << 3 | 6] + low
    case .protected, .paged: return [field << 3 | 5] + low + [0, 0]
    case .long: return [field << 3 | 4, 0x25] + low + [0, 0]
    }
  }

  /// A near jump of the mode's width back to `target`.
  private mutating func jump(_ opcode: [UInt8], to target: Int) {
    code += opcode
    let width = isReal ? 2 : 4
    let distance = UInt32(bitPattern: Int32(target - code.count - width))
    code += (0..<width).map { UInt8(truncatingIfNeeded: distance >> UInt32($0 * 8)) }
  }

  private func register(_ dice: inout Dice) -> UInt8 { [0, 1, 2, 3, 6, 7][Int(dice.next() % 6)] }

  private mutating func appendPiece(_ dice: inout Dice) {
    switch dice.next() % 8 {
    case 0: appendLoop(&dice)
    case 1, 2: appendSkip(&dice)
    case 3:
      code.append(0xE8)
      calls.append(code.count)
      code += [UInt8](repeating: 0, count: isReal ? 2 : 4)
    default: for _ in 0..<(1 + dice.next() % 4) { appendOne(&dice) }
    }
  }

  /// mov ebp, n; 1: ...; dec ebp; jnz 1b, or jz 2f; jmp 1b; 2:
  private mutating func appendLoop(_ dice: inout Dice) {
    code += [0xBD, UInt8(1 + dice.next() % 9), 0] + (isReal ? [] : [0, 0])
    let top = code.count
    for _ in 0..<(1 + dice.next() % 3) {
      if dice.next() % 3 == 0 { appendSkip(&dice) } else { appendOne(&dice) }
    }
    code += [0xFF, 0xCD]
    if dice.next() % 2 == 0 {
      code += [0x75, UInt8(truncatingIfNeeded: top - code.count - 2)]
    } else {
      code += [0x74, 2, 0xEB, UInt8(truncatingIfNeeded: top - code.count - 4)]
    }
  }

  /// A jump, on a condition or not, over some instructions.
  private mutating func appendSkip(_ dice: inout Dice, stack: Bool = true) {
    if dice.next() % 2 == 0 { appendOne(&dice, stack: stack) }
    code += [dice.next() % 6 == 0 ? 0xEB : 0x70 | UInt8(dice.next() & 15), 0]
    let place = code.count
    for _ in 0..<(1 + dice.next() % 3) { appendOne(&dice, stack: stack) }
    code[place - 1] = UInt8(code.count - place)
  }

  private mutating func appendRoutine(calledAt place: Int, _ dice: inout Dice) {
    let width = isReal ? 2 : 4
    let distance = code.count - place - width
    for index in 0..<width {
      code[place + index] = UInt8(truncatingIfNeeded: distance >> (index * 8))
    }
    let saved = register(&dice)
    code.append(0x50 | saved)
    for _ in 0..<(dice.next() % 4) { appendOne(&dice, stack: false) }
    if dice.next() % 3 == 0 { appendSkip(&dice, stack: false) }
    // What was pushed is taken off, to where it came from or elsewhere.
    code.append(0x58 | register(&dice))
    code.append(0xC3)
  }

  private mutating func appendOne(_ dice: inout Dice, stack: Bool = true) {
    let (a, b) = (register(&dice), register(&dice))
    let place = Self.data + Int(dice.next() % 0x200)
    let arithmetic = UInt8(dice.next() & 7)
    if dice.next() % 6 == 0 { code.append(0x66) }
    switch dice.next() % 16 {
    case 0, 1: code += [0x01 | arithmetic << 3, 0xC0 | a << 3 | b]
    case 2, 3:
      constants.append(code.count + 2)
      code += [0x83, 0xC0 | arithmetic << 3 | a, UInt8(truncatingIfNeeded: dice.next())]
    case 4: code += [0xFF, 0xC0 | UInt8(dice.next() & 1) << 3 | a]
    case 5: code += [0xD1, 0xC0 | [4, 5, 7, 0, 1, 2, 3][Int(dice.next() % 7)] << 3 | a]
    case 6: code += [0x0F, 0x90 | UInt8(dice.next() & 15), 0xC0 | a & 3]
    case 7: code += [0x0F, 0x40 | UInt8(dice.next() & 15), 0xC0 | a << 3 | b]
    case 8: code += [0x89, 0xC0 | a << 3 | b]
    case 9: code += [0x8B] + memory(a, place)
    case 10: code += [0x89] + memory(a, place)
    case 11: code += [0x03 | arithmetic << 3] + memory(a, place)
    case 12: code += [0x01 | arithmetic << 3] + memory(a, place)
    case 13 where stack: popOrPush(a, &dice)
    case 14 where !constants.isEmpty && dice.next() % 4 == 0:
      let constant = constants[Int(dice.next() % UInt64(constants.count))]
      code += [0x88] + memory(a & 3, Int(Rig.code) + constant)
    default: code += [0x0F, 0xB6, 0xC0 | a << 3 | b & 3]
    }
  }

  private mutating func popOrPush(_ a: UInt8, _ dice: inout Dice) {
    switch dice.next() % 3 {
    case 0: code += [0x6A, UInt8(truncatingIfNeeded: dice.next())]
    case 1: code.append(0x58 | a)
    default: code.append(0x50 | a)
    }
  }
}
