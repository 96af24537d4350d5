import KVMEngine

/// One decoded instruction. A register is its byte offset in the register file, a segment its byte
/// offset in the state.
struct Op {
  /// What executes it and goes on with the operation behind it.
  var go: Threaded
  /// What executes it alone, for `Handlers.alone` to call; of a jump, where it led before.
  private var other: UInt
  /// The immediate operand, or the distance of a relative branch from the block's start.
  var imm: UInt64 = 0
  /// The displacement of the memory operand.
  var disp: UInt64 = 0
  var reg: UInt8 = 0
  var rm: UInt8 = 0
  var base = Layout.zeroRegister
  var index = Layout.zeroRegister
  /// The shift of the index register.
  var scale: UInt8 = 0
  /// The shift that makes the address mask: 0, 32 or 48.
  var addressShift: UInt8 = 0
  /// The operand size as a power of two of bytes.
  var size: UInt8 = 2
  /// A REP prefix (0, F2h, F3h), a condition, a count: what the handler takes it for.
  var aux: UInt8 = 0
  var segment: UInt16 = 0
  /// Where the instruction starts and ends, counted from the block's start.
  var start: UInt16 = 0
  var end: UInt16 = 0
  var flags: UInt8 = 0
  var length: UInt8 = 0

  /// The operand is memory.
  static let memory: UInt8 = 1
  static let lock: UInt8 = 2
  /// The shift count is CL.
  static let countInCL: UInt8 = 4
  /// Does nothing: it needs no place of its own in a block.
  static let nothing: UInt8 = 8
  /// A comparison of registers: `aux` says which (``Fusible``), `size` how wide.
  static let fusible: UInt8 = 16
  static let conditionalJump: UInt8 = 32
  /// The memory operand of 64-bit code lies in no segment, and its address has all 64 bits.
  static let flat: UInt8 = 64
  /// An x87 instruction that x87's pointers tell of: `size` and `rm` hold its opcode's lowest 11
  /// bits. In others `size` is 1 if they load the pointers, 0 if they leave them.
  static let pointed: UInt8 = 128

  init(run: Handler) {
    go = Handlers.alone
    other = UInt(bitPattern: unsafeBitCast(run, to: OpaquePointer.self))
  }

  /// What executes it where that needs no speed.
  var run: Handler {
    @inline(__always) get { unsafeBitCast(other, to: Handler.self) }
    set {
      other = UInt(bitPattern: unsafeBitCast(newValue, to: OpaquePointer.self))
      go = Handlers.alone
    }
  }

  /// Free in an operation that has a handler which goes on by itself and is no jump.
  var spare: UInt {
    @inline(__always) get { other }
    @inline(__always) set { other = newValue }
  }

  /// What executes a jump, which keeps the block that it led to.
  var jump: Threaded {
    get { go }
    set {
      other = 0
      go = newValue
    }
  }

  /// Where ``link`` lies, in bytes.
  static let linkOffset = MemoryLayout<Op>.offset(of: \.other) ?? 0

  /// The block that the jump led to the last time; it may be another's by now, so look who it is.
  var link: UnsafeMutablePointer<Block>? {
    @inline(__always) get { UnsafeMutablePointer(bitPattern: other) }
    set { other = UInt(bitPattern: newValue) }
  }
}

/// What a handler tells the loop.
enum Next {
  /// Go on with the operation that follows.
  static let op = 0
  /// A fault is recorded; the instruction has not happened.
  static let fault = 1
  /// RIP is set; look for the block there.
  static let jump = 2
  /// The instruction is done; look up before the next one.
  static let leave = 3
  /// Like ``jump``, and the operation wants to know the block that is found there.
  static let link = 4
  /// The bits that hold one of these below an operation's address.
  static let mask: UInt = 7
}

/// Runs an operation and all that follow, until one has something to say to the loop: the address
/// of that operation with a ``Next`` in the low bits.
typealias Threaded = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> UInt

typealias Handler = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Int
typealias OpRef = UnsafeMutablePointer<Op>

/// A run of decoded operations. It is entered at its start, may be left by conditional jumps, and
/// ends with another jump or with the operation that only goes on.
struct Block {
  var ops: OpRef
  var code: UnsafeMutablePointer<CodePage>?
  var generation: UInt64
  /// The page's key, the offset and the mode.
  var key: UInt64
  /// Bytes of code.
  var length: UInt64
  /// Instructions, at most.
  var count: Int64
  /// RIP and the ``World`` in which it was found there the last time; world 0 for never.
  var rip: UInt64 = 0
  var world: UInt64 = 0
}

extension UnsafeMutableRawPointer {
  @inline(__always) var op: OpRef { assumingMemoryBound(to: Op.self) }
}
