/// Memory slots of a machine without a hypervisor: whoever runs the guest's code reads the address
/// space itself, and writes to windows are remembered there.
public final class UnmappedSlots: MemorySlots {
  public init() {}
  public func setSlot(
    _ index: UInt32, guestAddress: UInt64, host: UnsafeMutableRawPointer, size: Int,
    options: SlotOptions
  ) throws(HostError) {}
  public func removeSlot(_ index: UInt32) throws(HostError) {}
  public func takeDirtyPages(_ index: UInt32, into bitmap: UnsafeMutableBufferPointer<UInt64>) {}
}
