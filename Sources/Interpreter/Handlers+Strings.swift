import Glibc
import KVMEngine

/// String instructions. A repeated one works in portions and comes back to itself for more, so that
/// interrupts are seen in between.
extension CPU {
  /// How many elements are done before the loop looks up; one while a trap may have to come after it.
  private var portion: UInt64 {
    s.pointee.slow & (Slow.breakpoints | Slow.singleStep) != 0 ? 1 : 4096
  }

  @inline(__always) private func addressMask(_ o: OpRef) -> UInt64 {
    UInt64.max &>> UInt64(o.pointee.addressShift)
  }
  /// RSI or RDI (6 or 7), by `bytes` on.
  @inline(__always) private func advance(_ number: Int, _ bytes: UInt64, _ mask: UInt64) {
    let value = (self[number] &+ bytes) & mask
    if mask == 0xFFFF {
      self[number] = self[number] & ~0xFFFF | value
    } else {
      self[number] = value
    }
  }
  @inline(__always) private func step<W: Word>(_ width: W.Type) -> UInt64 {
    let size = UInt64(MemoryLayout<W>.size)
    return s.pointee.eflags & RFlag.direction != 0 ? 0 &- size : size
  }
  private var destination: UInt16 {
    s.pointee.is64 ? Seg.flat.rawValue : Seg.es.rawValue
  }

  /// What a repeated instruction says after some elements, of which the last one's store said
  /// `result`: again, or done.
  private func again(_ o: OpRef, _ mask: UInt64, after result: Int = Next.op) -> Int {
    if self[1] & mask == 0 { return result }
    s.pointee.rip = (self[17] &+ UInt64(o.pointee.start)) & s.pointee.ripMask
    return Next.jump
  }

  /// How many elements one fast step may do from `offset` on, up to the page's end and the limit.
  private func room(_ at: UInt64, _ size: UInt64, _ count: UInt64) -> UInt64 {
    let bytes = 4096 &- (at & 4095)
    return min(count, bytes / size)
  }

  func movs<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let mask = addressMask(o)
    let step = step(W.self)
    if o.pointee.aux == 0 { return moveOne(o, W.self, mask, step) }
    var left = min(self[1] & mask, portion)
    var result = Next.op
    while left > 0 && result != Next.leave {
      if Int64(bitPattern: step) > 0 {
        let done = moveMany(o, W.self, mask, left)
        left -= done
        if done > 0 { continue }
        let onBus = moveOnBus(o, W.self, mask, left)
        left -= onBus
        if onBus > 0 {
          result = afterDevice
          continue
        }
      }
      result = moveOne(o, W.self, mask, step)
      if result == Next.fault { return result }
      advance(1, UInt64.max, mask)
      left -= 1
    }
    return again(o, mask, after: result)
  }

  @inline(__always) private func moveOne<W: Word>(
    _ o: OpRef, _ width: W.Type, _ mask: UInt64, _ step: UInt64
  ) -> Int {
    guard let value = load(o.pointee.segment, self[6] & mask, W.self) else { return Next.fault }
    let result = store(destination, self[7] & mask, value)
    if result == Next.fault { return result }
    advance(6, step, mask)
    advance(7, step, mask)
    return result
  }

  /// Copies forwards within one page on each side. 0: that is not possible here.
  private func moveMany<W: Word>(
    _ o: OpRef, _ width: W.Type, _ mask: UInt64, _ count: UInt64
  ) -> UInt64 {
    let size = UInt64(MemoryLayout<W>.size)
    let from = self[6] & mask
    let to = self[7] & mask
    let fromBase = segment(o.pointee.segment).pointee.base
    let toBase = segment(destination).pointee.base
    let number = min(
      room(fromBase &+ from, size, count), room(toBase &+ to, size, count))
    guard number > 1, from <= mask &- number &* size, to <= mask &- number &* size,
      let source = readable(o.pointee.segment, from, number &* size),
      let target = writable(destination, to, number &* size)
    else { return 0 }
    let bytes = Int(truncatingIfNeeded: number &* size)
    if target > source && target < source + bytes {
      // A copy on to itself repeats the pattern.
      var offset = 0
      while offset < bytes {
        (target + offset).storeBytes(
          of: (source + offset).loadUnaligned(as: W.self), as: W.self)
        offset += Int(size)
      }
    } else {
      memmove(target, source, bytes)
    }
    advance(6, number &* size, mask)
    advance(7, number &* size, mask)
    advance(1, 0 &- number, mask)
    return number
  }

  /// Copies forwards within one device, one page on each side. 0: that is not possible here.
  private func moveOnBus<W: Word>(
    _ o: OpRef, _ width: W.Type, _ mask: UInt64, _ count: UInt64
  ) -> UInt64 {
    let size = UInt64(MemoryLayout<W>.size)
    let from = self[6] & mask
    let to = self[7] & mask
    let number = min(
      room(segment(o.pointee.segment).pointee.base &+ from, size, count),
      room(segment(destination).pointee.base &+ to, size, count))
    guard number > 1, from <= mask &- number &* size, to <= mask &- number &* size,
      let source = devicePlace(o.pointee.segment, from, number &* size, writing: false),
      let target = devicePlace(destination, to, number &* size, writing: true),
      environment.memory.bus.copy(
        from: source, to: target, width: AccessWidth(rawValue: UInt8(size)) ?? .byte,
        count: Int(number))
    else { return 0 }
    advance(6, number &* size, mask)
    advance(7, number &* size, mask)
    advance(1, 0 &- number, mask)
    return number
  }

  func stos<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let mask = addressMask(o)
    let step = step(W.self)
    let value = get(0, W.self)
    if o.pointee.aux == 0 {
      let result = store(destination, self[7] & mask, value)
      if result != Next.fault { advance(7, step, mask) }
      return result
    }
    var left = min(self[1] & mask, portion)
    var result = Next.op
    while left > 0 && result != Next.leave {
      if Int64(bitPattern: step) > 0 {
        let done = fillMany(value, mask, left)
        left -= done
        if done > 0 { continue }
        let onBus = fillOnBus(value, mask, left)
        left -= onBus
        if onBus > 0 {
          result = afterDevice
          continue
        }
      }
      result = store(destination, self[7] & mask, value)
      if result == Next.fault { return result }
      advance(7, step, mask)
      advance(1, UInt64.max, mask)
      left -= 1
    }
    return again(o, mask, after: result)
  }

  /// Fills within one page of a device. 0: that is not possible here.
  private func fillOnBus<W: Word>(_ value: W, _ mask: UInt64, _ count: UInt64) -> UInt64 {
    let size = UInt64(MemoryLayout<W>.size)
    let to = self[7] & mask
    let number = room(segment(destination).pointee.base &+ to, size, count)
    guard number > 1, to <= mask &- number &* size,
      let target = devicePlace(destination, to, number &* size, writing: true),
      environment.memory.bus.fill(
        target, width: AccessWidth(rawValue: UInt8(size)) ?? .byte,
        value: UInt64(truncatingIfNeeded: value), count: Int(number))
    else { return 0 }
    advance(7, number &* size, mask)
    advance(1, 0 &- number, mask)
    return number
  }

  private func fillMany<W: Word>(_ value: W, _ mask: UInt64, _ count: UInt64) -> UInt64 {
    let size = UInt64(MemoryLayout<W>.size)
    let to = self[7] & mask
    let number = room(segment(destination).pointee.base &+ to, size, count)
    guard number > 1, to <= mask &- number &* size,
      let target = writable(destination, to, number &* size)
    else { return 0 }
    for index in 0..<Int(truncatingIfNeeded: number) {
      (target + index &* Int(size)).storeBytes(of: value, as: W.self)
    }
    advance(7, number &* size, mask)
    advance(1, 0 &- number, mask)
    return number
  }

  func lods<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let mask = addressMask(o)
    let step = step(W.self)
    if o.pointee.aux != 0 && self[1] & mask == 0 { return Next.op }
    guard let value = load(o.pointee.segment, self[6] & mask, W.self) else { return Next.fault }
    set(0, value)
    advance(6, step, mask)
    if o.pointee.aux == 0 { return Next.op }
    advance(1, UInt64.max, mask)
    return again(o, mask)
  }

  func scas<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let mask = addressMask(o)
    let step = step(W.self)
    let repeats = o.pointee.aux
    var left = repeats == 0 ? 1 : min(self[1] & mask, portion)
    while left > 0 {
      guard let value = load(destination, self[7] & mask, W.self) else { return Next.fault }
      _ = W.sub(get(0, W.self), value, flags)
      advance(7, step, mask)
      if repeats == 0 { return Next.op }
      advance(1, UInt64.max, mask)
      left -= 1
      if condition(4) != (repeats == 0xF3) { return Next.op }
    }
    return again(o, mask)
  }

  func cmps<W: Word>(_ o: OpRef, _ width: W.Type) -> Int {
    let mask = addressMask(o)
    let step = step(W.self)
    let repeats = o.pointee.aux
    var left = repeats == 0 ? 1 : min(self[1] & mask, portion)
    while left > 0 {
      guard let a = load(o.pointee.segment, self[6] & mask, W.self),
        let b = load(destination, self[7] & mask, W.self)
      else { return Next.fault }
      _ = W.sub(a, b, flags)
      advance(6, step, mask)
      advance(7, step, mask)
      if repeats == 0 { return Next.op }
      advance(1, UInt64.max, mask)
      left -= 1
      if condition(4) != (repeats == 0xF3) { return Next.op }
    }
    return again(o, mask)
  }

  // MARK: Ports

  /// What INS and OUTS have in common: a port, elements of a width, a step from one to the next, and
  /// how many are done before the loop looks up.
  private struct PortString {
    let port: UInt16
    let width: AccessWidth
    let mask: UInt64
    let step: UInt64
    let repeats: Bool
    var left: UInt64
  }

  /// - Parameter most: elements between two looks.
  /// - Returns: nil after a fault.
  private func portString(_ o: OpRef, most: UInt64) -> PortString? {
    let port = get(16, UInt16.self)
    let width = AccessWidth(rawValue: 1 << o.pointee.size) ?? .byte
    guard mayUsePort(port, width.bytes) else { return nil }
    let bytes = UInt64(width.bytes)
    let mask = addressMask(o)
    let repeats = o.pointee.aux != 0
    return PortString(
      port: port, width: width, mask: mask,
      step: s.pointee.eflags & RFlag.direction != 0 ? 0 &- bytes : bytes, repeats: repeats,
      left: repeats ? min(self[1] & mask, portion, most) : 1)
  }

  /// An element is done: its pointer (RSI or RDI, 6 or 7), the count, breakpoints.
  private func finishElement(_ string: inout PortString, _ pointer: Int) {
    notePort(string.port, string.width.bytes)
    advance(pointer, string.step, string.mask)
    string.left -= 1
    if string.repeats { advance(1, UInt64.max, string.mask) }
  }

  fileprivate func ins(_ o: OpRef) -> Int {
    guard var string = portString(o, most: 1024) else { return Next.fault }
    let bytes = string.width.bytes
    while string.left > 0 {
      let at = self[7] & string.mask
      // The right to store comes before the device is read.
      if writable(destination, at, UInt64(bytes)) == nil {
        guard slowProbeWrite(destination, at, bytes) else { return Next.fault }
      }
      let value = environment.ports.read(string.port, width: string.width)
      if store(destination, at, size: o.pointee.size, UInt64(value)) == Next.fault {
        return Next.fault
      }
      finishElement(&string, 7)
    }
    return string.repeats ? again(o, string.mask) : Next.leave
  }

  fileprivate func outs(_ o: OpRef) -> Int {
    guard var string = portString(o, most: 256) else { return Next.fault }
    while string.left > 0 {
      let at = self[6] & string.mask
      guard let value = load(o.pointee.segment, at, size: o.pointee.size) else {
        return Next.fault
      }
      environment.ports.write(
        string.port, width: string.width, value: UInt32(truncatingIfNeeded: value))
      finishElement(&string, 6)
    }
    return string.repeats ? again(o, string.mask) : Next.leave
  }
}

extension Handlers {
  static let inString: Handler = { CPU(raw: $0).ins($1.op) }
  static let outString: Handler = { CPU(raw: $0).outs($1.op) }
}
