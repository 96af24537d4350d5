import CKVM
import KVMEngine

/// What user code needed, and who does it.
extension UserEngine {
  /// Of a page fault's error code.
  private static let reservedBit: UInt32 = 8
  private static let writeBit: UInt32 = 2
  private static let fetchBit: UInt32 = 16
  private static let longestInstruction: UInt64 = 15

  /// Serves the exit that KVM came back with; the interpreter has the state.
  func serve(_ cpu: CPU) -> Leave {
    switch Int32(bitPattern: core.shared.pointee.exit_reason) {
    case KVM_EXIT_SHUTDOWN: return serveException(cpu)
    case KVM_EXIT_MMIO, KVM_EXIT_IO: return serveDevice(cpu)
    case KVM_EXIT_INTR, KVM_EXIT_IRQ_WINDOW_OPEN: return leaveForSignal(cpu)
    case KVM_EXIT_INTERNAL_ERROR: return interpretOne(cpu)
    case let reason: return fail("KVM left user code for reason \(reason)")
    }
  }

  /// KVM left because somebody wants something. What it had found out before about the code that ran
  /// until now is served now, for the next entry may be for other code.
  func leaveForSignal(_ cpu: CPU) -> Leave {
    let events = ckvm_sync_events(core.shared).pointee
    if events.triple_fault.pending != 0 { return serveException(cpu) }
    if cpu.s.pointee.rip == Self.systemCallTarget, takeBackSystemCall(cpu) { return .none }
    // Found but not raised. A fault's instruction is executed anew. INT 3, of which KVM tells the
    // number alone, and a debug exception come behind what caused them.
    let exception = events.exception
    if exception.nr == Vector.breakpoint { return rewindBreakpoint(cpu) }
    if exception.nr == Vector.debug, exception.injected != 0 || exception.pending != 0 {
      return serveDebug(cpu)
    }
    return .none
  }

  /// The interpreter executes the instruction at RIP.
  private func interpretOne(_ cpu: CPU) -> Leave {
    cpu.s.pointee.userHold = 1
    return .none
  }

  private func serveException(_ cpu: CPU) -> Leave {
    let exception = ckvm_sync_events(core.shared).pointee.exception
    let s = cpu.s
    if s.pointee.rip == Self.systemCallTarget, takeBackSystemCall(cpu) {
      return interpretOne(cpu)
    }
    switch exception.nr {
    case Vector.page: return servePageFault(cpu, exception.error_code)
    case Vector.breakpoint: return rewindBreakpoint(cpu)
    case Vector.debug: return serveDebug(cpu)
    default: return interpretOne(cpu)
    }
  }

  private func servePageFault(_ cpu: CPU, _ code: UInt32) -> Leave {
    // Which bits are reserved, both sides may not agree on.
    if code & Self.reservedBit != 0 { return interpretOne(cpu) }
    let s = cpu.s
    let address = ckvm_sync_sregs(core.shared).pointee.cr2
    let this = PageFault(rip: s.pointee.rip, address: address, code: code)
    // A fault that was found before registers were set tells CR2 as set, which is 0: once more.
    let isFetch = code & Self.fetchBit != 0
    let isLost = address == 0 || isFetch && address &- s.pointee.rip > Self.longestInstruction
    // The same once more, as after a fork: where the tables do not have the fault, the interpreter
    // executes the instruction, lest both sides differ for ever.
    if this == lastFault, isLost || isAllowed(cpu, address, code) {
      lastFault = PageFault()
      return interpretOne(cpu)
    }
    lastFault = this
    if isLost { return .none }
    s.pointee.cr2 = address
    _ = cpu.fault(Vector.page, code: code)
    return cpu.deliverFault()
  }

  /// Whether the guest's page tables allow the access of a page fault's error code.
  private func isAllowed(_ cpu: CPU, _ address: UInt64, _ code: UInt32) -> Bool {
    let cr2 = cpu.s.pointee.cr2
    defer { cpu.s.pointee.cr2 = cr2 }
    return cpu.translate(
      address, writing: code & Self.writeBit != 0, user: true,
      fetching: code & Self.fetchBit != 0) != nil
  }

  /// SYSCALL has gone to its target: the state before it, so that the interpreter executes it.
  /// RCX and R11 are what it overwrites.
  private func takeBackSystemCall(_ cpu: CPU) -> Bool {
    let at = cpu[1] &- 2
    guard isCode(cpu, at, [0x0F, 0x05]) else { return false }
    cpu.s.pointee.rip = at
    takeBackFlags(cpu, cpu[11])
    return true
  }

  /// INT 3 is reported behind the instruction, of one byte or two.
  private func rewindBreakpoint(_ cpu: CPU) -> Leave {
    let rip = cpu.s.pointee.rip
    if isCode(cpu, rip &- 1, [0xCC]) {
      cpu.s.pointee.rip = rip &- 1
    } else if isCode(cpu, rip &- 2, [0xCD, 3]) {
      cpu.s.pointee.rip = rip &- 2
    }
    return interpretOne(cpu)
  }

  /// A single step that user code asked for by POPF, or INT1, which is reported at the instruction
  /// or behind it.
  private func serveDebug(_ cpu: CPU) -> Leave {
    let rip = cpu.s.pointee.rip
    if cpu.s.pointee.eflags & RFlag.trap == 0 {
      if isCode(cpu, rip, [0xF1]) { return interpretOne(cpu) }
      if isCode(cpu, rip &- 1, [0xF1]) {
        cpu.s.pointee.rip = rip &- 1
        return interpretOne(cpu)
      }
    }
    cpu.s.pointee.dr6 |= 1 << 14
    _ = cpu.fault(Vector.debug)
    return cpu.deliverFault()
  }

  /// Whether `bytes` are the code at a linear address.
  private func isCode(_ cpu: CPU, _ linear: UInt64, _ bytes: [UInt8]) -> Bool {
    let cr2 = cpu.s.pointee.cr2
    defer { cpu.s.pointee.cr2 = cr2 }
    for (index, byte) in bytes.enumerated() {
      let at = linear &+ UInt64(index)
      guard CPU.isCanonical(at),
        let physical = cpu.translate(at, writing: false, user: true, fetching: true),
        cpu.loadPhysical(physical, 1) == UInt64(byte)
      else { return false }
    }
    return true
  }

  // MARK: Devices

  /// Device memory that user code has mapped: served here, finished by KVM, piece by piece.
  private func serveDevice(_ cpu: CPU) -> Leave {
    let shared = core.shared
    guard Int32(bitPattern: shared.pointee.exit_reason) == KVM_EXIT_MMIO else {
      return fail("KVM left user code for a port, which its task state segment forbids")
    }
    repeat {
      serveAccess()
    } while settle() >= 0
      && Int32(bitPattern: shared.pointee.exit_reason) == KVM_EXIT_MMIO
    takeBack(cpu)
    return .none
  }

  private func serveAccess() {
    let shared = core.shared
    let address = ckvm_mmio_address(shared)
    guard let data = ckvm_mmio_data(shared) else { return }
    let bytes = data.assumingMemoryBound(to: UInt8.self)
    let length = min(Int(ckvm_mmio_length(shared)), 8)
    let width = AccessWidth(rawValue: UInt8(length))
    // 3, 5, 6 or 7 bytes: the tail of an access that crosses a page.
    let step = width == nil ? 1 : length
    for offset in stride(from: 0, to: length, by: step) {
      let at = address &+ UInt64(offset)
      if ckvm_mmio_is_write(shared) {
        var value: UInt64 = 0
        for index in 0..<step { value |= UInt64(bytes[offset + index]) << UInt64(index * 8) }
        memory.bus.write(at, width: width ?? .byte, value: value)
      } else {
        let value = memory.bus.read(at, width: width ?? .byte)
        for index in 0..<step {
          bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8))
        }
      }
    }
  }
}
