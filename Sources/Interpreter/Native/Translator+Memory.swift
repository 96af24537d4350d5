/// Where operands in memory lie.
extension Translator {
  // MARK: Memory

  /// Puts the offset that the operand names into RAX. Keeps the flags.
  mutating func loadOffset(_ o: OpRef) {
    let parts = address(o)
    let shift = o.pointee.addressShift
    code.loadAddress(
      shift == 0 ? 3 : 2, HostRegister.rax, base: parts.base, index: parts.index,
      scale: o.pointee.scale, Int32(truncatingIfNeeded: o.pointee.disp))
    // movzx eax, ax
    if shift == 48 { code.registers(0x0FB7, 2, HostRegister.rax, HostRegister.rax) }
  }

  mutating func address(_ o: OpRef) -> (base: UInt8?, index: UInt8?) {
    (
      o.pointee.base == Layout.zeroRegister ? nil : value(o.pointee.base),
      o.pointee.index == Layout.zeroRegister ? nil : value(o.pointee.index)
    )
  }

  /// Puts the place of the operand in the host's memory into RCX, or leaves the run.
  mutating func find(_ o: OpRef, _ size: UInt8, writing: Bool) {
    storeFlags()
    flagsInHost = false
    loadOffset(o)
    if o.pointee.flags & Op.flat == 0 { addSegment(o.pointee.segment, size, writing: writing) }
    look(size, writing: writing)
  }

  /// Leaves a run that other segments were meant for, before anything is done; nil where it has none.
  mutating func jumpOnOtherSegments() -> Int? {
    guard given != 0 else { return nil }
    code.memory(0x8A, 0, HostRegister.rax, HostRegister.rdi, HostLayout.flatness)
    code.emit(0x24, given, 0x3C, given)  // and al, ...; cmp al, ...
    return code.jump(on: 5)
  }

  /// From an offset in RAX to a linear address.
  mutating func addSegment(_ segment: UInt16, _ size: UInt8, writing: Bool) {
    guard given & Flatness.segment(segment) == 0 else { return }
    let place = Int32(segment)
    let limit = writing ? HostLayout.writeLimit : HostLayout.readLimit
    code.loadAddress(
      3, HostRegister.rcx, base: HostRegister.rax, index: nil, scale: 0, (1 << Int32(size)) - 1)
    code.memory(0x3B, 3, HostRegister.rcx, HostRegister.rdi, place + limit)
    exit(on: 15)
    code.memory(0x03, 3, HostRegister.rax, HostRegister.rdi, place + HostLayout.base)
    code.memory(0x23, 3, HostRegister.rax, HostRegister.rdi, HostLayout.linearMask)
  }

  /// From a linear address in RAX to a pointer in RCX.
  mutating func look(_ size: UInt8, writing: Bool) {
    code.registers(0x8B, 3, HostRegister.rcx, HostRegister.rax)
    code.emit(0x48, 0xC1, 0xE9, 7)  // shr rcx, 7: the page's number, times an entry's 32 bytes
    code.emit(0x81, 0xE1)  // and ecx, ...
    code.emit(UInt64((Layout.tlbEntries - 1) * 32), bytes: 4)
    code.memory(0x03, 3, HostRegister.rcx, HostRegister.rdi, HostLayout.tlb)
    code.loadAddress(
      3, HostRegister.rdx, base: HostRegister.rax, index: nil, scale: 0, (1 << Int32(size)) - 1)
    code.emit(0x48, 0x81, 0xE2)  // and rdx, -4096
    code.emit(UInt64(UInt32(bitPattern: -4096)), bytes: 4)
    code.memory(
      0x3B, 3, HostRegister.rdx, HostRegister.rcx,
      writing ? HostLayout.writeTag : HostLayout.readTag)
    exit(on: 5)
    code.memory(0x8B, 3, HostRegister.rcx, HostRegister.rcx, HostLayout.addend)
    code.registers(0x03, 3, HostRegister.rcx, HostRegister.rax)
  }

  // MARK: The stack

  /// The width of the stack pointer for what is `size` wide.
  private func stackSize(_ size: UInt8) -> UInt8 {
    if size == 3 || surroundings.codeSize == 3 { return 3 }
    return surroundings.flatness & Flatness.narrowStack != 0 ? 1 : 2
  }

  /// Puts the place on the stack in the host's memory into RCX, or leaves the run.
  mutating func findOnStack(_ size: UInt8, pushing: Bool) {
    storeFlags()
    flagsInHost = false
    let width = stackSize(size)
    code.loadAddress(
      max(width, 2), HostRegister.rax, base: value(Self.stackPointer), index: nil, scale: 0,
      pushing ? -(1 << Int32(size)) : 0)
    if width == 1 { code.registers(0x0FB7, 2, HostRegister.rax, HostRegister.rax) }
    // What is 64 bits wide lies in no segment.
    if size != 3 { addSegment(Seg.ss.rawValue, size, writing: pushing) }
    look(size, writing: pushing)
  }

  /// Adds to a stack pointer in a register of the host.
  mutating func moveStackPointer(_ host: UInt8, _ size: UInt8, by distance: Int32) {
    code.loadAddress(stackSize(size), host, base: host, index: nil, scale: 0, distance)
  }

  static let stackPointer: UInt8 = 32
}
