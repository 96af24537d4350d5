import CInterpreter
import KVMEngine

/// Runs one instruction on the host's own processor, in this process, with given registers and
/// arithmetic flags. The caller knows that it neither faults nor touches RSP.
final class NativeRunner {
  // SAFETY: `page` has 8192 bytes from init to deinit: code in the first half, state in the second.
  let page: UnsafeMutableRawPointer
  private let prologue: [UInt8]
  private let takesVectors: Bool

  private static let state = 4096
  /// Sixteen YMM registers, and MXCSR.
  static let vectors = 7168
  static let control = vectors + 512
  private static let hostControl = control + 4
  private static let flags = state + 128
  private static let stack = state + 136
  /// Numbers of the registers that are loaded: all but RSP.
  private static let numbers: [UInt8] = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]

  /// With `vectors` the YMM registers and MXCSR are loaded from the page and stored there, too.
  init?(vectors takesVectors: Bool = false) {
    guard let page = ci_make_code(8192) else { return nil }
    self.page = page
    self.takesVectors = takesVectors
    var code: [UInt8] = [0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57]
    Self.relative(&code, [0x48, 0x89, 0x25], Self.stack)
    if takesVectors { Self.vectorMoves(&code, save: false) }
    Self.relative(&code, [0xFF, 0x35], Self.flags)
    code.append(0x9D)
    for number in Self.numbers {
      Self.relative(
        &code, [number < 8 ? 0x48 : 0x4C, 0x8B, (number & 7) << 3 | 5], Self.state + Int(number) * 8
      )
    }
    prologue = code
  }

  deinit { ci_free_code(page, 8192) }

  /// An instruction whose last four bytes are a displacement to `target` in the page.
  private static func relative(_ code: inout [UInt8], _ bytes: [UInt8], _ target: Int) {
    code += bytes
    let distance = UInt32(truncatingIfNeeded: target - (code.count + 4))
    for shift in [UInt32(0), 8, 16, 24] {
      code.append(UInt8(truncatingIfNeeded: distance >> shift))
    }
  }

  private static func vectorMoves(_ code: inout [UInt8], save: Bool) {
    if !save { relative(&code, [0x0F, 0xAE, 0x1D], hostControl) }
    for number in UInt8(0)..<16 {
      relative(
        &code, [0xC5, number < 8 ? 0xFC : 0x7C, save ? 0x11 : 0x10, (number & 7) << 3 | 5],
        vectors + Int(number) * 32)
    }
    relative(&code, [0x0F, 0xAE, save ? 0x1D : 0x15], control)
    if save {
      code += [0xC5, 0xF8, 0x77]
      relative(&code, [0x0F, 0xAE, 0x15], hostControl)
    }
  }

  /// Registers by number and RFLAGS; both are changed as the instruction changes them. False: it is
  /// none on this host.
  @discardableResult
  func run(_ instruction: [UInt8], _ registers: inout [UInt64], _ flags: inout UInt64) -> Bool {
    var code = prologue + instruction
    for number in Self.numbers {
      Self.relative(
        &code, [number < 8 ? 0x48 : 0x4C, 0x89, (number & 7) << 3 | 5], Self.state + Int(number) * 8
      )
    }
    Self.relative(&code, [0x48, 0x8B, 0x25], Self.stack)
    // pushfq; pop [flags]; cld; restore; ret
    code.append(0x9C)
    Self.relative(&code, [0x8F, 0x05], Self.flags)
    if takesVectors { Self.vectorMoves(&code, save: true) }
    code += [0xFC, 0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B, 0xC3]
    for (index, byte) in code.enumerated() {
      page.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
    }
    for number in Self.numbers {
      page.storeBytes(
        of: registers[Int(number)], toByteOffset: Self.state + Int(number) * 8, as: UInt64.self)
    }
    page.storeBytes(of: flags & 0xCD5 | 0x202, toByteOffset: Self.flags, as: UInt64.self)
    guard ci_can_run(page, page, page, page) else { return false }
    for number in Self.numbers {
      registers[Int(number)] = page.load(
        fromByteOffset: Self.state + Int(number) * 8, as: UInt64.self)
    }
    flags = page.load(fromByteOffset: Self.flags, as: UInt64.self)
    return true
  }
}
