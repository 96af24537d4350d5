import DeviceTestKit
import KVMEngine
import Testing

@testable import Machine

/// Where a kernel and what belongs to it go, and in which state it is entered.
@Suite struct BootImageTests {
  private let folder: BootFolder
  private let space: AddressSpace
  private let machine = FirmwareConfiguration(ramBelow4G: 32 << 20)

  private final class Slots: MemorySlots {
    func setSlot(
      _ index: UInt32, guestAddress: UInt64, host: UnsafeMutableRawPointer, size: Int,
      options: SlotOptions
    ) {}
    func removeSlot(_ index: UInt32) {}
    func takeDirtyPages(_ index: UInt32, into bitmap: UnsafeMutableBufferPointer<UInt64>) {}
  }

  init() throws {
    folder = try BootFolder()
    space = AddressSpace(bus: MemoryBus(), slots: Slots())
    let memory = try MemoryBlock(name: "ram", size: 32 << 20)
    try space.map(memory, size: 0xA0000, at: 0)
    try space.map(memory, offset: 1 << 20, size: 31 << 20, at: 1 << 20)
  }

  private func image(
    _ kernel: [UInt8], ramDisk: [UInt8]? = nil, commandLine: String = ""
  ) throws -> BootImage {
    try BootImage(
      DirectBootFiles(
        kernel: folder.file("kernel", kernel),
        initialRAMDisk: ramDisk.map { folder.file("disk", $0) }, commandLine: commandLine),
      machine: machine)
  }

  private func elf(_ is64Bit: Bool, notes: [UInt8] = []) -> [UInt8] {
    KernelFiles.elf(
      is64Bit: is64Bit, entry: 0x0010_0000,
      segments: [.init(address: 0x0010_0000, content: [0xAA, 0xBB], size: 0x2000)], notes: notes)
  }

  @Test func bootParametersTellWhatTheFirmwareWouldTell() throws {
    let disk = [UInt8](repeating: 0x5C, count: 5000)
    let image = try image(elf(true), ramDisk: disk, commandLine: "console=ttyS0")
    space.store(UInt16(0x0507), at: MemoryMap.cursorPosition)
    let state = image.place(in: space, from: SystemRegisters())
    let page = space.bytes(at: state.registers.rsi, count: 4096)
    #expect(page[0] == 7 && page[1] == 5, "the cursor is where the firmware left it")
    #expect(Array(page[6...7]) == [3, 80] && page[0x0E] == 25 && page[0x0F] == 1)
    #expect(page.field(UInt32.self, at: 0x202) == SetupHeader.signature)
    #expect(page[0x210] == 0xFF)
    let line = UInt64(page.field(UInt32.self, at: 0x228) ?? 0)
    #expect(space.bytes(at: line, count: 14) == Array("console=ttyS0".utf8) + [0])
    let address = UInt64(page.field(UInt32.self, at: 0x218) ?? 0)
    #expect(page.field(UInt32.self, at: 0x21C) == 5000)
    #expect(address == 32 << 20 - 8192, "as high as it fits, on a page's border")
    #expect(space.bytes(at: address, count: 5000) == disk)
    let map = machine.memoryMap
    #expect(Int(page[0x1E8]) == map.count)
    for (index, range) in map.enumerated() {
      let at = 0x2D0 + index * 20
      #expect(page.field(UInt64.self, at: at) == range.start)
      #expect(page.field(UInt64.self, at: at + 8) == range.length)
      #expect(page.field(UInt32.self, at: at + 16) == range.kind.rawValue)
    }
  }

  @Test func whatTheFileLacksIsZeroed() throws {
    space.write(0x0010_0000, bytes: [UInt8](repeating: 0xEE, count: 0x3000))
    _ = try image(elf(true)).place(in: space, from: SystemRegisters())
    let expected = [0xAA, 0xBB] + [UInt8](repeating: 0, count: 0x1FFE) + [0xEE]
    #expect(space.bytes(at: 0x0010_0000, count: 0x2001) == expected)
  }

  @Test func the64BitEntryHasIdentityPagesForFourGibibytes() throws {
    let state = try image(elf(true)).place(in: space, from: SystemRegisters())
    #expect(state.registers.rip == 0x0010_0000)
    #expect(state.registers.rflags & Flags.interruptEnable == 0)
    #expect(ProcessorMode(state.registers, state.system) == .long)
    let linear = LinearMemory(space: space, system: state.system)
    for address: UInt64 in [0, 0x10_0000, 0x1FF_FFFF, 0xB8000, 0xFFFF_FFFF] {
      #expect(linear.translate(address) == address)
    }
    #expect(linear.translate(1 << 32) == nil)
    #expect(state.system.cs.selector == 0x10 && state.system.ss.selector == 0x18)
    let table = state.system.gdt.base
    #expect(space.load(table + 0x10, as: UInt64.self) == 0x00AF_9B00_0000_FFFF)
    #expect(space.load(table + 0x18, as: UInt64.self) == 0x00CF_9300_0000_FFFF)
  }

  @Test func the32BitEntryIsFlatWithoutPaging() throws {
    let state = try image(elf(false)).place(in: space, from: SystemRegisters())
    #expect(ProcessorMode(state.registers, state.system) == .protected32)
    #expect(state.system.cr0 & ControlBits.cr0Paging == 0)
    #expect(state.system.cs.limit == .max && state.system.ds.limit == .max)
    #expect(state.registers.rbx == 0 && state.registers.rdi == 0 && state.registers.rbp == 0)
  }

  @Test func aPVHKernelGetsItsStartInformation() throws {
    let notes = KernelFiles.note("Xen", 18, [0, 0, 0x10, 0])
    let image = try image(elf(false, notes: notes), ramDisk: [1, 2, 3], commandLine: "x")
    let state = image.place(in: space, from: SystemRegisters())
    let info = space.bytes(at: state.registers.rbx, count: 88 + 24 * machine.memoryMap.count)
    #expect(info.field(UInt32.self, at: 0) == 0x336E_C578)
    #expect(info.field(UInt32.self, at: 12) == 1)
    let module = info.field(UInt64.self, at: 16) ?? 0
    #expect(space.load(module, as: UInt64.self) == image.ramDiskAddress)
    #expect(space.load(module + 8, as: UInt64.self) == 3)
    #expect(space.bytes(at: info.field(UInt64.self, at: 24) ?? 0, count: 2) == [0x78, 0])
    let map = info.field(UInt64.self, at: 40) ?? 0
    #expect(Int(info.field(UInt32.self, at: 48) ?? 0) == machine.memoryMap.count)
    #expect(space.load(map + 8, as: UInt64.self) == 639 << 10)
  }

  @Test func anOldKernelsSetupCodeHasItsFieldsFilledIn() throws {
    let image = try image(
      KernelFiles.bzImage(version: 0x0203), ramDisk: [9], commandLine: "root=/dev/hda1")
    let state = image.place(in: space, from: SystemRegisters())
    #expect(state.system.cs.base == 0x90200 && state.system.ds.base == 0x90000)
    #expect(state.registers.rsp == 0xE000 && state.registers.rip == 0)
    let code = space.bytes(at: 0x90000, count: 1024)
    #expect(code[0x211] == 0x81)
    #expect(code.field(UInt16.self, at: 0x224) == 0xDE00)
    #expect(code.field(UInt32.self, at: 0x228) == 0x9E000)
    #expect(space.bytes(at: 0x9E000, count: 5) == Array("root=".utf8))
  }

  @Test func theRamDiskStaysBelowTheKernelsLimit() throws {
    var kernel = KernelFiles.bzImage()
    kernel.setField(UInt32(0x017F_FFFF), at: SetupHeader.Field.ramDiskLimit)
    #expect(try image(kernel, ramDisk: [1]).ramDiskAddress == 0x017F_F000)
  }

  @Test func whatDoesNotFitIsRefusedWithASentence() throws {
    func sentence(_ body: () throws -> BootImage) -> String {
      do {
        _ = try body()
        return "nothing"
      } catch { return "\(error)" }
    }
    let long = sentence {
      try image(KernelFiles.bzImage(), commandLine: String(repeating: "x", count: 64))
    }
    #expect(long.hasPrefix("the kernel's command line has 64 bytes, and /tmp/"))
    #expect(long.hasSuffix("/kernel takes 63"))
    let large = sentence {
      try image(elf(true), ramDisk: [UInt8](repeating: 0, count: 31 << 20))
    }
    #expect(large.hasSuffix("its 31 MiB need a desktop with at least 33 MiB of memory"))
    let other = sentence { try image(Array("hello".utf8)) }
    #expect(other.hasPrefix("cannot boot /tmp/"))
    #expect(
      other.hasSuffix(
        "it is no kernel: neither a bzImage, an ELF file that can be loaded, nor Multiboot"))
    let missing = sentence {
      try BootImage(DirectBootFiles(kernel: "/nowhere/kernel"), machine: machine)
    }
    #expect(missing == "cannot read /nowhere/kernel: no such file or directory")
    let directory = sentence {
      try BootImage(DirectBootFiles(kernel: "/tmp"), machine: machine)
    }
    #expect(directory == "cannot read /tmp: it is no file")
  }

  @Test func aLaterBootReadsTheFilesAgain() throws {
    let files = DirectBootFiles(kernel: folder.file("kernel", elf(true)))
    let problems = Problems()
    let boot = try DirectBoot(files, machine: machine) { problems.add($0) }
    var call = FirmwareCall(registers: Registers(), system: SystemRegisters(), space: space)
    #expect(boot.start(&call, in: space) == .enter)
    #expect(call.registers.rip == 0x0010_0000 && call.systemChanged)
    #expect(boot.start(&call, in: space) == .enter)
    _ = folder.file("kernel", [])
    #expect(boot.start(&call, in: space) == .wait)
    #expect(problems.all.map { $0.hasPrefix("cannot boot /tmp/") } == [true])
  }
}
