import KVMEngine

/// A kernel, its RAM disk and its command line, with a place for each: all that goes into memory.
///
/// The kernel lies where it wants to, from 1 MiB on; the RAM disk as high as the kernel can reach;
/// what is small lies in conventional memory, between the firmware's data and its extended data area.
struct BootImage: Sendable {
  let kernel: KernelImage
  let commandLine: [UInt8]
  let ramDisk: [UInt8]
  /// Where the RAM disk lies; 0 where there is none.
  let ramDiskAddress: UInt64
  /// What a Multiboot kernel gets, with its place each.
  private let modules: [(content: [UInt8], information: MultibootInformation.Module)]
  private let machine: FirmwareConfiguration

  private static let page: UInt64 = 4096

  /// Reads the files and finds a place for everything.
  /// - Throws: a sentence for the user.
  init(_ files: DirectBootFiles, machine: FirmwareConfiguration) throws(MachineError) {
    let file = try DirectBootFiles.read(files.kernel)
    do throws(BadKernel) {
      kernel = try KernelImage(file, memoryEnd: machine.ramBelow4G)
    } catch {
      throw MachineError("cannot boot \(files.kernel): \(error.sentence)")
    }
    self.machine = machine
    let text = Array(files.commandLine.utf8)
    guard kernel.multiboot == nil else {
      commandLine = text + [0]
      ramDisk = []
      ramDiskAddress = 0
      modules = try Self.modules(files, behind: kernel.end, machine)
      return
    }
    guard files.modules.isEmpty else {
      throw MachineError("cannot boot \(files.kernel): \(BadKernel.takesNoModules.sentence)")
    }
    modules = []
    let room = min(kernel.header.commandLineSize, Self.roomForCommandLine(kernel.entry))
    guard text.count <= room else {
      throw MachineError(
        "the kernel's command line has \(text.count) bytes, and \(files.kernel) takes \(room)")
    }
    commandLine = text + [0]
    guard let path = files.initialRAMDisk else {
      ramDisk = []
      ramDiskAddress = 0
      return
    }
    ramDisk = try DirectBootFiles.read(path)
    let end = min(machine.ramBelow4G, kernel.header.ramDiskLimit &+ 1)
    guard let address = Self.place(UInt64(ramDisk.count), from: kernel.end, to: end) else {
      let missing = UInt64(ramDisk.count) + Self.page
      throw MachineError(
        "the initial RAM disk \(path) does not fit: its \(ramDisk.count >> 20) MiB need a desktop "
          + "with at least \((kernel.end + missing + (1 << 20) - 1) >> 20) MiB of memory")
    }
    ramDiskAddress = ramDisk.isEmpty ? 0 : address
  }

  /// Reads the modules, and puts them one behind the other on borders of pages.
  private static func modules(
    _ files: DirectBootFiles, behind end: UInt64, _ machine: FirmwareConfiguration
  ) throws(MachineError) -> [(content: [UInt8], information: MultibootInformation.Module)] {
    var next = end
    var result: [(content: [UInt8], information: MultibootInformation.Module)] = []
    let disk = files.initialRAMDisk.map { [DirectBootFiles.Module(path: $0)] } ?? []
    for module in disk + files.modules {
      let content = try DirectBootFiles.read(module.path)
      let start = (next + page - 1) / page * page
      next = start + UInt64(content.count)
      guard next <= machine.ramBelow4G else {
        throw MachineError(
          "the module \(module.path) does not fit: it needs a desktop with at least "
            + "\((next + (1 << 20) - 1) >> 20) MiB of memory")
      }
      result.append(
        (content, .init(range: start..<next, commandLine: Array(module.commandLine.utf8) + [0])))
    }
    let text = result.reduce(files.commandLine.utf8.count) { $0 + $1.information.commandLine.count }
    guard text < MemoryMap.multibootInformationBytes / 2 else {
      throw MachineError(
        "the kernel's and its modules' command lines are too long: together they have room for "
          + "\(MemoryMap.multibootInformationBytes / 2) bytes")
    }
    return result
  }

  private static func roomForCommandLine(_ entry: KernelImage.Entry) -> Int {
    entry == .linux16
      ? MemoryMap.realModeCommandLineBytes - 1 : MemoryMap.kernelCommandLineBytes - 1
  }

  /// The highest place on a page's border for `size` bytes.
  private static func place(_ size: UInt64, from start: UInt64, to end: UInt64) -> UInt64? {
    guard size <= end else { return nil }
    let address = (end - size) / page * page
    return address >= start ? address : nil
  }

  // MARK: Into memory

  /// Copies everything to its place and says how the processor goes on from `system`.
  /// - Parameter show: gives the screen that a Multiboot kernel asks for, as near as can be.
  func place(
    in space: AddressSpace, from system: SystemRegisters,
    show: (MultibootHeader.Screen) -> BootScreen? = { _ in nil }
  ) -> EntryState {
    for part in kernel.parts {
      part.content.withUnsafeBytes { space.write(part.address, from: $0) }
      zero(space, from: part.address + UInt64(part.content.count), to: part.address + part.size)
    }
    ramDisk.withUnsafeBytes { space.write(ramDiskAddress, from: $0) }
    if let header = kernel.multiboot, case .multiboot(let address) = kernel.entry {
      return enter(space, system, header, at: address, header.screen.flatMap(show) ?? .text)
    }
    let isReal = kernel.entry == .linux16
    let line = isReal ? MemoryMap.realModeCommandLine : MemoryMap.kernelCommandLine
    space.write(line, bytes: commandLine)
    let values = parameters(space, commandLine: line)
    let state = enter(space, system, values)
    for table in state.tables { space.write(table.address, bytes: table.bytes) }
    return state
  }

  private func zero(_ space: AddressSpace, from start: UInt64, to end: UInt64) {
    let zeroes = [UInt8](repeating: 0, count: 1 << 16)
    var at = start
    while at < end {
      let count = Int(min(end - at, UInt64(zeroes.count)))
      zeroes.withUnsafeBytes {
        space.write(at, from: UnsafeRawBufferPointer(rebasing: $0[..<count]))
      }
      at += UInt64(count)
    }
  }

  private func parameters(_ space: AddressSpace, commandLine: UInt64) -> BootParameters.Values {
    let cursor = space.load(MemoryMap.cursorPosition, as: UInt16.self)
    return BootParameters.Values(
      commandLine: commandLine,
      ramDisk: ramDiskAddress..<(ramDiskAddress + UInt64(ramDisk.count)),
      memoryMap: machine.memoryMap, extendedBytes: machine.extendedBytes,
      cursor: (UInt8(cursor & 0xFF), UInt8(cursor >> 8)))
  }

  private func enter(
    _ space: AddressSpace, _ system: SystemRegisters, _ values: BootParameters.Values
  ) -> EntryState {
    switch kernel.entry {
    case .linux64(let address):
      var state = EntryState.long(system, at: address)
      state.registers.rsi = MemoryMap.bootParameters
      space.write(MemoryMap.bootParameters, bytes: BootParameters.page(kernel.header, values))
      return state
    case .linux32(let address):
      var state = EntryState.flat32(system, at: address)
      state.registers.rsi = MemoryMap.bootParameters
      space.write(MemoryMap.bootParameters, bytes: BootParameters.page(kernel.header, values))
      return state
    case .pvh(let address):
      var state = EntryState.flat32(system, at: address)
      state.registers.rbx = MemoryMap.bootParameters
      let info = PVHStartInfo.bytes(at: MemoryMap.bootParameters, values)
      space.write(MemoryMap.bootParameters, bytes: info)
      return state
    case .linux16, .multiboot: return enterRealMode(space, system, values)
    }
  }

  private func enterRealMode(
    _ space: AddressSpace, _ system: SystemRegisters, _ values: BootParameters.Values
  ) -> EntryState {
    typealias Field = SetupHeader.Field
    // The heap and the stack lie between the set-up code and the command line.
    let stack = UInt16(truncatingIfNeeded: MemoryMap.realModeCommandLine - MemoryMap.realModeSetup)
    var code = Array(kernel.setupCode)
    BootParameters.fillHeader(&code, values)
    if let flags = code.field(UInt8.self, at: Field.loadFlags) {
      code.setField(flags | SetupHeader.LoadFlags.canUseHeap, at: Field.loadFlags)
    }
    code.setField(stack - 0x200, at: Field.heapEnd)
    space.write(MemoryMap.realModeSetup, bytes: code)
    let segment = UInt16(truncatingIfNeeded: MemoryMap.realModeSetup >> 4)
    return .real(system, segment: segment, stack: stack)
  }

  /// Puts the modules and the Multiboot information into memory.
  private func enter(
    _ space: AddressSpace, _ system: SystemRegisters, _ header: MultibootHeader,
    at address: UInt64, _ screen: BootScreen
  ) -> EntryState {
    for module in modules {
      module.content.withUnsafeBytes { space.write(module.information.range.lowerBound, from: $0) }
    }
    let base = kernel.parts.first?.address ?? 0
    let information = MultibootInformation(
      commandLine: commandLine, modules: modules.map(\.information), memoryMap: machine.memoryMap,
      lowerKiB: UInt32(machine.baseMemoryKiB),
      upperKiB: UInt32(truncatingIfNeeded: machine.extendedBytes >> 10), screen: screen,
      rootPointer: Self.rootPointer(space),
      loadAddress: header.isRelocatable ? UInt32(truncatingIfNeeded: base) : nil)
    let place = MemoryMap.multibootInformation
    space.write(place, bytes: header.version == 1 ? information.old(at: place) : information.new())
    var state = EntryState.flat32(system, at: address)
    state.registers.rax = MultibootInformation.magic(header.version)
    state.registers.rbx = place
    for table in state.tables { space.write(table.address, bytes: table.bytes) }
    return state
  }

  /// ACPI's root pointer, where systems look for it (ACPI specification 6.5, 5.2.5.1).
  private static func rootPointer(_ space: AddressSpace) -> [UInt8] {
    for address in stride(from: MemoryMap.firmware, to: MemoryMap.highMemoryArea, by: 16) {
      let bytes = space.bytes(at: address, count: 36)
      if bytes.starts(with: "RSD PTR ".utf8) { return bytes }
    }
    return []
  }
}
