import CNative
import Glibc
import KVMEngine

/// Cases run by the software processor and by the host's own, in this process: one at a time.
package final class Comparison {
  // SAFETY: both pages live as long as the process, at addresses that nothing else has.
  private let arena: UnsafeMutableRawPointer
  private let code: UnsafeMutableRawPointer
  private let machine: LongModeMachine

  /// - Throws: ``HostError`` where the host has no memory at the addresses of ``RandomCase``.
  package init() throws(HostError) {
    let pages = Self.pages
    guard let arena = pages.arena, let code = pages.code else {
      throw HostError("map memory for native code at its fixed address", code: EEXIST)
    }
    self.arena = arena
    self.code = code
    machine = try LongModeMachine()
    var dice = Seeded(1)
    for index in 0..<(3 * 4096) { machine.arena[index] = dice.byte() }
    memset(code, 0xCC, 4096)
    synchronize()
  }

  /// The memory of native code: the process has it once.
  private nonisolated(unsafe) static let pages:
    (arena: UnsafeMutableRawPointer?, code: UnsafeMutableRawPointer?) = {
      guard cn_prepare(),
        let arena = cn_map(RandomCase.arena, RandomCase.arenaBytes, false),
        let code = cn_map(RandomCase.codePage, 4096, true),
        cn_protect(arena + 3 * 4096, 4096, 0)
      else { return (nil, nil) }
      return (arena, code)
    }()

  /// The memory of the native side as the other's.
  private func synchronize() {
    guard let source = machine.arena.baseAddress else { return }
    mprotect(arena + 2 * 4096, 4096, PROT_READ | PROT_WRITE)
    memcpy(arena, source, 3 * 4096)
    mprotect(arena + 2 * 4096, 4096, PROT_READ)
  }

  /// What differs between the two after the case; nil: nothing.
  package func difference(_ test: RandomCase) -> String? {
    var mine = test.registers
    machine.image.copyBytes(from: test.vectors)
    machine.translates = test.isTranslated
    let outcome = machine.run(test.code, &mine, test.flags)
    var vectors = test.vectors
    let native = runNatively(test, &vectors)
    guard let outcome else {
      synchronize()
      return "\(test): the processor did not come back by an exception"
    }
    var found: [String] = []
    func compare(_ name: String, _ a: UInt64, _ b: UInt64, _ mask: UInt64 = .max) {
      if (a ^ b) & mask != 0 { found.append("\(name) \(hex(a)), natively \(hex(b))") }
    }
    compare("vector", outcome.vector, native.vector)
    compare("rip", outcome.rip, native.rip)
    compare("flags", outcome.flags, native.flags, 0xCD5 & ~test.undefined)
    if outcome.vector == native.vector && outcome.vector == 14 {
      // Which of an x87 operand's parts comes first is nobody's promise.
      compare(
        "address", outcome.address, native.address, test.vectors.isEmpty ? .max : ~4095)
      // Elsewhere the two sides have different pages.
      if outcome.address &- RandomCase.arena < UInt64(RandomCase.arenaBytes) {
        compare("error code", outcome.error, native.error)
      }
    }
    withUnsafeBytes(of: native.registers) { bytes in
      for number in 0..<16 {
        compare(
          "register \(number)", mine[number],
          bytes.load(fromByteOffset: number * 8, as: UInt64.self))
      }
    }
    if !test.vectors.isEmpty { found += Self.vectorDifferences(machine.image, vectors) }
    let places = differentBytes()
    if !places.isEmpty {
      found.append("memory at " + places.joined(separator: ", "))
      synchronize()
    }
    return found.isEmpty ? nil : "\(test): " + found.joined(separator: ", ")
  }

  /// The places, and what is there on this side and natively.
  private func differentBytes() -> [String] {
    guard let mine = machine.arena.baseAddress, memcmp(mine, arena, 3 * 4096) != 0 else {
      return []
    }
    return (0..<(3 * 4096)).compactMap { place in
      let a = mine.load(fromByteOffset: place, as: UInt8.self)
      let b = arena.load(fromByteOffset: place, as: UInt8.self)
      if a == b { return nil }
      return "\(hex(RandomCase.arena + UInt64(place))) \(hex(UInt64(a), 2)), "
        + "natively \(hex(UInt64(b), 2))"
    }
  }

  /// What differs in two FXSAVE images (Intel SDM vol. 1, table 10-2).
  private static func vectorDifferences(
    _ mine: UnsafeMutableRawBufferPointer, _ native: [UInt8]
  ) -> [String] {
    var fields: [(String, Int, Int)] = [
      ("FCW", 0, 2), ("FSW", 2, 2), ("FTW", 4, 1), ("FOP", 6, 2), ("FIP", 8, 8), ("FDP", 16, 8),
      ("MXCSR", 24, 4),
    ]
    for number in 0..<8 { fields.append(("ST\(number)", 32 + number * 16, 10)) }
    for number in 0..<16 { fields.append(("XMM\(number)", 160 + number * 16, 16)) }
    // Some processors save x87's pointers only while an exception waits.
    if native[2] & 0x80 == 0 { fields.removeAll { $0.1 >= 6 && $0.1 < 24 } }
    return fields.compactMap { name, start, count in
      let (a, b) = (mine[start..<(start + count)], native[start..<(start + count)])
      guard !a.elementsEqual(b) else { return nil }
      func text(_ bytes: some BidirectionalCollection<UInt8>) -> String {
        bytes.reversed().map { hex(UInt64($0), 2) }.joined()
      }
      return "\(name) \(text(a)), natively \(text(b))"
    }
  }

  private func runNatively(_ test: RandomCase, _ vectors: inout [UInt8]) -> cn_state {
    var state = cn_state()
    withUnsafeMutableBytes(of: &state.registers) { bytes in
      for (number, value) in test.registers.enumerated() {
        bytes.storeBytes(of: value, toByteOffset: number * 8, as: UInt64.self)
      }
    }
    state.rip = RandomCase.entry
    state.flags = test.flags
    let place = code + Int(RandomCase.entry & 4095)
    for (index, byte) in test.code.enumerated() {
      place.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
    }
    if vectors.isEmpty {
      cn_run(&state, nil)
    } else {
      vectors.withUnsafeMutableBytes { cn_run(&state, $0.baseAddress) }
    }
    memset(place, 0xCC, test.code.count)
    return state
  }
}
