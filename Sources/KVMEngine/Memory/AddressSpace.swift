import Synchronization

/// Who turns mappings into what guest code sees: KVM's memory slots, or nobody in a test.
public protocol MemorySlots: AnyObject, Sendable {
  /// Puts `size` bytes at `host` to guest-physical `guestAddress`, replacing what slot `index` had.
  func setSlot(
    _ index: UInt32, guestAddress: UInt64, host: UnsafeMutableRawPointer, size: Int,
    options: SlotOptions
  ) throws(HostError)

  /// Takes slot `index` away.
  func removeSlot(_ index: UInt32) throws(HostError)

  /// ORs the pages that guest code wrote since the last call into `bitmap` (bit n: page n of the
  /// slot) and forgets them.
  func takeDirtyPages(_ index: UInt32, into bitmap: UnsafeMutableBufferPointer<UInt64>)
}

/// Options of a memory slot; each names its KVM flag.
public struct SlotOptions: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// KVM_MEM_LOG_DIRTY_PAGES
  public static let logDirtyPages = SlotOptions(rawValue: 1)
  /// KVM_MEM_READONLY: a guest's write goes to the memory bus.
  public static let readOnly = SlotOptions(rawValue: 2)
}

/// Guest-physical memory: RAM, ROM, windows that come and go, and behind them the memory bus.
///
/// RAM and ROM are fixed once the machine runs and are read without a lock. Windows have one lock,
/// which comes after every device's lock; nothing is called with it held but the slot backend.
public final class AddressSpace: @unchecked Sendable {
  // SAFETY: `fixed` and `nextSlot` change only while the machine is built. Windows are guarded by
  // `windows`. Every access to host memory goes through a bounds check against its mapping.
  struct Mapping {
    let guestAddress: UInt64
    let size: UInt64
    let block: MemoryBlock
    let offset: Int
    let writable: Bool

    /// How many of the bytes from `address` on this mapping holds; 0 where it holds none.
    func reach(from address: UInt64) -> UInt64 {
      guard address >= guestAddress, address - guestAddress < size else { return 0 }
      return size - (address - guestAddress)
    }
  }

  /// The devices behind the memory that is not there.
  public let bus: MemoryBus
  private let slots: any MemorySlots
  private(set) var fixed: [Mapping] = []
  let watchers = PageWatchers()
  private var nextSlot: UInt32 = 0
  private let windows = Mutex<[MemoryWindow]>([])

  public init(bus: MemoryBus, slots: any MemorySlots) {
    self.bus = bus
    self.slots = slots
  }

  /// Puts `size` bytes of `block` from `offset` on to `guestAddress` as RAM or, read-only, ROM.
  /// Only while the machine is built.
  public func map(
    _ block: MemoryBlock, offset: Int = 0, size: Int, at guestAddress: UInt64,
    readOnly: Bool = false
  ) throws(HostError) {
    guard let bytes = block.bytes(at: offset, count: size), let start = bytes.baseAddress else {
      throw HostError("map memory beyond its block")
    }
    try slots.setSlot(
      nextSlot, guestAddress: guestAddress, host: start, size: size,
      options: readOnly ? .readOnly : [])
    nextSlot += 1
    fixed.append(
      Mapping(
        guestAddress: guestAddress, size: UInt64(size), block: block, offset: offset,
        writable: !readOnly))
  }

  /// Makes a window: memory of a device that appears in guest-physical space when and where the
  /// device says. Only while the machine is built.
  public func makeWindow(_ block: MemoryBlock) -> MemoryWindow {
    let window = MemoryWindow(block: block, slot: nextSlot, slots: slots, watchers: watchers)
    nextSlot += 1
    windows.withLock { $0.append(window) }
    return window
  }

  /// Copies guest-physical memory from `address` on into `buffer`. What is not there reads as the
  /// bus answers, all ones where nobody does.
  public func read(_ address: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
    read(address, into: buffer, elsewhere: bus)
  }

  /// ``read(_:into:)``, where `elsewhere` answers for what is not memory, all ones without one.
  func read(
    _ address: UInt64, into buffer: UnsafeMutableRawBufferPointer, elsewhere: MemoryBus?
  ) {
    var done = 0
    while done < buffer.count {
      let at = address &+ UInt64(done)
      let wanted = buffer.count - done
      let copied = withMemory(at: at, atMost: wanted, writing: false) { source in
        UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + source.count)])
          .copyMemory(from: UnsafeRawBufferPointer(source))
      }
      if copied == 0 {
        buffer[done] = UInt8(truncatingIfNeeded: elsewhere?.read(at, width: .byte) ?? .max)
      }
      done += max(copied, 1)
    }
  }

  /// Copies `buffer` to guest-physical memory from `address` on. ROM keeps what it has.
  public func write(_ address: UInt64, from buffer: UnsafeRawBufferPointer) {
    write(address, from: buffer, elsewhere: bus)
  }

  /// ``write(_:from:)``, where `elsewhere` takes what is not for memory; dropped without one.
  func write(_ address: UInt64, from buffer: UnsafeRawBufferPointer, elsewhere: MemoryBus?) {
    var done = 0
    while done < buffer.count {
      let at = address &+ UInt64(done)
      let copied = withMemory(at: at, atMost: buffer.count - done, writing: true) { target in
        target.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: buffer[done..<(done + target.count)]))
      }
      if copied == 0 { elsewhere?.write(at, width: .byte, value: UInt64(buffer[done])) }
      done += max(copied, 1)
    }
  }

  /// A little-endian load from guest-physical memory.
  public func load<Value: FixedWidthInteger>(_ address: UInt64, as type: Value.Type) -> Value {
    var value: Value = 0
    withUnsafeMutableBytes(of: &value) { read(address, into: $0) }
    return Value(littleEndian: value)
  }

  /// A little-endian store to guest-physical memory.
  public func store<Value: FixedWidthInteger>(_ value: Value, at address: UInt64) {
    withUnsafeBytes(of: value.littleEndian) { write(address, from: $0) }
  }

  /// `count` bytes from guest-physical `address` on.
  public func bytes(at address: UInt64, count: Int) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: max(0, count))
    result.withUnsafeMutableBytes { read(address, into: $0) }
    return result
  }

  /// Copies `bytes` to guest-physical memory from `address` on.
  public func write(_ address: UInt64, bytes: [UInt8]) {
    bytes.withUnsafeBytes { write(address, from: $0) }
  }

  /// Calls `body` with the host memory behind `address`, at most `limit` bytes of it; returns how
  /// many bytes that were, 0 where no memory answers there (or, when `writing`, only ROM does).
  private func withMemory(
    at address: UInt64, atMost limit: Int, writing: Bool,
    _ body: (UnsafeMutableRawBufferPointer) -> Void
  ) -> Int {
    for mapping in fixed {
      let reach = mapping.reach(from: address)
      guard reach > 0 else { continue }
      if writing && !mapping.writable { return 0 }
      let count = Int(min(UInt64(limit), reach))
      let offset = mapping.offset + Int(address - mapping.guestAddress)
      guard let bytes = mapping.block.bytes(at: offset, count: count) else { return 0 }
      body(bytes)
      if writing && mapping.block.code.noteWrite(at: offset, size: count) {
        watchers.tell(PageChange.tableWritten)
      }
      return count
    }
    return windows.withLock { windows in
      for window in windows {
        let count = window.access(address, atMost: limit, writing: writing, body)
        if count > 0 { return count }
      }
      return 0
    }
  }

  /// Remembers a write to the window page at guest-physical `address`, if a window is there.
  public func noteWindowWrite(_ address: UInt64) {
    windows.withLock { windows in
      for window in windows where window.markDirty(address) { return }
    }
  }

  /// What `body` makes of the window mapping that holds the page at `page`.
  func withWindowPlace<Result>(holding page: UInt64, _ body: (Mapping) -> Result) -> Result? {
    windows.withLock { windows in
      for window in windows {
        if let place = window.currentPlace, place.reach(from: page) >= 4096 { return body(place) }
      }
      return nil
    }
  }
}
