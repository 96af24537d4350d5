import CInterpreter

/// Native code that runs one instruction of the guest on the host's own processor: the guest's
/// state goes in, the very instruction runs with its memory operand at a place of ours, the state
/// comes out.
///
/// A stub is called with the XSAVE image in RDI, the operand in RSI and the processor in RDX.
/// The pool is of fixed size; when it is full, it is emptied together with the decoded blocks.
final class StubPool {
  // SAFETY: `code` has `size` bytes from init to deinit; `used` stays below, as `isFull` leaves
  // room for more stubs than one block can have.
  private static let size = 1 << 20
  private static let reserve = 16 << 10
  private let code: UnsafeMutableRawPointer?
  private var used = 0
  private var known: [[UInt8]: UInt64] = [:]
  /// State, memory and registers of nobody, on which a new stub is tried.
  private let trial = UnsafeMutableRawPointer.allocate(byteCount: 3072, alignment: 64)

  init() { code = ci_make_code(Self.size) }

  deinit {
    if let code { ci_free_code(code, Self.size) }
    trial.deallocate()
  }

  var isFull: Bool { used + Self.reserve > Self.size }

  func clear() {
    used = 0
    known.removeAll(keepingCapacity: true)
  }

  /// Whether the host executes the stub at `place`: else the guest gets #UD, whatever a table says.
  private func runs(_ place: UnsafeMutableRawPointer) -> Bool {
    trial.initializeMemory(as: UInt8.self, repeating: 0, count: 3072)
    trial.storeBytes(of: 0x037F, as: UInt16.self)
    trial.storeBytes(of: 0x1F80, toByteOffset: 24, as: UInt32.self)
    trial.storeBytes(of: 0x1F80, toByteOffset: StubBuilder.hostControl, as: UInt32.self)
    return ci_can_run(place, trial, trial + 1024, trial + 2048)
  }

  /// The address of a stub with these bytes; 0 where the host gives no memory for code or does not
  /// have the instruction.
  func stub(_ bytes: [UInt8]) -> UInt64 {
    if let address = known[bytes] { return address }
    guard let code, used + bytes.count + 16 <= Self.size else { return 0 }
    let place = code + used
    for (index, byte) in bytes.enumerated() {
      place.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
    }
    guard runs(place) else {
      known[bytes] = 0
      return 0
    }
    used += (bytes.count + 15) & ~15
    let address = UInt64(UInt(bitPattern: place))
    known[bytes] = address
    return address
  }
}

/// Puts the bytes of a stub together.
struct StubBuilder {
  private(set) var bytes: [UInt8] = []
  /// Where the host's own MXCSR is kept, from the start of the XSAVE image and behind its end.
  static let hostControl = 960
  /// The upper halves of YMM registers in the XSAVE image (its standard form).
  static let upperHalves = 576

  init() { bytes.reserveCapacity(96) }

  mutating func emit(_ more: UInt8...) { bytes += more }
  mutating func emit(_ more: [UInt8]) { bytes += more }
  private mutating func displacement(_ value: Int) {
    let bits = UInt32(truncatingIfNeeded: value)
    emit(
      UInt8(bits & 0xFF), UInt8(bits >> 8 & 0xFF), UInt8(bits >> 16 & 0xFF), UInt8(bits >> 24))
  }
  /// mov r8, rdx
  mutating func begin() { emit(0x49, 0x89, 0xD0) }
  /// fxrstor64 [rdi]
  mutating func restoreAll() { emit(0x48, 0x0F, 0xAE, 0x0F) }
  /// fxsave64 [rdi]; fninit
  mutating func saveAll() { emit(0x48, 0x0F, 0xAE, 0x07, 0xDB, 0xE3) }
  /// ldmxcsr [rdi + 24]
  mutating func loadControl() { emit(0x0F, 0xAE, 0x57, 0x18) }
  /// stmxcsr [rdi + 24]
  mutating func saveControl() { emit(0x0F, 0xAE, 0x5F, 0x18) }
  /// ldmxcsr of the host's; ret
  mutating func end() {
    emit(0x0F, 0xAE, 0x97)
    displacement(Self.hostControl)
    emit(0xC3)
  }
  /// movups between XMM `number` and the image.
  mutating func vector(_ number: UInt8, save: Bool) {
    if number >= 8 { emit(0x44) }
    emit(0x0F, save ? 0x11 : 0x10, 0x87 | (number & 7) << 3)
    displacement(160 + Int(number) * 16)
  }
  /// mov between the host's register (0 RAX, 1 RCX, 2 RDX) and the guest's `number`.
  mutating func general(_ host: UInt8, _ number: UInt8, save: Bool) {
    emit(0x49, save ? 0x89 : 0x8B, 0x80 | host << 3)
    displacement(Int(number) * 8)
  }
  /// vmovups and vinsertf128 or vextractf128 between YMM `number` and the image; without `upper`
  /// the low half alone is loaded.
  mutating func wideVector(_ number: UInt8, save: Bool, upper: Bool = true) {
    let low = number & 7
    let extends: UInt8 = number < 8 ? 0x80 : 0
    emit(0xC5, 0x78 | extends, save ? 0x11 : 0x10, 0x87 | low << 3)
    displacement(160 + Int(number) * 16)
    guard upper else { return }
    let source: UInt8 = save ? 0x7D : (~number & 15) << 3 | 5
    emit(0xC4, 0x63 | extends, source, save ? 0x19 : 0x18, 0x87 | low << 3)
    displacement(Self.upperHalves + Int(number) * 16)
    emit(1)
  }
  /// vzeroupper
  mutating func leaveWide() { emit(0xC5, 0xF8, 0x77) }
  /// mov between R9 (or R10) and the guest's register.
  mutating func generalHigh(_ host: UInt8, _ number: UInt8, save: Bool) {
    emit(0x4D, save ? 0x89 : 0x8B, 0x80 | (host & 7) << 3)
    displacement(Int(number) * 8)
  }
  mutating func justReturn() { emit(0xC3) }
  /// Arithmetic flags in: mov ax, [r8 + flags]; add al, 127; sahf
  mutating func loadFlags() {
    emit(0x66, 0x41, 0x8B, 0x80)
    displacement(Layout.flags)
    emit(0x04, 0x7F, 0x9E)
  }
  /// Arithmetic flags out: seto al; lahf; mov [r8 + flags], ax
  mutating func saveFlags() {
    emit(0x0F, 0x90, 0xC0, 0x9F, 0x66, 0x41, 0x89, 0x80)
    displacement(Layout.flags)
  }
}
