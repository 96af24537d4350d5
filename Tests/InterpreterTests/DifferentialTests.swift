import Glibc
import KVMEngine
import Testing

@testable import Interpreter

/// Random instructions in 64-bit mode, in the interpreter and on the host's own processor.
///
/// The guest's page tables map one page at the address that it has in this process, so that the
/// same registers name the same bytes on both sides.
@Suite(.serialized) struct DifferentialTests {
  /// What may be generated: an opcode, and the flags that it defines.
  struct Shape {
    var opcode: [UInt8]
    /// The ModRM.reg fields that are instructions; empty for a register.
    var fields: [UInt8] = []
    var immediate = 0
    var flags: UInt64 = 0x8D5
    /// Bytes of operands are 8-bit.
    var isByte = false
    var needsMemory = false
    /// The immediate has the operand's size, 4 bytes at most.
    var wideImmediate = false
    var prefix: UInt8?
  }

  private static let carry: UInt64 = 1
  private static let shapes: [Shape] = {
    var list: [Shape] = []
    for operation in UInt8(0)..<8 {
      // AND, OR, XOR leave AF undefined.
      let flags: UInt64 = [1, 4, 6].contains(operation) ? 0x8C5 : 0x8D5
      list.append(Shape(opcode: [operation << 3], flags: flags, isByte: true))
      list.append(Shape(opcode: [operation << 3 | 1], flags: flags))
      list.append(Shape(opcode: [operation << 3 | 2], flags: flags, isByte: true))
      list.append(Shape(opcode: [operation << 3 | 3], flags: flags))
      list.append(
        Shape(opcode: [0x80], fields: [operation], immediate: 1, flags: flags, isByte: true))
      list.append(Shape(opcode: [0x83], fields: [operation], immediate: 1, flags: flags))
      list.append(Shape(opcode: [0x81], fields: [operation], flags: flags, wideImmediate: true))
    }
    list += [
      Shape(opcode: [0x84], flags: 0x8C5, isByte: true), Shape(opcode: [0x85], flags: 0x8C5),
      Shape(opcode: [0x86], isByte: true), Shape(opcode: [0x87]),
      Shape(opcode: [0x88], isByte: true), Shape(opcode: [0x89]),
      Shape(opcode: [0x8A], isByte: true),
      Shape(opcode: [0x8B]), Shape(opcode: [0x63]), Shape(opcode: [0x8D], needsMemory: true),
      Shape(opcode: [0xF6], fields: [2, 3], isByte: true), Shape(opcode: [0xF7], fields: [2, 3]),
      Shape(opcode: [0xF6], fields: [4, 5], flags: 0x801, isByte: true),
      Shape(opcode: [0xF7], fields: [4, 5], flags: 0x801),
      Shape(opcode: [0xF6], fields: [6, 7], flags: 0, isByte: true),
      Shape(opcode: [0xF7], fields: [6, 7], flags: 0),
      Shape(opcode: [0xFE], fields: [0, 1], isByte: true), Shape(opcode: [0xFF], fields: [0, 1]),
      Shape(
        opcode: [0xC0], fields: [0, 1, 2, 3, 4, 5, 7], immediate: 1, flags: 0x0C5, isByte: true),
      Shape(opcode: [0xC1], fields: [0, 1, 2, 3, 4, 5, 7], immediate: 1, flags: 0x0C5),
      Shape(opcode: [0xD0], fields: [0, 1, 2, 3, 4, 5, 7], flags: 0x8C5, isByte: true),
      Shape(opcode: [0xD1], fields: [0, 1, 2, 3, 4, 5, 7], flags: 0x8C5),
      Shape(opcode: [0xD2], fields: [0, 1, 2, 3, 4, 5, 7], flags: 0x0C5, isByte: true),
      Shape(opcode: [0xD3], fields: [0, 1, 2, 3, 4, 5, 7], flags: 0x0C5),
      Shape(opcode: [0x69], flags: 0x801, wideImmediate: true),
      Shape(opcode: [0x6B], immediate: 1, flags: 0x801), Shape(opcode: [0x0F, 0xAF], flags: 0x801),
      Shape(opcode: [0x0F, 0xB6]), Shape(opcode: [0x0F, 0xB7]), Shape(opcode: [0x0F, 0xBE]),
      Shape(opcode: [0x0F, 0xBF]),
      Shape(opcode: [0x0F, 0xBA], fields: [4, 5, 6, 7], immediate: 1, flags: 1),
      Shape(opcode: [0x0F, 0xBC], flags: 0x40), Shape(opcode: [0x0F, 0xBD], flags: 0x40),
      Shape(opcode: [0x0F, 0xB8], prefix: 0xF3),
      Shape(opcode: [0x0F, 0xBD], flags: 0x41, prefix: 0xF3),
      Shape(opcode: [0x0F, 0xC0], isByte: true), Shape(opcode: [0x0F, 0xC1]),
      Shape(opcode: [0x0F, 0xB0], isByte: true), Shape(opcode: [0x0F, 0xB1]),
      Shape(opcode: [0x0F, 0xA4], immediate: 1, flags: 0),
      Shape(opcode: [0x0F, 0xAC], immediate: 1, flags: 0),
      Shape(opcode: [0x0F, 0xA5], flags: 0), Shape(opcode: [0x0F, 0xAD], flags: 0),
      Shape(opcode: [0xC6], fields: [0], immediate: 1, isByte: true),
      Shape(opcode: [0xC7], fields: [0], wideImmediate: true),
    ]
    for condition in UInt8(0)..<16 {
      list.append(Shape(opcode: [0x0F, 0x40 | condition]))
      list.append(Shape(opcode: [0x0F, 0x90 | condition], isByte: true))
    }
    return list
  }()

  private static let plain: [[UInt8]] = [
    [0x98], [0x66, 0x98], [0x48, 0x98], [0x99], [0x66, 0x99], [0x48, 0x99], [0xF5], [0xF8], [0xF9],
    [0x9E], [0x9F], [0x0F, 0xC8], [0x48, 0x0F, 0xC9], [0x91], [0x48, 0x92], [0x66, 0x93],
  ]

  private static func instruction(_ dice: inout Dice) -> (bytes: [UInt8], flags: UInt64) {
    if Int.random(in: 0..<20, using: &dice) == 0 {
      return (plain.randomElement(using: &dice) ?? [0x90], 0x8D5)
    }
    guard let shape = shapes.randomElement(using: &dice) else { return ([0x90], 0) }
    var bytes: [UInt8] = []
    let size = Int.random(in: 0..<3, using: &dice)
    if size == 0 { bytes.append(0x66) }
    if let prefix = shape.prefix { bytes.append(prefix) }
    let usesMemory = shape.needsMemory || Bool.random(using: &dice)
    var reg = UInt8.random(in: 0..<16, using: &dice)
    var rm = UInt8.random(in: 0..<16, using: &dice)
    if let field = shape.fields.randomElement(using: &dice) { reg = field }
    let hasRex = Bool.random(using: &dice) || size == 2 || reg > 7 || rm > 7
    // RSP stays as it is; without REX number 4 of a byte register is AH.
    if shape.fields.isEmpty && reg == 4 && (hasRex || !shape.isByte) { reg = 5 }
    if rm == 4 { rm = 6 }
    if usesMemory { rm = rm & 8 | 3 }
    // The sources of MOVZX and its like are bytes, too: 4 would be AH there, which is fine.
    if hasRex {
      bytes.append(0x40 | (size == 2 ? 8 : 0) | (reg > 7 ? 4 : 0) | (rm > 7 ? 1 : 0))
    }
    bytes += shape.opcode
    bytes.append((usesMemory ? 0x40 : 0xC0) | (reg & 7) << 3 | rm & 7)
    if usesMemory { bytes.append(UInt8.random(in: 0..<112, using: &dice)) }
    var immediate = shape.immediate
    if shape.wideImmediate { immediate = size == 0 ? 2 : 4 }
    for _ in 0..<immediate { bytes.append(UInt8.random(in: 0...255, using: &dice)) }
    return (bytes, shape.flags)
  }

  static func value(_ dice: inout Dice) -> UInt64 {
    let edges: [UInt64] = [
      0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000, .max, 1 << 63,
    ]
    switch Int.random(in: 0..<4, using: &dice) {
    case 0: return edges.randomElement(using: &dice) ?? 0
    case 1: return UInt64.random(in: 0..<100, using: &dice)
    default: return dice.next()
    }
  }

  @Test(arguments: [UInt64(1), 77, 4242])
  func integerInstructionsDoWhatTheHostDoes(seed: UInt64) throws {
    let rig = try Rig()
    let native = try #require(NativeRunner())
    var dice = Dice(state: seed &* 0x9E37_79B9_7F4A_7C15)
    let memory = native.page + 6144
    let address = UInt64(UInt(bitPattern: memory))
    rig.long([])
    Self.map(rig, address & ~4095, to: 0x40000)
    let at = UInt64(0x40000) | address & 4095
    var failures = 0
    for _ in 0..<20_000 {
      let (bytes, defined) = Self.instruction(&dice)
      var registers = (0..<16).map { _ in Self.value(&dice) }
      (registers[3], registers[11]) = (address, address)
      registers[4] = 0x7000
      let before = (0..<128).map { _ in UInt8.random(in: 0...255, using: &dice) }
      let flags = dice.next() & 0x8D5 | 2
      rig.space.write(Rig.code, bytes: bytes)
      rig.space.write(at, bytes: before)
      Self.set(rig, registers, flags)
      _ = rig.processor.run(instructions: 1)
      let after = rig.processor.registers()
      guard after.rip == Rig.code + UInt64(bytes.count) else {
        let isDivide = bytes.contains(0xF6) || bytes.contains(0xF7)
        #expect(
          isDivide && rig.halted == nil || after.rip == Rig.handlers,
          "\(bytes.map { String($0, radix: 16) }) at \(String(after.rip, radix: 16))")
        Self.restoreRing(rig)
        continue
      }
      for (index, byte) in before.enumerated() {
        memory.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
      }
      var nativeFlags = flags
      native.run(bytes, &registers, &nativeFlags)
      let mine = Self.list(after)
      let bytesAfter = (0..<128).map { memory.load(fromByteOffset: $0, as: UInt8.self) }
      let isSame =
        mine == registers && (after.rflags ^ nativeFlags) & defined == 0
        && rig.space.bytes(at: at, count: 128) == bytesAfter
      if !isSame {
        failures += 1
        let different = (0..<16).filter { mine[$0] != registers[$0] }
        Issue.record(
          "\(bytes.map { String($0, radix: 16) }): registers \(different.map { ($0, String(mine[$0], radix: 16), String(registers[$0], radix: 16)) }) flags \(String(after.rflags, radix: 16)) \(String(nativeFlags, radix: 16)) from \(String(flags, radix: 16))"
        )
        if failures > 10 { break }
      }
    }
  }

  /// Maps the 4 KiB page `linear` for everybody.
  static func map(_ rig: Rig, _ linear: UInt64, to physical: UInt64) {
    var table: UInt64 = 0x10000
    for (level, next) in [(UInt64(39), UInt64(0x13000)), (30, 0x14000), (21, 0x15000)] {
      rig.space.store(next | 7, at: table + (linear >> level & 0x1FF) * 8)
      table = next
    }
    rig.space.store(physical | 7, at: table + (linear >> 12 & 0x1FF) * 8)
  }

  static func restoreRing(_ rig: Rig) {
    rig.processor.setSystemRegisters(rig.processor.systemRegisters())
  }

  static func set(_ rig: Rig, _ v: [UInt64], _ flags: UInt64) {
    rig.set {
      ($0.rax, $0.rcx, $0.rdx, $0.rbx, $0.rsp, $0.rbp, $0.rsi, $0.rdi) =
        (v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7])
      ($0.r8, $0.r9, $0.r10, $0.r11, $0.r12, $0.r13, $0.r14, $0.r15) =
        (v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15])
      $0.rip = Rig.code
      $0.rflags = flags
    }
  }

  static func list(_ r: Registers) -> [UInt64] {
    [
      r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12,
      r.r13, r.r14, r.r15,
    ]
  }
}
