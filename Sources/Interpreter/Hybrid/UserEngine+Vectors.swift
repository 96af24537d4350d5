import CKVM
import KVMEngine

/// The FPU and vector state goes to KVM with the first entry after the interpreter changed it, and
/// comes back only when the interpreter needs it.
extension UserEngine {
  /// The FXSAVE part of the image, and where its header says which components there are.
  private static let legacyBytes = 512
  private static let componentsOffset = 512
  /// What FXSAVE does not write.
  private static let legacyUsed = 416
  /// AVX state, which lies first behind the header on every processor (Intel SDM vol. 1, 13.4.3).
  private static let avx: UInt64 = 4
  private static let avxBytes = 256

  /// Gives KVM the interpreter's state.
  func lendVectors(_ cpu: CPU) -> Leave? {
    vectors.copyMemory(from: cpu.fpu, byteCount: Self.legacyUsed)
    var components = vectors.load(fromByteOffset: Self.componentsOffset, as: UInt64.self) | 3
    if HostCPUID.vectorState & Self.avx != 0 {
      (vectors + Self.extendedOffset).copyMemory(
        from: cpu.fpu + StubBuilder.upperHalves, byteCount: Self.avxBytes)
      components |= Self.avx
    }
    vectors.storeBytes(of: components, toByteOffset: Self.componentsOffset, as: UInt64.self)
    let result = ckvm_ioctl_pointer(core.number, ckvm_request_number(CKVM_SET_XSAVE), vectors)
    guard result >= 0 else {
      return fail(HostError("give KVM the vector registers", code: -result).description)
    }
    cpu.s.pointee.fpuPlace = .both
    return nil
  }

  /// Brings KVM's state to the interpreter.
  func fetchVectors(_ cpu: CPU) {
    guard cpu.s.pointee.fpuPlace == .away else { return }
    _ = ckvm_ioctl_pointer(core.number, ckvm_request_number(CKVM_GET_XSAVE), vectors)
    let components = vectors.load(fromByteOffset: Self.componentsOffset, as: UInt64.self)
    let control = vectors.load(fromByteOffset: 24, as: UInt32.self)
    let mask = vectors.load(fromByteOffset: 28, as: UInt32.self)
    cpu.fpu.copyMemory(from: vectors, byteCount: Self.legacyUsed)
    // A component that is in its initial state is not in the image (Intel SDM vol. 1, 13.6).
    if components & 1 == 0 {
      cpu.fpu.initializeMemory(as: UInt8.self, repeating: 0, count: 160)
      cpu.fpu.storeBytes(of: 0x037F, as: UInt16.self)
    }
    if components & 2 == 0 {
      (cpu.fpu + 160).initializeMemory(as: UInt8.self, repeating: 0, count: 256)
    }
    cpu.fpu.storeBytes(
      of: components & 6 == 0 ? 0x1F80 : control, toByteOffset: 24, as: UInt32.self)
    cpu.fpu.storeBytes(of: mask == 0 ? 0xFFFF : mask, toByteOffset: 28, as: UInt32.self)
    takeUpperHalves(cpu)
    cpu.s.pointee.fpuPlace = .both
  }

  /// The upper halves of the YMM registers, from the image to the interpreter.
  func takeUpperHalves(_ cpu: CPU) {
    let components = vectors.load(fromByteOffset: Self.componentsOffset, as: UInt64.self)
    let target = cpu.fpu + StubBuilder.upperHalves
    if components & HostCPUID.vectorState & Self.avx != 0 {
      target.copyMemory(from: vectors + Self.extendedOffset, byteCount: Self.avxBytes)
    } else {
      target.initializeMemory(as: UInt8.self, repeating: 0, count: Self.avxBytes)
    }
  }
}

/// User code sees the host's CPUID and may use vector registers that the guest's system does not
/// know of. What of them is in use goes with the image to which the system saves the others, and
/// comes back with it, as if it were a part of that image.
extension UserEngine {
  private static let extendedOffset = 576
  private static let mostImages = 4096

  /// The system saves the registers to an image at linear address `address`; it knows of `known`.
  func keepHidden(_ address: UInt64, known: UInt64) {
    let components = vectors.load(fromByteOffset: Self.componentsOffset, as: UInt64.self)
    let hidden = components & ~known
    guard hidden != 0 else {
      hiddenImages[address] = nil
      return
    }
    if hiddenImages.count >= Self.mostImages { hiddenImages.removeAll(keepingCapacity: true) }
    let count = Self.vectorBytes - Self.extendedOffset
    var image = hiddenImages[address] ?? HiddenImage(components: 0, bytes: [])
    image.components = hidden
    image.bytes = Array(UnsafeRawBufferPointer(start: vectors + Self.extendedOffset, count: count))
    hiddenImages[address] = image
  }

  /// The system loads the registers from an image at linear address `address`.
  func loadHidden(_ address: UInt64, known: UInt64) {
    let components = vectors.load(fromByteOffset: Self.componentsOffset, as: UInt64.self)
    var hidden: UInt64 = 0
    if let image = hiddenImages[address] {
      hidden = image.components
      image.bytes.withUnsafeBytes { bytes in
        guard let start = bytes.baseAddress else { return }
        (vectors + Self.extendedOffset).copyMemory(from: start, byteCount: bytes.count)
      }
    }
    vectors.storeBytes(
      of: components & known | hidden, toByteOffset: Self.componentsOffset,
      as: UInt64.self)
  }
}

/// The part of a processor's vector registers that the guest's system does not know of.
struct HiddenImage {
  /// The components in use, bits of XSTATE_BV.
  var components: UInt64
  /// The extended region of an XSAVE image of standard format.
  var bytes: [UInt8]
}

extension CPU {
  /// Takes what the system does not know of along with an image that it saves or loads.
  @inline(never)
  func carryHidden(_ o: OpRef, saving: Bool) {
    guard s.pointee.cpl == 0, let engine = environment.userEngine else { return }
    let address = segment(o.pointee.segment).pointee.base &+ offset(o)
    // The legacy components are in every image.
    let known = s.pointee.xcr0 | 3
    if saving { return engine.keepHidden(address, known: known) }
    engine.loadHidden(address, known: known)
    if known & 4 == 0 { engine.takeUpperHalves(self) }
  }

  /// Has the newest FPU state here, before an instruction looks at it or changes it.
  @inline(never)
  func claimFPU(changing: Bool) {
    environment.userEngine?.fetchVectors(self)
    if changing { s.pointee.fpuPlace = .here }
  }
}
