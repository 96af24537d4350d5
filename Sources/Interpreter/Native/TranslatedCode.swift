import CInterpreter

/// Runs of operations that came up often, as instructions of the host.
///
/// A run is executed by its first operation, whose handler is the translated code; the operations stay
/// as they are, so that the run can be left at any of them. The first operation of a new block that
/// can be translated counts until it is worth it.
///
/// The pool is of fixed size; when it is full, it is emptied together with the decoded blocks.
final class TranslatedCode {
  // SAFETY: `code` has `size` bytes from the first translation to deinit; `used` stays below.
  private let size: Int
  /// More than the runs of one block need.
  private static let reserve = 64 << 10
  private var code: UnsafeMutableRawPointer?
  private(set) var used = 0
  /// How often a block is run before it is translated, at most 65,535; nil for never.
  var threshold: UInt16? = 200

  /// - Parameter size: bytes of the pool, of which memory is used as it fills.
  init(size: Int = 8 << 20) { self.size = size }

  deinit {
    if let code { ci_free_code(code, size) }
  }

  var isFull: Bool { used + Self.reserve > size }

  func clear() { used = 0 }

  /// Has the `count` operations of a new block counted.
  func watch(_ ops: OpRef, count: Int) {
    guard let threshold else { return }
    // A jump has no room for the count.
    for index in 0..<count {
      guard let meaning = Meaning.of(ops + index), meaning.kind != .jump else { continue }
      (ops + index).pointee.startCounting(threshold)
      return
    }
  }

  /// Translates the runs from `first` to the end of its block.
  func translate(_ first: OpRef, _ surroundings: Surroundings) {
    let end = Meaning.key(Handlers.goOn)
    var o = first
    while Meaning.key(o.pointee.go) != end {
      guard let run = Translator.translate(o, surroundings) else {
        o += 1
        continue
      }
      if let place = keep(run.bytes) { o.pointee.go = unsafeBitCast(place, to: Threaded.self) }
      o += run.count
    }
  }

  private func keep(_ bytes: [UInt8]) -> UnsafeMutableRawPointer? {
    if code == nil { code = ci_make_code(size) }
    guard let code, used + bytes.count <= size else { return nil }
    let place = code + used
    UnsafeMutableRawBufferPointer(start: place, count: bytes.count).copyBytes(from: bytes)
    used += (bytes.count + 15) & ~15
    return place
  }
}

extension Handlers {
  /// Counts down, and goes on with what the operation does; at the end has it translated.
  static let counted: Threaded = { raw, op in
    let o = op.op
    if o.pointee.count() { return o.pointee.counted(raw, op) }
    o.pointee.stopCounting()
    let cpu = CPU(raw: raw)
    cpu.environment.translated.translate(o, Surroundings(cpu))
    return o.pointee.go(raw, op)
  }
}

/// Counting, in the part of an operation that those with a handler of their own do not use: the upper
/// 16 bits are the count, the others the handler.
extension Op {
  private static let one: UInt = 1 << 48

  mutating func startCounting(_ count: UInt16) {
    spare = Meaning.key(go) | UInt(count) << 48
    go = Handlers.counted
  }
  /// Whether it still has to be counted on.
  @inline(__always) mutating func count() -> Bool {
    guard spare >= Self.one else { return false }
    spare &-= Self.one
    return true
  }
  @inline(__always) var counted: Threaded {
    unsafeBitCast(OpaquePointer(bitPattern: spare & (Self.one - 1)), to: Threaded.self)
  }
  mutating func stopCounting() { go = counted }
}
