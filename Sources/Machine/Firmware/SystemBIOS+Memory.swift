import KVMEngine

/// One range of the memory map (ACPI specification 6.5, table 15.4).
struct MemoryRange: Sendable, Equatable {
  enum Kind: UInt32, Sendable {
    case usable = 1
    case reserved = 2
  }
  let start: UInt64
  let length: UInt64
  let kind: Kind
}

extension FirmwareConfiguration {
  private static let mebibyte: UInt64 = 1 << 20

  /// Bytes of RAM from 1 MiB to 4 GiB.
  var extendedBytes: UInt64 { ramBelow4G > Self.mebibyte ? ramBelow4G - Self.mebibyte : 0 }

  /// The memory map as AX=E820h tells it, by address.
  var memoryMap: [MemoryRange] {
    let base = UInt64(baseMemoryKiB) << 10
    var map = [
      MemoryRange(start: 0, length: base, kind: .usable),
      MemoryRange(start: base, length: 0xA0000 - min(base, 0xA0000), kind: .reserved),
      MemoryRange(start: ROMImage.address, length: UInt64(ROMImage.size), kind: .reserved),
      MemoryRange(start: Self.mebibyte, length: extendedBytes, kind: .usable),
      // Interrupt controllers, then the ROM once more.
      MemoryRange(start: 0xFEC0_0000, length: 0x0000_1000, kind: .reserved),
      MemoryRange(start: 0xFEE0_0000, length: 0x0000_1000, kind: .reserved),
      MemoryRange(start: 0xFFFF_0000, length: UInt64(ROMImage.size), kind: .reserved),
      MemoryRange(start: 1 << 32, length: ramAbove4G, kind: .usable),
    ]
    map.removeAll { $0.length == 0 }
    return map
  }
}

/// INT 15h: memory sizes and moves.
extension SystemBIOS {
  /// KiB of RAM from 1 MiB on, at most `limit`.
  func extendedKiB(limit: UInt64) -> UInt16 {
    UInt16(truncatingIfNeeded: min(context.configuration.extendedBytes >> 10, min(limit, 0xFFFF)))
  }

  /// 64 KiB blocks from 16 MiB to 4 GiB.
  private var blocksAbove16M: UInt16 {
    let above = context.configuration.ramBelow4G
    return above > 1 << 24 ? UInt16(truncatingIfNeeded: (above - 1 << 24) >> 16) : 0
  }

  /// AX=E801h, E820h and E881h.
  func memoryMap(_ call: inout FirmwareCall) {
    switch call.al {
    case 0x01:
      call.ax = extendedKiB(limit: 0x3C00)
      call.bx = blocksAbove16M
      call.cx = call.ax
      call.dx = call.bx
    case 0x20: queryAddressMap(&call)
    case 0x81:
      call.eax = UInt32(extendedKiB(limit: 0x3C00))
      call.ebx = UInt32(blocksAbove16M)
      call.ecx = call.eax
      call.edx = call.ebx
    default: fail(&call)
    }
  }

  private static let signature: UInt32 = 0x534D_4150  // SMAP
  private static let entryBytes: UInt32 = 20
  /// With the ACPI 3.0 extended attributes, of which bit 0 says that the entry counts.
  private static let extendedEntryBytes: UInt32 = 24

  /// AX=E820h: one range of the map to ES:DI; EBX says which one and names the next.
  private func queryAddressMap(_ call: inout FirmwareCall) {
    let map = context.configuration.memoryMap
    let index = Int(call.ebx)
    guard call.edx == Self.signature, call.ecx >= Self.entryBytes, index < map.count else {
      return fail(&call)
    }
    let range = map[index]
    let extended = call.ecx >= Self.extendedEntryBytes
    let address = call.esAddress(call.di)
    call.memory.store(range.start, at: address)
    call.memory.store(range.length, at: address &+ 8)
    call.memory.store(range.kind.rawValue, at: address &+ 16)
    if extended { call.memory.store(UInt32(1), at: address &+ 20) }
    call.eax = Self.signature
    call.ebx = index + 1 < map.count ? UInt32(index + 1) : 0
    call.ecx = extended ? Self.extendedEntryBytes : Self.entryBytes
  }

  /// AH=87h: moves CX words between the segments that descriptors 2 and 3 of the table at ES:SI
  /// describe. AH: 0 done, 2 a bad descriptor.
  func moveBlock(_ call: inout FirmwareCall) {
    let words = Int(call.cx)
    guard words <= 0x8000 else {
      call.ah = 2
      call.carry = true
      return
    }
    let table = call.esAddress(call.si)
    let source = Self.base(of: call.memory.load(table &+ 0x10, as: UInt64.self))
    let target = Self.base(of: call.memory.load(table &+ 0x18, as: UInt64.self))
    context.space.write(target, bytes: context.space.bytes(at: source, count: words * 2))
    call.ah = 0
    call.zero = true
  }

  /// The base of a segment descriptor (Intel SDM vol. 3, 3.4.5).
  private static func base(of descriptor: UInt64) -> UInt64 {
    (descriptor >> 16 & 0x00FF_FFFF) | (descriptor >> 56) << 24
  }
}
