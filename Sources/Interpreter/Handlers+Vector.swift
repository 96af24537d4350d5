import CInterpreter

/// Runs stubs, and what of the floating-point unit needs none.
extension Handlers {
  static let x87: Handler = { CPU(raw: $0).runX87($1.op) }
  static let vector: Handler = { CPU(raw: $0).runVector($1.op) }
  static let wideVector: Handler = { CPU(raw: $0).runWide($1.op) }
  static let mmx: Handler = { CPU(raw: $0).runMMX($1.op) }
  /// Conversions between MMX and XMM registers, under the rules of both.
  static let mixedVector: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    return cpu.mayUseMMX() ? cpu.keepingPointers { cpu.runVector(op.op) } : Next.fault
  }
  static let general: Handler = { CPU(raw: $0).runGeneral($1.op) }
  static let wait: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    let missing = Bits.mp | Bits.ts
    if cpu.s.pointee.cr0 & missing == missing { return cpu.fault(Vector.deviceMissing) }
    return cpu.servePendingX87() ? Next.op : Next.fault
  }
  static let saveFPU: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard cpu.mayUseFPU(0, changing: false) else { return Next.fault }
    guard cpu.isAligned(op.op, 16) else { return cpu.protectionFault() }
    let result = cpu.copyOut(op.op, from: cpu.fpu, 160 + cpu.vectorBytes)
    if cpu.s.pointee.hasUserEngine && result != Next.fault { cpu.carryHidden(op.op, saving: true) }
    return result
  }
  static let restoreFPU: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard cpu.mayUseFPU(0) else { return Next.fault }
    guard cpu.isAligned(op.op, 16) else { return cpu.protectionFault() }
    guard cpu.copyIn(op.op, 512) else { return Next.fault }
    let bounce = cpu.bounce
    guard bounce.load(fromByteOffset: 24, as: UInt32.self) & 0xFFFF_0000 == 0 else {
      return cpu.protectionFault()
    }
    cpu.fpu.copyMemory(from: bounce, byteCount: 28)
    (cpu.fpu + 32).copyMemory(from: bounce + 32, byteCount: 128 + cpu.vectorBytes)
    cpu.summarizeX87()
    if cpu.s.pointee.hasUserEngine { cpu.carryHidden(op.op, saving: false) }
    return Next.op
  }
  /// LDMXCSR and STMXCSR.
  static let vectorControl: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard cpu.mayUseVectors() else { return Next.fault }
    if op.op.pointee.aux == 3 {
      return cpu.store(op.op, cpu.fpu.load(fromByteOffset: 24, as: UInt32.self))
    }
    guard let value = cpu.load(op.op, UInt32.self) else { return Next.fault }
    if value & 0xFFFF_0000 != 0 { return cpu.protectionFault() }
    cpu.fpu.storeBytes(of: value, toByteOffset: 24, as: UInt32.self)
    return Next.op
  }
}

extension CPU {
  /// The guest's XSAVE image in its standard form: the FXSAVE image, 64 bytes that are not used, the
  /// upper halves of the YMM registers.
  var fpu: UnsafeMutableRawPointer { raw + Layout.fpu }
  /// Where a memory operand lies while a stub runs. It has 2 KiB, of which decoding uses some.
  var bounce: UnsafeMutableRawPointer { raw + Layout.bounce + 1024 }

  /// The state after RESET# (Intel SDM vol. 3, table 10-1).
  func resetFPU() {
    fpu.initializeMemory(as: UInt8.self, repeating: 0, count: 1024)
    fpu.storeBytes(of: 0x0040, as: UInt16.self)
    fpu.storeBytes(of: 0x1F80, toByteOffset: 24, as: UInt32.self)
    fpu.storeBytes(of: 0xFFFF, toByteOffset: 28, as: UInt32.self)
    fpu.storeBytes(of: 0x1F80, toByteOffset: StubBuilder.hostControl, as: UInt32.self)
  }

  /// Whether x87 instructions (or, without `bits`, FXSAVE) may run; else #NM.
  func mayUseFPU(_ bits: UInt64, changing: Bool = true) -> Bool {
    if s.pointee.cr0 & (Bits.em | Bits.ts | bits) == 0 {
      if s.pointee.fpuPlace != .here { claimFPU(changing: changing) }
      return true
    }
    _ = fault(Vector.deviceMissing)
    return false
  }

  func mayUseVectors() -> Bool {
    if s.pointee.cr0 & Bits.em != 0 || s.pointee.cr4 & Bits.osfxsr == 0 {
      _ = undefined()
      return false
    }
    if s.pointee.cr0 & Bits.ts != 0 {
      _ = fault(Vector.deviceMissing)
      return false
    }
    if s.pointee.fpuPlace != .here { claimFPU(changing: true) }
    return true
  }

  func isAligned(_ o: OpRef, _ bytes: UInt64) -> Bool {
    (segment(o.pointee.segment).pointee.base &+ offset(o)) & (bytes &- 1) == 0
  }

  /// Whether an x87 exception waits: by the flags and masks, of which the summary bits of the status
  /// are made, whatever an image that the guest loaded says.
  private var isX87Pending: Bool {
    let raised = fpu.load(fromByteOffset: 2, as: UInt16.self)
    return raised & ~fpu.load(as: UInt16.self) & 0x3F != 0
  }

  /// Makes the summary and busy bits of a status word that was loaded (Intel SDM vol. 1, 8.1.3.3).
  func summarizeX87() {
    let status = fpu.load(fromByteOffset: 2, as: UInt16.self)
    fpu.storeBytes(
      of: status & 0x7F7F | (isX87Pending ? 0x8080 : 0), toByteOffset: 2, as: UInt16.self)
  }

  /// Answers a pending x87 exception; false for #MF.
  fileprivate func servePendingX87() -> Bool {
    if s.pointee.fpuPlace != .here { claimFPU(changing: true) }
    guard isX87Pending else { return true }
    if s.pointee.cr0 & Bits.ne != 0 {
      _ = fault(Vector.floatingPoint)
      return false
    }
    // Without CR0.NE the exception goes to a wire that nothing here listens to.
    let status = fpu.load(fromByteOffset: 2, as: UInt16.self)
    fpu.storeBytes(of: status & 0x7F00, toByteOffset: 2, as: UInt16.self)
    return true
  }

  /// Fetches a memory operand to the bounce buffer; false after a fault.
  func copyIn(_ o: OpRef, _ count: Int) -> Bool {
    loadBlock(o.pointee.segment, offset(o), into: bounce, count)
  }

  /// Stores a memory operand.
  func copyOut(_ o: OpRef, from source: UnsafeMutableRawPointer, _ count: Int) -> Int {
    storeBlock(o.pointee.segment, offset(o), from: source, count)
  }

  /// Loads `count` bytes; false after a fault.
  func loadBlock(
    _ segment: UInt16, _ at: UInt64, into target: UnsafeMutableRawPointer, _ count: Int
  ) -> Bool {
    if let p = readable(segment, at, UInt64(count)) {
      target.copyMemory(from: p, byteCount: count)
      return true
    }
    var done = 0
    while done < count {
      let size = count - done >= 8 ? 8 : (count - done >= 4 ? 4 : (count - done >= 2 ? 2 : 1))
      guard let value = slowLoad(segment, at &+ UInt64(done), size) else { return false }
      switch size {
      case 8: target.storeBytes(of: value, toByteOffset: done, as: UInt64.self)
      case 4:
        target.storeBytes(
          of: UInt32(truncatingIfNeeded: value), toByteOffset: done, as: UInt32.self)
      case 2:
        target.storeBytes(
          of: UInt16(truncatingIfNeeded: value), toByteOffset: done, as: UInt16.self)
      default:
        target.storeBytes(of: UInt8(truncatingIfNeeded: value), toByteOffset: done, as: UInt8.self)
      }
      done += size
    }
    return true
  }

  /// Stores `count` bytes, all or, after a fault, none; a ``Next``.
  func storeBlock(
    _ segment: UInt16, _ at: UInt64, from source: UnsafeMutableRawPointer, _ count: Int
  ) -> Int {
    if let p = writable(segment, at, UInt64(count)) {
      p.copyMemory(from: source, byteCount: count)
      return Next.op
    }
    guard slowProbeWrite(segment, at, count) else { return Next.fault }
    var done = 0
    var result = Next.op
    while done < count {
      let size = count - done >= 8 ? 8 : (count - done >= 4 ? 4 : (count - done >= 2 ? 2 : 1))
      let value: UInt64
      switch size {
      case 8: value = source.loadUnaligned(fromByteOffset: done, as: UInt64.self)
      case 4: value = UInt64(source.loadUnaligned(fromByteOffset: done, as: UInt32.self))
      case 2: value = UInt64(source.loadUnaligned(fromByteOffset: done, as: UInt16.self))
      default: value = UInt64(source.load(fromByteOffset: done, as: UInt8.self))
      }
      let next = slowStore(segment, at &+ UInt64(done), value, size)
      if next == Next.fault { return next }
      result |= next
      done += size
    }
    return result
  }

  fileprivate func call(_ o: OpRef) {
    guard let stub = UnsafeRawPointer(bitPattern: UInt(truncatingIfNeeded: o.pointee.imm)) else {
      return
    }
    ci_call(stub, fpu, bounce, raw)
  }

  fileprivate func runX87(_ o: OpRef) -> Int {
    guard mayUseFPU(0) else { return Next.fault }
    let kind = o.pointee.reg
    if kind & Decoder.Kind.noWait == 0 && !servePendingX87() { return Next.fault }
    let count = Int(o.pointee.aux)
    if kind & Decoder.Kind.loads != 0 && !copyIn(o, count) { return Next.fault }
    guard kind & Decoder.Kind.stores != 0 else {
      callX87(o)
      return Next.op
    }
    guard mayStore(o, count) else { return Next.fault }
    // A masked store that raises an unmasked exception leaves memory as it is.
    guard copyIn(o, count) else { return Next.fault }
    callX87(o)
    return copyOut(o, from: bounce, count)
  }

  /// Whether an operand can be stored, which is to be known before registers change.
  private func mayStore(_ o: OpRef, _ count: Int) -> Bool {
    writable(o.pointee.segment, offset(o), UInt64(count)) != nil
      || slowProbeWrite(o.pointee.segment, offset(o), count)
  }

  /// Does what leaves x87's opcode, instruction and operand pointers alone, on whatever host: some
  /// save them only while an exception waits.
  @inline(__always) fileprivate func keepingPointers<R>(_ body: () -> R) -> R {
    let opcode = fpu.load(fromByteOffset: 6, as: UInt16.self)
    let instruction = fpu.load(fromByteOffset: 8, as: UInt64.self)
    let operand = fpu.load(fromByteOffset: 16, as: UInt64.self)
    let result = body()
    setPointers(opcode, instruction, operand)
    return result
  }

  private func setPointers(_ opcode: UInt16, _ instruction: UInt64, _ operand: UInt64) {
    fpu.storeBytes(of: opcode, toByteOffset: 6, as: UInt16.self)
    fpu.storeBytes(of: instruction, toByteOffset: 8, as: UInt64.self)
    fpu.storeBytes(of: operand, toByteOffset: 16, as: UInt64.self)
  }

  /// Runs a stub of FLDENV or FRSTOR, which load the pointers, or of FNINIT or FNSAVE, which clear
  /// them (Intel SDM vol. 1, figures 8-9 and 8-11; the others differ in selectors alone).
  private func callLoadingPointers(_ o: OpRef) {
    var opcode: UInt16 = 0
    var instruction: UInt64 = 0
    var operand: UInt64 = 0
    if o.pointee.reg & Decoder.Kind.loads != 0 {
      if o.pointee.aux == 28 || o.pointee.aux == 108 {
        opcode = bounce.load(fromByteOffset: 18, as: UInt16.self) & 0x7FF
        instruction = UInt64(bounce.load(fromByteOffset: 12, as: UInt32.self))
        operand = UInt64(bounce.load(fromByteOffset: 20, as: UInt32.self))
      } else {
        instruction = UInt64(bounce.load(fromByteOffset: 6, as: UInt16.self))
        operand = UInt64(bounce.load(fromByteOffset: 10, as: UInt16.self))
      }
    }
    call(o)
    setPointers(opcode, instruction, operand)
  }

  /// Runs an x87 stub. The pointers tell of the guest's instruction, not of the stub's (Intel SDM vol.
  /// 1, 8.1.8).
  private func callX87(_ o: OpRef) {
    guard o.pointee.flags & Op.pointed != 0 else {
      return o.pointee.size == 0 ? keepingPointers { call(o) } : callLoadingPointers(o)
    }
    keepingPointers { call(o) }
    let opcode = UInt16(o.pointee.size) << 8 | UInt16(o.pointee.rm)
    fpu.storeBytes(of: opcode, toByteOffset: 6, as: UInt16.self)
    let rip = (self[17] &+ UInt64(o.pointee.start)) & s.pointee.ripMask
    fpu.storeBytes(of: rip, toByteOffset: 8, as: UInt64.self)
    guard o.pointee.flags & Op.memory != 0 else { return }
    fpu.storeBytes(of: offset(o), toByteOffset: 16, as: UInt64.self)
  }

  /// Whether MMX instructions may run.
  func mayUseMMX() -> Bool {
    if s.pointee.cr0 & Bits.em != 0 {
      _ = undefined()
      return false
    }
    return mayUseFPU(0) && servePendingX87()
  }

  fileprivate func runMMX(_ o: OpRef) -> Int {
    guard mayUseMMX() else { return Next.fault }
    let count = Int(o.pointee.aux)
    if o.pointee.reg & Decoder.Kind.loads != 0 && !copyIn(o, count) { return Next.fault }
    let stores = o.pointee.reg & Decoder.Kind.stores != 0
    if stores && !mayStore(o, count) { return Next.fault }
    keepingPointers { call(o) }
    return stores ? copyOut(o, from: bounce, count) : Next.op
  }

  /// BMI and ADX: general registers alone.
  fileprivate func runGeneral(_ o: OpRef) -> Int {
    if o.pointee.reg & Decoder.Kind.loads != 0 && !copyIn(o, Int(o.pointee.aux)) {
      return Next.fault
    }
    call(o)
    return Next.op
  }

  fileprivate func runWide(_ o: OpRef) -> Int {
    guard mayUseWideVectors() else { return Next.fault }
    if o.pointee.reg & Decoder.Kind.aligned != 0 && !isAligned(o, UInt64(o.pointee.aux)) {
      return protectionFault()
    }
    return runWithOperand(o)
  }

  fileprivate func runVector(_ o: OpRef) -> Int {
    guard mayUseVectors() else { return Next.fault }
    if o.pointee.reg & Decoder.Kind.aligned != 0 && !isAligned(o, 16) { return protectionFault() }
    return runWithOperand(o)
  }

  @inline(__always) private func runWithOperand(_ o: OpRef) -> Int {
    let kind = o.pointee.reg
    let count = Int(o.pointee.aux)
    if kind & Decoder.Kind.loads != 0 && !copyIn(o, count) { return Next.fault }
    let control = fpu.load(fromByteOffset: 24, as: UInt32.self)
    if control & 0x1F80 != 0x1F80 { return runUnmasked(o, control) }
    call(o)
    if kind & Decoder.Kind.stores != 0 { return copyOut(o, from: bounce, count) }
    return Next.op
  }

  /// With exceptions unmasked: runs masked, looks what was raised, takes it back for #XM.
  private func runUnmasked(_ o: OpRef, _ control: UInt32) -> Int {
    let saved = raw + Layout.bounce + 2048
    let upper = fpu + StubBuilder.upperHalves
    saved.copyMemory(from: fpu, byteCount: 416)
    (saved + 416).copyMemory(from: upper, byteCount: 256)
    (saved + 672).copyMemory(from: raw, byteCount: 200)
    fpu.storeBytes(of: control & ~0x3F | 0x1F80, toByteOffset: 24, as: UInt32.self)
    call(o)
    let raised = fpu.load(fromByteOffset: 24, as: UInt32.self) & 0x3F
    let masks = control >> 7 & 0x3F
    if raised & ~masks != 0 {
      fpu.copyMemory(from: saved, byteCount: 416)
      upper.copyMemory(from: saved + 416, byteCount: 256)
      raw.copyMemory(from: saved + 672, byteCount: 200)
      fpu.storeBytes(of: control | raised, toByteOffset: 24, as: UInt32.self)
      if s.pointee.cr4 & Bits.osxmmexcpt == 0 { return undefined() }
      return fault(Vector.vector)
    }
    fpu.storeBytes(of: control | raised, toByteOffset: 24, as: UInt32.self)
    if o.pointee.reg & Decoder.Kind.stores != 0 {
      return copyOut(o, from: bounce, Int(o.pointee.aux))
    }
    return Next.op
  }
}
