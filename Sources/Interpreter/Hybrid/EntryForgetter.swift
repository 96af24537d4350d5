import CKVM
import Glibc
import KVMEngine

/// Makes KVM forget what it derived from single page-table entries: guest code of ours, in ring 0
/// with page tables of ours, that writes to them what they hold. KVM emulates such code here and
/// sees its stores (12 microseconds and some 4 for each entry, against 160 and all faults anew for
/// forgetting everything).
final class EntryForgetter: Sendable {
  /// Pages: the code and the list, the three upper levels of the page tables.
  private let memory: MemoryBlock
  private let base: UInt64
  private static let slot: UInt32 = 1001
  /// What lies above: KVM's own pages (``KVMVirtualMachine``).
  private static let end: UInt64 = 0xFFBF_0000
  private static let fixedPages = 3
  private static let listOffset = 256
  static let mostEntries = (4096 - listOffset) / 8
  private static let gigabyte: UInt64 = 1 << 30

  /// mov rdi, [rsi]; lock add byte [rdi], 0; add rsi, 8; dec ecx; jnz; hlt
  private static let code: [UInt8] = [
    0x48, 0x8B, 0x3E, 0xF0, 0x80, 0x07, 0x00, 0x48, 0x83, 0xC6, 0x08, 0xFF, 0xC9, 0x75, 0xF1, 0xF4,
  ]

  /// - Parameter memoryEnd: where guest RAM ends.
  init(_ machine: KVMVirtualMachine, memoryEnd: UInt64) throws(HostError) {
    let gigabytes = max(4, Int((memoryEnd + Self.gigabyte - 1) / Self.gigabyte))
    guard gigabytes <= 512 else {
      throw HostError("run user code in KVM with more than 512 GiB of memory")
    }
    memory = try MemoryBlock(name: "hybrid", size: (Self.fixedPages + gigabytes) * 4096)
    base = Self.end - UInt64(memory.size)
    let words = memory.base.assumingMemoryBound(to: UInt64.self)
    memory.base.copyMemory(from: Self.code, byteCount: Self.code.count)
    words[512] = base + 0x2003
    for index in 0..<gigabytes {
      words[1024 + index] = base + UInt64(Self.fixedPages + index) * 4096 + 3
      for page in 0..<512 {
        words[(Self.fixedPages + index) * 512 + page] =
          UInt64(index) << 30 | UInt64(page) << 21 | 0x83
      }
    }
    try machine.setSlot(
      Self.slot, guestAddress: base, host: memory.base, size: memory.size, options: [])
  }

  /// Runs the code in `core`, whose registers are `template` for user code.
  /// - Returns: whether all was done.
  func forget(_ entries: [UInt64], _ core: BareVirtualCPU, _ template: kvm_sregs) -> Bool {
    let list = (memory.base + Self.listOffset).assumingMemoryBound(to: UInt64.self)
    let count = min(entries.count, Self.mostEntries)
    for index in 0..<count { list[index] = entries[index] }
    var sregs = template
    sregs.cr3 = base + 0x1000
    sregs.cs.dpl = 0
    sregs.cs.selector = 0x10
    sregs.ss.dpl = 0
    sregs.ss.selector = 0x18
    let shared = core.shared
    var regs = kvm_regs()
    regs.rip = base
    regs.rsi = base + UInt64(Self.listOffset)
    regs.rcx = UInt64(count)
    regs.rflags = 2
    ckvm_sync_regs(shared).pointee = regs
    ckvm_sync_sregs(shared).pointee = sregs
    shared.pointee.kvm_dirty_regs |= UInt64(KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS)
    var result = ckvm_ioctl(core.number, ckvm_request_number(CKVM_RUN), 0)
    // A signal: what is left is done by the next round.
    while result < 0 && (result == -EINTR || result == -EAGAIN) {
      ckvm_set_immediate_exit(shared, 0)
      result = ckvm_ioctl(core.number, ckvm_request_number(CKVM_RUN), 0)
    }
    return result >= 0 && Int32(bitPattern: shared.pointee.exit_reason) == KVM_EXIT_HLT
  }
}
