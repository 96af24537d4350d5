import CInterpreter
import KVMEngine
import Testing

@testable import Interpreter

/// Random vector, BMI and ADX instructions in 64-bit mode, in the interpreter and on the host's own
/// processor: every encoding of the tables, with any length, width and register in its prefix. What
/// is #UD on one side has to be #UD on the other.
@Suite(.serialized) struct VectorDifferentialTests {
  private typealias Shared = NativeComparison

  private struct Fields {
    var reg: UInt8
    var rm: UInt8
    var usesMemory: Bool
    var displacement: UInt8

    init(_ dice: inout Dice) {
      reg = UInt8.random(in: 0..<16, using: &dice)
      rm = UInt8.random(in: 0..<16, using: &dice)
      usesMemory = Bool.random(using: &dice)
      displacement = UInt8.random(in: 0..<3, using: &dice) * 32
    }

    /// RSP stays as it is; the base of a memory operand is RBX or R11.
    mutating func settle(generalReg: Bool, generalRM: Bool) {
      if generalReg && reg == 4 { reg = 5 }
      if generalRM && rm == 4 { rm = 6 }
      if usesMemory { rm = rm & 8 | 3 }
    }

    var modrm: [UInt8] {
      usesMemory
        ? [0x40 | (reg & 7) << 3 | rm & 7, displacement] : [0xC0 | (reg & 7) << 3 | rm & 7]
    }
  }

  private static func legacy(_ dice: inout Dice) -> [UInt8]? {
    let map = UInt8.random(in: 1...3, using: &dice)
    let prefix = UInt8.random(in: 0..<4, using: &dice)
    let opcode = UInt8.random(in: 0...255, using: &dice)
    let form = VectorTable.form(map: map, prefix: prefix, opcode: opcode)
    guard form.contains(.valid), !form.contains(.mmx) else { return nil }
    var fields = Fields(&dice)
    if form.contains(.registerOnly) { fields.usesMemory = false }
    if form.contains(.memoryOnly) { fields.usesMemory = true }
    fields.settle(
      generalReg: form.contains(.generalReg), generalRM: form.contains(.generalRM))
    if form.contains(.group), let field = [UInt8]([2, 4, 6, 3, 7]).randomElement(using: &dice) {
      fields.reg = field
    }
    var bytes: [UInt8] = [[], [0x66], [0xF3], [0xF2]][Int(prefix)]
    let isWide = Bool.random(using: &dice)
    let rex = 0x40 | (isWide ? 8 : 0) | (fields.reg > 7 ? 4 : 0) | (fields.rm > 7 ? 1 : 0)
    if rex != 0x40 { bytes.append(UInt8(rex)) }
    bytes += [[0x0F], [0x0F, 0x38], [0x0F, 0x3A]][Int(map) - 1]
    bytes.append(opcode)
    bytes += fields.modrm
    if form.contains(.immediate) { bytes.append(UInt8.random(in: 0...255, using: &dice)) }
    return bytes
  }

  private static func extended(_ dice: inout Dice) -> [UInt8]? {
    let map = UInt8.random(in: 1...3, using: &dice)
    let prefix = UInt8.random(in: 0..<4, using: &dice)
    let opcode = UInt8.random(in: 0...255, using: &dice)
    let form = VEXTable.form(map: map, prefix: prefix, opcode: opcode)
    let isGather = map == 2 && opcode >= 0x90 && opcode < 0x94
    guard form.contains(.valid), !isGather, !(map == 1 && [0xAE, 0xF7].contains(opcode)) else {
      return nil
    }
    var fields = Fields(&dice)
    if form.contains(.registerOnly) { fields.usesMemory = false }
    if form.contains(.memoryOnly) { fields.usesMemory = true }
    let isGeneral = form.contains(.general)
    fields.settle(
      generalReg: isGeneral || form.contains(.generalReg),
      generalRM: isGeneral || form.contains(.generalRM))
    var vector = UInt8.random(in: 0..<16, using: &dice)
    if isGeneral && vector == 4 { vector = 7 }
    if form.contains(.unary) || map == 3 && isGeneral || map == 1 && opcode == 0x77 {
      if UInt8.random(in: 0..<16, using: &dice) != 0 { vector = 0 }
    }
    if form.contains(.group), let field = [UInt8]([1, 2, 3, 4, 6, 7]).randomElement(using: &dice) {
      fields.reg = field
    }
    let isWide = Bool.random(using: &dice)
    var isLong = Bool.random(using: &dice)
    if isGeneral && UInt8.random(in: 0..<16, using: &dice) != 0 { isLong = false }
    var bytes: [UInt8] = [
      0xC4, (fields.reg > 7 ? 0 : 0x80) | 0x40 | (fields.rm > 7 ? 0 : 0x20) | map,
      (isWide ? 0x80 : 0) | (~vector & 15) << 3 | (isLong ? 4 : 0) | prefix, opcode,
    ]
    if map == 1 && opcode == 0x77 { return bytes }
    bytes += fields.modrm
    if form.contains(.immediate) { bytes.append(UInt8.random(in: 0...255, using: &dice)) }
    return bytes
  }

  private static func carryAdd(_ dice: inout Dice) -> [UInt8] {
    var fields = Fields(&dice)
    fields.settle(generalReg: true, generalRM: true)
    let rex =
      0x40 | (Bool.random(using: &dice) ? 8 : 0) | (fields.reg > 7 ? 4 : 0)
      | (fields.rm > 7 ? 1 : 0)
    return [Bool.random(using: &dice) ? 0x66 : 0xF3, UInt8(rex), 0x0F, 0x38, 0xF6] + fields.modrm
  }

  /// A gather whose indices stay in the page.
  private static func gather(_ dice: inout Dice) -> (bytes: [UInt8], index: Int) {
    let registers = Array(UInt8(0)..<16).shuffled(using: &dice)
    let (reg, index, mask) = (registers[0], registers[1], registers[2])
    let opcode = UInt8.random(in: 0x90...0x93, using: &dice)
    let bytes: [UInt8] = [
      0xC4, (reg > 7 ? 0 : 0x80) | (index > 7 ? 0 : 0x40) | 0x20 | 2,
      (Bool.random(using: &dice) ? 0x80 : 0) | (~mask & 15) << 3
        | (Bool.random(using: &dice) ? 4 : 0) | 1, opcode,
      0x44 | (reg & 7) << 3, 0x40 | (index & 7) << 3 | 3, 32,
    ]
    return (bytes, Int(index))
  }

  private static func element(_ dice: inout Dice) -> UInt64 {
    switch Int.random(in: 0..<6, using: &dice) {
    case 0: return 0
    case 1: return Double.random(in: -1000...1000, using: &dice).bitPattern
    case 2:
      let low = Float.random(in: -1e6...1e6, using: &dice).bitPattern
      return UInt64(low) << 32 | UInt64(Float.random(in: -4...4, using: &dice).bitPattern)
    case 3: return 0x7FF0_0000_7F80_0000
    default: return dice.next()
    }
  }

  @Test(arguments: [UInt64(3), 99, 31337])
  func vectorInstructionsDoWhatTheHostDoes(seed: UInt64) throws {
    try #require(HostCPUID.vectorState == 7, "this host has no AVX to compare with")
    let rig = try Rig()
    let native = try #require(NativeRunner(vectors: true))
    var dice = Dice(state: seed &* 0x9E37_79B9_7F4A_7C15)
    let memory = native.page + 6144
    let address = UInt64(UInt(bitPattern: memory))
    rig.long([])
    Shared.map(rig, address & ~4095, to: 0x40000)
    var system = rig.processor.systemRegisters()
    system.cr4 |= Bits.osfxsr | Bits.osxmmexcpt | Bits.osxsave
    rig.processor.setSystemRegisters(system)
    rig.processor.cpu.s.pointee.xcr0 = 7
    let at = UInt64(0x40000) | address & 4095
    var failures = 0
    var tried = 0
    var undefined = 0
    while tried < 12_000 && failures < 10 {
      var bytes: [UInt8]
      var index = -1
      switch Int.random(in: 0..<40, using: &dice) {
      case 0: bytes = Self.carryAdd(&dice)
      case 1: (bytes, index) = Self.gather(&dice)
      case 2...15: bytes = Self.legacy(&dice) ?? []
      default: bytes = Self.extended(&dice) ?? []
      }
      guard !bytes.isEmpty else { continue }
      tried += 1
      var registers = (0..<16).map { _ in Shared.value(&dice) }
      (registers[3], registers[11], registers[4]) = (address, address, 0x7000)
      let before = (0..<128).map { _ in UInt8.random(in: 0...255, using: &dice) }
      var vectors = (0..<64).map { _ in Self.element(&dice) }
      if index >= 0 {
        for place in 0..<4 {
          vectors[index * 4 + place] =
            UInt64.random(in: 0..<24, using: &dice)
            | (bytes[3] & 1 == 0 ? UInt64.random(in: 0..<24, using: &dice) << 32 : 0)
        }
      }
      let control = UInt32(truncatingIfNeeded: dice.next() & 0xE040 | 0x1F80)
      let flags = dice.next() & 0x8D5 | 2
      rig.space.write(Rig.code, bytes: bytes)
      rig.space.write(at, bytes: before)
      Shared.set(rig, registers, flags)
      Self.load(rig, vectors, control)
      _ = rig.processor.run(instructions: 1)
      for (place, byte) in before.enumerated() {
        memory.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
      }
      for (place, value) in vectors.enumerated() {
        native.page.storeBytes(
          of: value, toByteOffset: NativeRunner.vectors + place * 8, as: UInt64.self)
      }
      native.page.storeBytes(of: control, toByteOffset: NativeRunner.control, as: UInt32.self)
      var nativeFlags = flags
      let exists = native.run(bytes, &registers, &nativeFlags)
      let after = rig.processor.registers()
      let text = "\(bytes.map { String($0, radix: 16) })"
      if !exists || after.rip != Rig.code + UInt64(bytes.count) {
        undefined += 1
        if exists || after.rip != Rig.handlers + 6 * 16 {
          failures += 1
          Issue.record("\(text): host \(exists), at \(String(after.rip, radix: 16))")
        }
        Shared.restoreRing(rig)
        continue
      }
      let mine = Shared.list(after)
      let bytesAfter = (0..<128).map { memory.load(fromByteOffset: $0, as: UInt8.self) }
      let differing = Self.differences(rig, native)
      if mine != registers || (after.rflags ^ nativeFlags) & 0x8D5 != 0 || !differing.isEmpty
        || rig.space.bytes(at: at, count: 128) != bytesAfter
      {
        failures += 1
        let general = (0..<16).filter { mine[$0] != registers[$0] }
        Issue.record(
          "\(text): registers \(general) vectors \(differing) flags \(after.rflags) \(nativeFlags)")
      }
    }
    #expect(undefined < tried / 2)
  }

  /// Memory of the two rigs below.
  private static let operand: UInt64 = 0x50000

  private func extendedRig(long: Bool) throws -> Rig {
    let rig = try Rig()
    if long { rig.long([]) } else { rig.protected([]) }
    rig.change { $0.cr4 |= Bits.osfxsr | Bits.osxmmexcpt | Bits.osxsave }
    rig.processor.cpu.s.pointee.xcr0 = 7
    return rig
  }

  /// What 32-bit code can say of the VEX encodings does there what it does in 64-bit code.
  @Test func vectorInstructionsAreTheSameIn32BitCode() throws {
    try #require(HostCPUID.vectorState == 7, "this host has no AVX to compare with")
    let rigs = [try extendedRig(long: true), try extendedRig(long: false)]
    var dice = Dice(state: 0x3_2B17)
    var failures = 0
    var done = 0
    for _ in 0..<30_000 where failures < 10 {
      guard var bytes = Self.extended(&dice) else { continue }
      // Registers 0 to 7; in 32-bit code W says nothing of general registers.
      bytes[1] |= 0xE0
      bytes[2] |= 0x40
      let form = VEXTable.form(map: bytes[1] & 31, prefix: bytes[2] & 3, opcode: bytes[3])
      let isGeneral = form.contains(.general)
      if isGeneral || form.contains(.generalReg) || form.contains(.generalRM) { bytes[2] &= 0x7F }
      // The stack pointer is nobody's operand.
      if isGeneral && ~bytes[2] >> 3 & 15 == 4 { bytes[2] ^= 8 }
      let vectors = (0..<64).map { _ in Self.element(&dice) }
      var registers = (0..<16).map { _ in Shared.value(&dice) & 0xFFFF_FFFF }
      (registers[3], registers[4]) = (Self.operand, 0x7000)
      let before = (0..<128).map { _ in UInt8.random(in: 0...255, using: &dice) }
      for (index, rig) in rigs.enumerated() {
        // A register that an immediate names is one of 8 in 32-bit code, whatever its highest bit says.
        let namesRegister = bytes[1] & 31 == 3 && (0x4A...0x4C).contains(bytes[3])
        var own = bytes
        if namesRegister && index == 0 { own[own.count - 1] &= 0x7F }
        rig.space.write(Rig.code, bytes: own)
        rig.space.write(Self.operand, bytes: before)
        Shared.set(rig, registers, 2)
        Self.load(rig, vectors, 0x1F80)
        _ = rig.processor.run(instructions: 1)
      }
      let after = rigs.map { $0.processor.registers() }
      if after[0].rip == Rig.code + UInt64(bytes.count) {
        done += 1
        let values = after.map { Shared.list($0)[..<8].map { $0 & 0xFFFF_FFFF } + [$0.rflags] }
        let images = rigs.map { Self.image($0) + $0.space.bytes(at: Self.operand, count: 128) }
        if after[1].rip == after[0].rip, values[0] == values[1], images[0] == images[1] { continue }
      } else if after[1].rip == after[0].rip {
        for rig in rigs { Shared.restoreRing(rig) }
        continue
      }
      failures += 1
      Issue.record("\(bytes.map { String($0, radix: 16) }) at \(after[0].rip) and \(after[1].rip)")
      for rig in rigs { Shared.restoreRing(rig) }
    }
    #expect(done > 1000)
  }

  /// Registers 0 to 7, and MXCSR.
  private static func image(_ rig: Rig) -> [UInt8] {
    let fpu = rig.processor.cpu.fpu
    return [(24, 4), (160, 128), (576, 128)].flatMap {
      Array(UnsafeRawBufferPointer(start: fpu + $0.0, count: $0.1))
    }
  }

  private static func load(_ rig: Rig, _ vectors: [UInt64], _ control: UInt32) {
    let fpu = rig.processor.cpu.fpu
    for (place, value) in vectors.enumerated() {
      let base = place & 2 == 0 ? 160 : 576
      fpu.storeBytes(
        of: value, toByteOffset: base + place / 4 * 16 + (place & 1) * 8, as: UInt64.self)
    }
    fpu.storeBytes(of: control, toByteOffset: 24, as: UInt32.self)
  }

  private static func differences(_ rig: Rig, _ native: NativeRunner) -> [String] {
    let fpu = rig.processor.cpu.fpu
    var result: [String] = []
    for place in 0..<64 {
      let base = place & 2 == 0 ? 160 : 576
      let mine = fpu.load(
        fromByteOffset: base + place / 4 * 16 + (place & 1) * 8, as: UInt64.self)
      let theirs = native.page.load(
        fromByteOffset: NativeRunner.vectors + place * 8, as: UInt64.self)
      if mine != theirs {
        result.append(
          "\(place / 4).\(place & 3) \(String(mine, radix: 16)) \(String(theirs, radix: 16))")
      }
    }
    let control = native.page.load(fromByteOffset: NativeRunner.control, as: UInt32.self)
    let own = fpu.load(fromByteOffset: 24, as: UInt32.self)
    if own & 0xFFFF != control { result.append("MXCSR \(own) \(control)") }
    return result
  }
}
