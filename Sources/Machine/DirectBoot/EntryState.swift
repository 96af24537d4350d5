import KVMEngine

/// The processor's state at a kernel's entry, and the tables in memory that belong to it.
struct EntryState {
  var registers = Registers()
  var system: SystemRegisters
  /// What has to lie in memory.
  var tables: [(address: UInt64, bytes: [UInt8])] = []

  private static let code: UInt16 = 0x10
  private static let data: UInt16 = 0x18
  private static let task: UInt16 = 0x20
  /// Descriptors of flat segments (Intel SDM vol. 3, 3.4.5): 32-bit code, 64-bit code, data.
  private static let code32: UInt64 = 0x00CF_9B00_0000_FFFF
  private static let code64: UInt64 = 0x00AF_9B00_0000_FFFF
  private static let flatData: UInt64 = 0x00CF_9300_0000_FFFF
  private static let taskLimit: UInt32 = 0x67
  private static let busyTask: UInt8 = 0x0B

  /// 32-bit protected mode without paging.
  static func flat32(_ system: SystemRegisters, at entry: UInt64) -> EntryState {
    var state = EntryState(system: system)
    state.loadSegments(isLong: false)
    state.system.cr0 = ControlBits.cr0ProtectionEnable | extensionType
    state.system.cr3 = 0
    state.system.cr4 = 0
    state.system.efer = 0
    state.registers.rip = entry
    state.registers.rsp = MemoryMap.bootStackTop
    return state
  }

  /// 64-bit mode in which the first 4 GiB are mapped where they are.
  static func long(_ system: SystemRegisters, at entry: UInt64) -> EntryState {
    var state = flat32(system, at: entry)
    state.loadSegments(isLong: true)
    state.tables.append((MemoryMap.bootPageTables, identityTables()))
    state.system.cr3 = MemoryMap.bootPageTables
    state.system.cr4 = ControlBits.cr4PhysicalAddressExtension
    state.system.efer = longModeEnable | ControlBits.eferLongModeActive
    state.system.cr0 |= ControlBits.cr0Paging
    return state
  }

  /// Real mode at the set-up code that lies at `segment`:0.
  static func real(_ system: SystemRegisters, segment: UInt16, stack: UInt16) -> EntryState {
    var state = EntryState(system: system)
    func real(_ selector: UInt16, _ old: Segment) -> Segment {
      var result = old
      result.selector = selector
      result.base = UInt64(selector) << 4
      return result
    }
    state.system.cs = real(segment &+ 0x20, system.cs)
    state.system.ds = real(segment, system.ds)
    state.system.es = real(segment, system.es)
    state.system.fs = real(segment, system.fs)
    state.system.gs = real(segment, system.gs)
    state.system.ss = real(segment, system.ss)
    state.registers.rsp = UInt64(stack)
    return state
  }

  private static let extensionType: UInt64 = 1 << 4
  private static let longModeEnable: UInt64 = 1 << 8

  private mutating func loadSegments(isLong: Bool) {
    var segment = Segment()
    segment.limit = .max
    segment.granularity = true
    segment.isBig = true
    segment.selector = Self.data
    (system.ds, system.es, system.fs, system.gs, system.ss) =
      (segment, segment, segment, segment, segment)
    segment.selector = Self.code
    segment.type = 0x0B
    segment.isLong = isLong
    segment.isBig = !isLong
    system.cs = segment
    var task = Segment()
    task.selector = Self.task
    task.limit = Self.taskLimit
    task.type = Self.busyTask
    task.isCodeOrData = false
    system.tr = task
    var table: [UInt8] = []
    let taskDescriptor = UInt64(Self.taskLimit) | 0x8B << 40
    let descriptors = [0, 0, isLong ? Self.code64 : Self.code32, Self.flatData, taskDescriptor, 0]
    for descriptor in descriptors { table.append(field: descriptor) }
    system.gdt.base = MemoryMap.bootDescriptors
    system.gdt.limit = UInt16(truncatingIfNeeded: table.count - 1)
    system.idt.base = 0
    system.idt.limit = 0
    tables = [(MemoryMap.bootDescriptors, table)]
  }

  /// Four levels with pages of 2 MiB: one table of the fourth level, one of the third, four of the
  /// second (Intel SDM vol. 3, 4.5).
  private static func identityTables() -> [UInt8] {
    let presentWritable: UInt64 = 3
    let largePage: UInt64 = 0x80
    let tableBytes = 4096
    let start = MemoryMap.bootPageTables
    var bytes = [UInt8](repeating: 0, count: 6 * tableBytes)
    bytes.setField((start + 0x1000) | presentWritable, at: 0)
    for index in 0..<4 {
      let directory = start + UInt64((2 + index) * tableBytes)
      bytes.setField(directory | presentWritable, at: tableBytes + index * 8)
    }
    for page in 0..<UInt64(2048) {
      bytes.setField(page << 21 | largePage | presentWritable, at: 2 * tableBytes + Int(page) * 8)
    }
    return bytes
  }
}
