import KVMEngine

/// What a Multiboot kernel is told (Multiboot Specification 0.6.96, 3.3; Multiboot2 Specification
/// 2.0, 3.6). Not told: the kernel's own section headers, drives, and what APM and VBE say.
struct MultibootInformation {
  /// A file in memory that the kernel gets.
  struct Module: Sendable {
    var range: Range<UInt64>
    var commandLine: [UInt8]
  }

  var commandLine: [UInt8]
  var modules: [Module]
  var memoryMap: [MemoryRange]
  /// KiB from address 0, and from 1 MiB, on.
  var lowerKiB: UInt32
  var upperKiB: UInt32
  var screen: BootScreen
  /// ACPI's root pointer as it lies in memory; empty where there is none.
  var rootPointer: [UInt8] = []
  /// Where the kernel lies, for one that could lie elsewhere.
  var loadAddress: UInt32?

  /// What EAX says.
  static func magic(_ version: Int) -> UInt64 { version == 1 ? 0x2BAD_B002 : 0x36D7_6289 }

  private static let loaderName = Array("Porthole".utf8) + [0]

  private enum Kind {
    static let commandLine: UInt32 = 1
    static let loaderName: UInt32 = 2
    static let module: UInt32 = 3
    static let memory: UInt32 = 4
    static let memoryMap: UInt32 = 6
    static let screen: UInt32 = 8
    static let oldRootPointer: UInt32 = 14
    static let newRootPointer: UInt32 = 15
    static let loadAddress: UInt32 = 21
  }

  /// The kinds of version 2's information that there are.
  static let provided: Set<UInt32> = [
    Kind.commandLine, Kind.loaderName, Kind.module, Kind.memory, Kind.memoryMap, Kind.screen,
    Kind.oldRootPointer, Kind.newRootPointer, Kind.loadAddress,
  ]

  // MARK: Version 1

  /// Bits of the flags, and where the fields are.
  private enum Old {
    static let flags: UInt32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9 | 1 << 12
    static let memory = 4
    static let commandLine = 16
    static let modules = 20
    static let memoryMap = 44
    static let loaderName = 64
    static let screen = 88
    static let bytes = 116
  }

  /// The structure with all that it points to, for `address`.
  func old(at address: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Old.bytes)
    bytes.setField(Old.flags, at: 0)
    bytes.setField(lowerKiB, at: Old.memory)
    bytes.setField(upperKiB, at: Old.memory + 4)
    func append(_ more: [UInt8]) -> UInt32 {
      while bytes.count % 4 != 0 { bytes.append(0) }
      defer { bytes += more }
      return UInt32(truncatingIfNeeded: address) &+ UInt32(truncatingIfNeeded: bytes.count)
    }
    bytes.setField(append(commandLine), at: Old.commandLine)
    bytes.setField(append(Self.loaderName), at: Old.loaderName)
    var list: [UInt8] = []
    for module in modules {
      list.append(field: UInt32(truncatingIfNeeded: module.range.lowerBound))
      list.append(field: UInt32(truncatingIfNeeded: module.range.upperBound))
      list.append(field: append(module.commandLine))
      list.append(field: UInt32(0))
    }
    bytes.setField(UInt32(truncatingIfNeeded: modules.count), at: Old.modules)
    bytes.setField(append(list), at: Old.modules + 4)
    var map: [UInt8] = []
    for range in memoryMap {
      map.append(field: UInt32(20))
      map.append(field: range.start)
      map.append(field: range.length)
      map.append(field: range.kind.rawValue)
    }
    bytes.setField(UInt32(truncatingIfNeeded: map.count), at: Old.memoryMap)
    bytes.setField(append(map), at: Old.memoryMap + 4)
    let screenBytes = screen.geometry + screen.colors
    bytes.replaceSubrange(Old.screen..<(Old.screen + screenBytes.count), with: screenBytes)
    return bytes
  }

  // MARK: Version 2

  /// The tags behind their head.
  func new() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 8)
    func tag(_ kind: UInt32, _ content: [UInt8]) {
      bytes.append(field: kind)
      bytes.append(field: UInt32(truncatingIfNeeded: content.count + 8))
      bytes += content
      while bytes.count % 8 != 0 { bytes.append(0) }
    }
    tag(Kind.commandLine, commandLine)
    tag(Kind.loaderName, Self.loaderName)
    for module in modules {
      var content: [UInt8] = []
      content.append(field: UInt32(truncatingIfNeeded: module.range.lowerBound))
      content.append(field: UInt32(truncatingIfNeeded: module.range.upperBound))
      tag(Kind.module, content + module.commandLine)
    }
    var memory: [UInt8] = []
    memory.append(field: lowerKiB)
    memory.append(field: upperKiB)
    tag(Kind.memory, memory)
    tag(Kind.memoryMap, newMap)
    tag(Kind.screen, screen.geometry + [0, 0] + screen.colors)
    if rootPointer.count >= 20 { tag(Kind.oldRootPointer, Array(rootPointer.prefix(20))) }
    if rootPointer.count >= 36 { tag(Kind.newRootPointer, rootPointer) }
    if let loadAddress {
      var content: [UInt8] = []
      content.append(field: loadAddress)
      tag(Kind.loadAddress, content)
    }
    tag(0, [])
    bytes.setField(UInt32(truncatingIfNeeded: bytes.count), at: 0)
    return bytes
  }

  private var newMap: [UInt8] {
    var map: [UInt8] = []
    map.append(field: UInt32(24))
    map.append(field: UInt32(0))
    for range in memoryMap {
      map.append(field: range.start)
      map.append(field: range.length)
      map.append(field: range.kind.rawValue)
      map.append(field: UInt32(0))
    }
    return map
  }
}
