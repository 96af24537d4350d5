import KVMEngine

/// Vector instructions that touch memory element by element, where a mask decides about faults.
extension Handlers {
  static let zeroVectors: Handler = { CPU(raw: $0).zeroVectors($1.op) }
  static let wideVectorControl: Handler = { raw, op in
    CPU(raw: raw).mayUseWideVectors() ? vectorControl(raw, op) : Next.fault
  }
  static let maskedLoad: Handler = { CPU(raw: $0).maskedLoad($1.op) }
  static let maskedStore: Handler = { CPU(raw: $0).maskedStore($1.op) }
  static let gather: Handler = { CPU(raw: $0).gather($1.op) }
  static let byteMask: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    return cpu.mayUseVectors() ? cpu.byteMask(op.op) : Next.fault
  }
  static let wideByteMask: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    return cpu.mayUseWideVectors() ? cpu.byteMask(op.op) : Next.fault
  }
  static let byteMaskMMX: Handler = { CPU(raw: $0).byteMaskMMX($1.op) }
}

extension CPU {
  /// Whether AVX instructions may run: #UD where the system has not enabled the state, #NM after a
  /// task switch (Intel SDM vol. 2, table 2-21).
  func mayUseWideVectors() -> Bool {
    let state: UInt64 = 6
    if s.pointee.cr4 & Bits.osxsave == 0 || s.pointee.xcr0 & state != state {
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

  /// The upper halves of the YMM registers.
  private var upper: UnsafeMutableRawPointer { fpu + StubBuilder.upperHalves }

  /// An element of a YMM register: byte `at` of 0 to 31.
  private func vectorByte(_ number: UInt64, _ at: Int) -> UnsafeMutableRawPointer {
    let place = Int(truncatingIfNeeded: number & 15) * 16
    return at < 16 ? fpu + (160 + place + at) : upper + (place + (at & 15))
  }

  private func element(_ number: UInt64, _ index: Int, _ size: UInt8) -> UInt64 {
    let place = vectorByte(number, index << Int(size & 3))
    return size == 3 ? place.load(as: UInt64.self) : UInt64(place.load(as: UInt32.self))
  }

  private func setElement(_ number: UInt64, _ index: Int, _ size: UInt8, _ value: UInt64) {
    let place = vectorByte(number, index << Int(size & 3))
    if size == 3 {
      place.storeBytes(of: value, as: UInt64.self)
    } else {
      place.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
    }
  }

  private func isMasked(_ number: UInt64, _ index: Int, _ size: UInt8) -> Bool {
    element(number, index, size) >> (size == 3 ? 63 : 31) != 0
  }

  /// VZEROUPPER and VZEROALL, of 8 registers outside 64-bit code.
  fileprivate func zeroVectors(_ o: OpRef) -> Int {
    guard mayUseWideVectors() else { return Next.fault }
    let count = o.pointee.size == 3 ? 256 : 128
    upper.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    if o.pointee.aux != 0 {
      (fpu + 160).initializeMemory(as: UInt8.self, repeating: 0, count: count)
    }
    return Next.op
  }

  fileprivate func maskedLoad(_ o: OpRef) -> Int {
    guard mayUseWideVectors() else { return Next.fault }
    let size = o.pointee.size
    let count = Int(o.pointee.aux) >> Int(size)
    let at = offset(o)
    var values: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) =
      (0, 0, 0, 0, 0, 0, 0, 0)
    return withUnsafeMutableBytes(of: &values) { bytes in
      for index in 0..<count where isMasked(o.pointee.imm, index, size) {
        let place = at &+ UInt64(index) << UInt64(size)
        guard let value = load(o.pointee.segment, place, size: size) else { return Next.fault }
        bytes.storeBytes(of: value, toByteOffset: index * 8, as: UInt64.self)
      }
      let number = UInt64(o.pointee.reg)
      for index in 0..<(32 >> Int(size)) {
        let value = index < count ? bytes.load(fromByteOffset: index * 8, as: UInt64.self) : 0
        setElement(number, index, size, value)
      }
      return Next.op
    }
  }

  fileprivate func maskedStore(_ o: OpRef) -> Int {
    guard mayUseWideVectors() else { return Next.fault }
    let size = o.pointee.size
    let count = Int(o.pointee.aux) >> Int(size)
    let at = offset(o)
    var result = Next.op
    for index in 0..<count where isMasked(o.pointee.imm, index, size) {
      let place = at &+ UInt64(index) << UInt64(size)
      let next = store(
        o.pointee.segment, place, size: size, element(UInt64(o.pointee.reg), index, size))
      if next == Next.fault { return next }
      result |= next
    }
    return result
  }

  /// Element by element from the first: what is done before a fault stays done, and its mask is
  /// cleared (Intel SDM vol. 2, VGATHER).
  fileprivate func gather(_ o: OpRef) -> Int {
    guard mayUseWideVectors() else { return Next.fault }
    let size = o.pointee.size
    let isQuad = o.pointee.aux & 1 != 0
    let bytes = Int(o.pointee.aux & 0x30)
    let count = bytes >> (isQuad ? 3 : Int(size))
    let base = offset(o)
    let wrap = UInt64.max &>> UInt64(o.pointee.addressShift)
    let number = UInt64(o.pointee.reg)
    for index in 0..<count where isMasked(o.pointee.imm, index, size) {
      let raw = element(UInt64(o.pointee.rm), index, isQuad ? 3 : 2)
      let wide = isQuad ? raw : UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: raw)))
      let place = (base &+ wide << UInt64(o.pointee.scale)) & wrap
      guard let value = load(o.pointee.segment, place, size: size) else { return Next.fault }
      setElement(number, index, size, value)
      setElement(o.pointee.imm, index, size, 0)
    }
    for index in 0..<(32 >> Int(size)) {
      setElement(o.pointee.imm, index, size, 0)
      if index >= count { setElement(number, index, size, 0) }
    }
    return Next.op
  }

  /// MASKMOVDQU: the bytes whose mask byte has its highest bit set, to rDI.
  fileprivate func byteMask(_ o: OpRef) -> Int {
    byteMask(
      o, data: fpu + (160 + Int(o.pointee.reg & 15) * 16),
      mask: fpu + (160 + Int(o.pointee.rm & 15) * 16), 16)
  }

  private func byteMask(
    _ o: OpRef, data: UnsafeMutableRawPointer, mask: UnsafeMutableRawPointer, _ count: Int
  ) -> Int {
    let at = offset(o)
    let wrap = UInt64.max &>> UInt64(o.pointee.addressShift)
    var result = Next.op
    for index in 0..<count where mask.load(fromByteOffset: index, as: UInt8.self) & 0x80 != 0 {
      let next = store(
        o.pointee.segment, (at &+ UInt64(index)) & wrap,
        data.load(fromByteOffset: index, as: UInt8.self))
      if next == Next.fault { return next }
      result |= next
    }
    return result
  }

  fileprivate func byteMaskMMX(_ o: OpRef) -> Int {
    guard mayUseMMX() else { return Next.fault }
    let result = byteMask(
      o, data: fpu + (32 + Int(o.pointee.reg & 7) * 16),
      mask: fpu + (32 + Int(o.pointee.rm & 7) * 16), 8)
    guard result != Next.fault else { return result }
    // As every MMX instruction: the top of the stack is 0, all registers are in use.
    let status = fpu.load(fromByteOffset: 2, as: UInt16.self)
    fpu.storeBytes(of: status & ~0x3800, toByteOffset: 2, as: UInt16.self)
    fpu.storeBytes(of: 0xFF, toByteOffset: 4, as: UInt8.self)
    return result
  }
}
