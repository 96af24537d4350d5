import CInterpreter
import KVMEngine

/// Jumps, the stack, flags, ports.
extension Handlers {
  static let callFar: Handler = { raw, op in
    CPU(raw: raw).farTransfer(
      op.op, UInt16(truncatingIfNeeded: op.op.pointee.imm), op.op.pointee.disp, isCall: true)
  }
  static let jumpFar: Handler = { raw, op in
    CPU(raw: raw).farTransfer(
      op.op, UInt16(truncatingIfNeeded: op.op.pointee.imm), op.op.pointee.disp, isCall: false)
  }
  static let callFarIndirect: Handler = { CPU(raw: $0).farIndirect($1.op, isCall: true) }
  static let jumpFarIndirect: Handler = { CPU(raw: $0).farIndirect($1.op, isCall: false) }
  static let returnFar: Handler = { CPU(raw: $0).returnFar($1.op) }
  static let interruptReturn: Handler = { CPU(raw: $0).interruptReturn($1.op) }
  static let interrupt: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let s = cpu.s
    let vector = UInt8(truncatingIfNeeded: op.op.pointee.imm)
    if s.pointee.isV86 && s.pointee.cr4 & Bits.vme != 0,
      let next = cpu.virtualInterrupt(vector, op.op)
    {
      return next
    }
    if cpu.isRestrictedV86 { return cpu.protectionFault() }
    return cpu.softwareInterrupt(vector, op.op)
  }
  static let interrupt3: Handler = { CPU(raw: $0).softwareInterrupt(3, $1.op) }
  static let interrupt1: Handler = { CPU(raw: $0).softwareInterrupt(1, $1.op, privileged: true) }
  static let interruptOnOverflow: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.flags.pointee & FlagWord.overflow == 0 { return Next.op }
    return cpu.softwareInterrupt(4, op.op)
  }
  static let loop: Threaded = { CPU(raw: $0).loop($1.op) }

  static let pushOperand: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard let value = cpu.loadRM(op.op) else { return Next.fault }
    return cpu.push(size: op.op.pointee.size, value)
  }
  static let popOperand: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let old = cpu[4]
    guard let value = cpu.pop(size: op.op.pointee.size) else { return Next.fault }
    // The address is made with the stack pointer as it is after the pop.
    let result = cpu.storeRM(op.op, value)
    if result == Next.fault { cpu[4] = old }
    return result
  }
  static let pushAll: Handler = { CPU(raw: $0).pushAll($1.op) }
  static let popAll: Handler = { CPU(raw: $0).popAll($1.op) }
  static let enter: Handler = { CPU(raw: $0).enter($1.op) }
  static let leave: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let mask = cpu.s.pointee.stackMask
    let top = cpu[5] & mask
    let size = op.op.pointee.size
    guard let value = cpu.load(Seg.ss.rawValue, top, size: size) else { return Next.fault }
    cpu.setStackPointer(top &+ (1 << UInt64(size)))
    cpu.set(40, size: size, value)
    return Next.op
  }
  static let pushFlags: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.isRestrictedV86 {
      guard cpu.hasVirtualInterrupts, op.op.pointee.size == 1 else { return cpu.protectionFault() }
      return cpu.push(size: 1, cpu.virtualFlags)
    }
    return cpu.push(
      size: op.op.pointee.size, cpu.rflags & ~(RFlag.resume | RFlag.virtual8086))
  }
  static let popFlags: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.isRestrictedV86 {
      guard cpu.hasVirtualInterrupts, op.op.pointee.size == 1 else { return cpu.protectionFault() }
      let top = cpu[4]
      guard let image = cpu.pop(size: 1) else { return Next.fault }
      guard cpu.mayLoadVirtualFlags(image) else {
        cpu[4] = top
        return Next.fault
      }
      cpu.loadVirtualFlags(image)
      return Next.leave
    }
    guard let image = cpu.pop(size: op.op.pointee.size) else { return Next.fault }
    let keeps = RFlag.virtualInterrupt | RFlag.virtualPending
    let old = cpu.s.pointee.eflags
    cpu.setReturnedFlags(image & ~RFlag.resume, op.op.pointee.size)
    if op.op.pointee.size != 1 {
      cpu.s.pointee.eflags = cpu.s.pointee.eflags & ~keeps | old & keeps
    }
    return Next.leave
  }
  static let clearInterrupt: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    guard cpu.mayChangeInterrupts else {
      return cpu.hasVirtualInterrupts ? cpu.setVirtualInterrupt(false) : cpu.protectionFault()
    }
    cpu.s.pointee.eflags &= ~RFlag.interrupt
    return Next.op
  }
  /// The block goes on behind STI: nothing looks up before the instruction after it.
  static let setInterrupt: Threaded = { raw, op in
    let cpu = CPU(raw: raw)
    guard cpu.mayChangeInterrupts else {
      return cpu.say(
        op.op, cpu.hasVirtualInterrupts ? cpu.setVirtualInterrupt(true) : cpu.protectionFault())
    }
    if cpu.s.pointee.eflags & RFlag.interrupt != 0 { return cpu.go(op.op) }
    cpu.s.pointee.eflags |= RFlag.interrupt
    cpu.unpark()
    let isLast = (op.op + 1).pointee.length == 0
    if cpu.isQuiet && !isLast { return cpu.go(op.op) }
    cpu.s.pointee.slow |= Slow.shadow
    return cpu.say(op.op, Next.leave)
  }
  static let halt: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    cpu.s.pointee.watched.isWaiting = false
    cpu.s.pointee.leave = .halted
    return Next.leave
  }
  static let input: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let o = op.op
    let port = o.pointee.aux == 1 ? UInt16(truncatingIfNeeded: o.pointee.imm) : cpu.get(16)
    let width = AccessWidth(rawValue: 1 << o.pointee.size) ?? .byte
    guard cpu.mayUsePort(port, width.bytes) else { return Next.fault }
    if port == VMwareBackdoor.port && width == .dword {
      cpu.notePort(port, width.bytes)
      cpu.s.pointee.leave = .backdoor
      return Next.leave
    }
    cpu.set(0, size: o.pointee.size, UInt64(cpu.environment.ports.read(port, width: width)))
    cpu.notePort(port, width.bytes)
    return Next.leave
  }
  static let output: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let o = op.op
    let port = o.pointee.aux == 1 ? UInt16(truncatingIfNeeded: o.pointee.imm) : cpu.get(16)
    let width = AccessWidth(rawValue: 1 << o.pointee.size) ?? .byte
    guard cpu.mayUsePort(port, width.bytes) else { return Next.fault }
    if port == FirmwareTrap.port {
      let place = cpu.segment(.cs).pointee.hiddenBase &+ cpu[17] &+ UInt64(o.pointee.start)
      if place &- FirmwareTrap.romAddress < FirmwareTrap.romBytes {
        cpu.s.pointee.leave = .firmwareTrap
        return Next.leave
      }
    }
    cpu.environment.ports.write(port, width: width, value: cpu.get(0, UInt32.self))
    cpu.notePort(port, width.bytes)
    return Next.leave
  }
}

extension CPU {
  var isRestrictedV86: Bool {
    s.pointee.isV86 && s.pointee.eflags & RFlag.privilege != RFlag.privilege
  }
  /// Whether CLI and STI are allowed.
  var mayChangeInterrupts: Bool {
    !s.pointee.isProtected
      || s.pointee.cpl <= UInt8(truncatingIfNeeded: s.pointee.eflags >> 12 & 3)
  }

  fileprivate func farIndirect(_ o: OpRef, isCall: Bool) -> Int {
    let at = offset(o)
    let size = o.pointee.size
    guard let rip = load(o.pointee.segment, at, size: size),
      let selector = load(o.pointee.segment, at &+ (1 << UInt64(size)), UInt16.self)
    else { return Next.fault }
    return farTransfer(o, selector, rip, isCall: isCall)
  }

  fileprivate func loop(_ o: OpRef) -> UInt {
    let mask = UInt64.max &>> UInt64(o.pointee.addressShift)
    var taken: Bool
    if o.pointee.aux == 0xE3 {
      taken = self[1] & mask == 0
    } else {
      let count = (self[1] &- 1) & mask
      taken = count != 0
      if o.pointee.aux == 0xE0 { taken = taken && !condition(4) }
      if o.pointee.aux == 0xE1 { taken = taken && condition(4) }
      if taken && !isInsideLimit(target(o)) { return say(o, protectionFault()) }
      self[1] = mask == 0xFFFF ? self[1] & ~0xFFFF | count : count
    }
    return taken ? chain(o, target(o)) : go(o)
  }

  fileprivate func pushAll(_ o: OpRef) -> Int {
    let size = o.pointee.size
    var stack = NewStack(self)
    for number in 0..<8 {
      guard stack.push(self[number], size: size) else { return Next.fault }
    }
    setStackPointer(stack.sp)
    return Next.leave
  }

  fileprivate func popAll(_ o: OpRef) -> Int {
    let size = o.pointee.size
    let step = UInt64(1) << UInt64(size)
    let top = stackPointer
    var values: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) =
      (0, 0, 0, 0, 0, 0, 0, 0)
    for number in 0..<8 {
      let at = (top &+ UInt64(number) &* step) & s.pointee.stackMask
      guard let value = load(Seg.ss.rawValue, at, size: size) else { return Next.fault }
      withUnsafeMutableBytes(of: &values) {
        $0.storeBytes(of: value, toByteOffset: (7 - number) * 8, as: UInt64.self)
      }
    }
    withUnsafeBytes(of: &values) { bytes in
      for number in 0..<8 where number != 4 {
        set(
          UInt8(number * 8), size: size, bytes.load(fromByteOffset: number * 8, as: UInt64.self))
      }
    }
    setStackPointer(top &+ 8 &* step)
    return Next.op
  }

  fileprivate func enter(_ o: OpRef) -> Int {
    let size = o.pointee.size
    let step = UInt64(1) << UInt64(size)
    let level = o.pointee.aux & 31
    var stack = NewStack(self)
    guard stack.push(self[5], size: size) else { return Next.fault }
    let frame = stack.sp
    if level > 0 {
      var source = self[5]
      var index: UInt8 = 1
      while index < level {
        source = source &- step
        guard let value = load(Seg.ss.rawValue, source & s.pointee.stackMask, size: size),
          stack.push(value, size: size)
        else { return Next.fault }
        index += 1
      }
      guard stack.push(frame, size: size) else { return Next.fault }
    }
    let top = (stack.sp &- o.pointee.imm) & s.pointee.stackMask
    if top != stackPointer {
      guard slowProbeWrite(Seg.ss.rawValue, top, 1) else { return Next.fault }
    }
    set(40, size: size, frame)
    setStackPointer(top)
    return Next.leave
  }
}
