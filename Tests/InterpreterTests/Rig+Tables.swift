import KVMEngine

@testable import Interpreter

/// What tests put into a rig's tables.
extension Rig {
  /// A code, data or system descriptor (Intel SDM vol. 3, 3.4.5).
  static func descriptor(_ base: UInt64, limit: UInt64, rights: UInt64, flags: UInt64 = 0) -> UInt64
  {
    limit & 0xFFFF | (base & 0xFF_FFFF) << 16 | rights << 40 | (limit >> 16 & 15) << 48
      | flags << 52 | (base >> 24 & 0xFF) << 56
  }

  /// A call, interrupt, trap or task gate.
  static func gate(
    _ selector: UInt16, _ offset: UInt64, rights: UInt64, count: UInt64 = 0
  ) -> UInt64 {
    offset & 0xFFFF | UInt64(selector) << 16 | count << 32 | rights << 40 | (offset >> 16) << 48
  }

  /// Puts descriptors from selector 30h on.
  func addDescriptors(_ entries: UInt64...) {
    for (index, entry) in entries.enumerated() {
      space.store(entry, at: Self.gdt + 0x30 + UInt64(index) * 8)
    }
    change { $0.gdt.limit = UInt16(0x2F + entries.count * 8) }
  }

  func change(_ body: (inout SystemRegisters) -> Void) {
    var system = processor.systemRegisters()
    body(&system)
    processor.setSystemRegisters(system)
  }

  /// A 32-bit TSS for ring 0 that begins at `rip`.
  func makeTask(at base: UInt64, rip: UInt32) {
    for offset in stride(from: UInt64(0), to: 104, by: 4) {
      space.store(UInt32(0), at: base + offset)
    }
    space.store(UInt32(0x6000), at: base + 4)
    space.store(UInt32(0x10), at: base + 8)
    space.store(rip, at: base + 32)
    space.store(UInt32(2), at: base + 36)
    space.store(UInt32(0x5F00), at: base + 56)
    for (offset, selector) in [(72, 0x10), (76, 8), (80, 0x10), (84, 0x10)] {
      space.store(UInt32(selector), at: base + UInt64(offset))
    }
  }
}
