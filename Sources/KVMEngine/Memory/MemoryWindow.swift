import Synchronization

/// Memory of a device that guest code reaches without an exit, at a place that the device chooses:
/// the linear frame buffer, or the legacy VGA window while its mode is a linear one.
///
/// While it is mapped, pages that anybody writes (guest code, firmware, DMA) are remembered for
/// ``takeDirtyPages(into:)``. Its lock comes after every device's lock.
public final class MemoryWindow: @unchecked Sendable {
  // SAFETY: `place` and `hostDirty` are guarded by `state`; the block is constant.
  private struct State {
    var place: AddressSpace.Mapping?
    /// Pages of the current place that were written through the host. Sized when mapped.
    var hostDirty: [UInt64] = []
  }

  private let block: MemoryBlock
  private let slot: UInt32
  private let slots: any MemorySlots
  private let watchers: PageWatchers
  private let state = Mutex(State())

  init(block: MemoryBlock, slot: UInt32, slots: any MemorySlots, watchers: PageWatchers) {
    self.block = block
    self.slot = slot
    self.slots = slots
    self.watchers = watchers
  }

  /// Shows `size` bytes of the block, from `offset` on, at `guestAddress`, instead of where it was
  /// before. Dirty pages of the old place are forgotten: the caller redraws all.
  /// - Parameters: all multiples of 4096.
  /// - Parameter readOnly: a guest's write goes to the memory bus, as one to ROM does, and nobody
  ///   asks for dirty pages.
  public func map(
    at guestAddress: UInt64, offset: Int, size: Int, readOnly: Bool = false
  ) throws(HostError) {
    guard let bytes = block.bytes(at: offset, count: size), let start = bytes.baseAddress,
      size > 0, (Int(truncatingIfNeeded: guestAddress) | offset | size) & 4095 == 0
    else { throw HostError("map a window beyond its memory") }
    try state.withLock { state throws(HostError) in
      if let old = state.place, old.guestAddress == guestAddress, old.offset == offset,
        old.size == UInt64(size), old.writable == !readOnly
      {
        return
      }
      if state.place != nil { try slots.removeSlot(slot) }
      state.place = nil
      defer { watchers.tell(PageChange.moved) }
      try slots.setSlot(
        slot, guestAddress: guestAddress, host: start, size: size,
        options: readOnly ? .readOnly : .logDirtyPages)
      state.place = AddressSpace.Mapping(
        guestAddress: guestAddress, size: UInt64(size), block: block, offset: offset,
        writable: !readOnly)
      state.hostDirty = [UInt64](repeating: 0, count: Self.dirtyWords(size))
    }
  }

  /// Takes the window away; accesses there reach the memory bus from now on.
  public func unmap() throws(HostError) {
    try state.withLock { state throws(HostError) in
      guard state.place != nil else { return }
      state.place = nil
      defer { watchers.tell(PageChange.moved) }
      try slots.removeSlot(slot)
    }
  }

  /// How many 64-bit words a dirty bitmap of `size` bytes has.
  public static func dirtyWords(_ size: Int) -> Int { (size / 4096 + 63) / 64 }

  /// ORs the pages written since the last call into `bitmap` (bit n: page n of the mapped part) and
  /// forgets them. `bitmap` has at least ``dirtyWords(_:)`` words; a shorter one gets nothing.
  /// - Returns: false where the window is not mapped.
  @discardableResult
  public func takeDirtyPages(into bitmap: UnsafeMutableBufferPointer<UInt64>) -> Bool {
    state.withLock { state in
      guard let place = state.place, place.writable, bitmap.count >= state.hostDirty.count else {
        return false
      }
      slots.takeDirtyPages(
        slot, into: UnsafeMutableBufferPointer(rebasing: bitmap[..<state.hostDirty.count]))
      for index in state.hostDirty.indices {
        bitmap[index] |= state.hostDirty[index]
        state.hostDirty[index] = 0
      }
      watchers.tell(PageChange.dirtyTaken)
      return true
    }
  }

  /// Where the window is now; nil while it is not mapped.
  var currentPlace: AddressSpace.Mapping? { state.withLock { $0.place } }

  /// Remembers a write to the page at guest-physical `address`, if the window is there.
  func markDirty(_ address: UInt64) -> Bool {
    state.withLock { state in
      guard let place = state.place, place.reach(from: address) > 0 else { return false }
      let page = Int(truncatingIfNeeded: (address &- place.guestAddress) >> 12)
      guard page / 64 < state.hostDirty.count else { return false }
      state.hostDirty[page / 64] |= 1 << UInt64(page % 64)
      return true
    }
  }

  func access(
    _ address: UInt64, atMost limit: Int, writing: Bool,
    _ body: (UnsafeMutableRawBufferPointer) -> Void
  ) -> Int {
    state.withLock { state in
      guard let place = state.place else { return 0 }
      let count = Int(min(UInt64(max(0, limit)), place.reach(from: address)))
      guard count > 0 else { return 0 }
      if writing && !place.writable { return 0 }
      let inside = Int(address - place.guestAddress)
      guard let bytes = block.bytes(at: place.offset + inside, count: count) else { return 0 }
      body(bytes)
      if writing {
        if block.code.noteWrite(at: place.offset + inside, size: count) {
          watchers.tell(PageChange.tableWritten)
        }
        for page in (inside / 4096)...((inside + count - 1) / 4096) {
          state.hostDirty[page / 64] |= 1 << UInt64(page % 64)
        }
      }
      return count
    }
  }
}
