import DeviceTestKit
import Display
import Glibc
import KVMEngine
import Testing

@testable import Machine

/// Multiboot headers, and what their kernels are told.
@Suite struct MultibootTests {
  private let folder: BootFolder
  private let space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
  private let machine = FirmwareConfiguration(ramBelow4G: 32 << 20)

  init() throws {
    folder = try BootFolder()
    let memory = try MemoryBlock(name: "ram", size: 32 << 20)
    try space.map(memory, size: 0xA0000, at: 0)
    try space.map(memory, offset: 1 << 20, size: 31 << 20, at: 1 << 20)
  }

  /// A header of version 1 with more words behind its three.
  static func old(_ flags: UInt32, _ words: UInt32...) -> [UInt8] {
    var bytes: [UInt8] = []
    for word in [0x1BAD_B002, flags, 0 &- 0x1BAD_B002 &- flags] + words {
      bytes.append(field: word)
    }
    return bytes
  }

  /// A header of version 2 with `tags`: kind, flags, words each.
  static func new(_ tags: [(UInt16, UInt16, [UInt32])]) -> [UInt8] {
    var body: [UInt8] = []
    for (kind, flags, words) in tags + [(0, 0, [])] {
      body.append(field: kind)
      body.append(field: flags)
      body.append(field: UInt32(8 + words.count * 4))
      for word in words { body.append(field: word) }
      while body.count % 8 != 0 { body.append(0) }
    }
    var bytes: [UInt8] = []
    let length = UInt32(16 + body.count)
    for word in [0xE852_50D6, 0, length, 0 &- 0xE852_50D6 &- length] { bytes.append(field: word) }
    return bytes + body
  }

  private func elf(_ header: [UInt8], code: [UInt8] = [0xF4]) -> [UInt8] {
    // Behind the ELF headers' 84 bytes; version 2 wants borders of eight bytes.
    let start = UInt64(0x0010_0000)
    let content = [0, 0, 0, 0] + header
    return KernelFiles.elf(
      is64Bit: false, entry: start + UInt64(content.count),
      segments: [.init(address: start, content: content + code, size: 0x3000)])
  }

  private func problem(_ kernel: [UInt8]) -> BadKernel? {
    do throws(BadKernel) {
      _ = try KernelImage(kernel, memoryEnd: machine.ramBelow4G)
      return nil
    } catch {
      return error
    }
  }

  private func place(
    _ kernel: [UInt8], line: String = "", modules: [String] = []
  ) throws -> (state: EntryState, information: UInt64) {
    let path = folder.file("disk", Array("contents".utf8))
    let image = try BootImage(
      DirectBootFiles(
        kernel: folder.file("kernel", kernel), commandLine: line,
        modules: modules.map { .init(path: path, commandLine: $0) }), machine: machine)
    let state = image.place(in: space, from: SystemRegisters())
    return (state, state.registers.rbx)
  }

  private func word(_ address: UInt64) -> UInt64 {
    UInt64(space.load(address, as: UInt32.self))
  }
  private func text(_ address: UInt64) -> String {
    String(decoding: space.bytes(at: address, count: 64).prefix { $0 != 0 }, as: UTF8.self)
  }

  @Test func aKernelOfVersion1GetsMemoryModulesAndCommandLine() throws {
    let header = Self.old(3)
    let (state, at) = try place(elf(header), line: "one two", modules: ["first", "second"])
    #expect(state.registers.rax == 0x2BAD_B002)
    #expect(state.registers.rip == 0x0010_0004 + UInt64(header.count))
    #expect(word(at) == 0x124D, "flags")
    #expect(word(at + 4) == 639 && word(at + 8) == 31 << 10)
    #expect(text(word(at + 16)) == "one two")
    #expect(word(at + 20) == 2)
    let list = word(at + 24)
    let start = word(list)
    #expect(start == 0x0010_3000, "on the page behind the kernel's zeroes")
    #expect(word(list + 4) - start == 8 && text(start) == "contents")
    #expect(text(word(list + 8)) == "first" && text(word(list + 24)) == "second")
    #expect(word(list + 16) == start + 4096)
    let (length, map) = (word(at + 44), word(at + 48))
    #expect(length == UInt64(machine.memoryMap.count * 24) && word(map) == 20)
    #expect(word(map + 12) == 639 << 10 && word(map + 20) == 1)
    #expect(text(word(at + 64)) == "Porthole")
    #expect(word(at + 88) == 0xB8000 && word(at + 96) == 160, "text, since it asks for nothing")
    #expect(space.bytes(at: at + 108, count: 2) == [16, 2])
  }

  @Test func aKernelOfVersion2GetsTags() throws {
    let header = Self.new([
      (1, 0, [1, 3, 6]), (6, 1, []), (10, 0, [0x10_0000, 0x400_0000, 4096, 1]),
    ])
    let (state, at) = try place(elf(header), line: "three", modules: ["m"])
    #expect(state.registers.rax == 0x36D7_6289 && at % 8 == 0)
    var tags: [UInt64: UInt64] = [:]
    var next = at + 8
    while next < at + word(at) {
      tags[word(next)] = next
      next += (word(next + 4) + 7) / 8 * 8
    }
    #expect(next == at + word(at), "the last tag ends where the whole does")
    #expect(tags[1].map { text($0 + 8) } == "three")
    #expect(tags[3].map { text($0 + 16) } == "m")
    #expect(tags[3].map { text(word($0 + 8)) } == "contents")
    #expect(tags[6].map { word($0 + 8) } == 24)
    #expect(tags[8].map { word($0 + 8) } == 0xB8000)
    #expect(tags[21].map { word($0 + 8) } == 0x10_0000)
    #expect(tags[0] != nil)
  }

  @Test func aFileThatIsNoELFFileIsLoadedAsItsHeaderSays() throws {
    // Eight bytes in front of the header belong to the image; the last four of the file do not.
    let header = Self.old(0x10000, 0x20_0008, 0x20_0000, 0x20_0030, 0x20_0040, 0x20_0028)
    let file = [UInt8](repeating: 0xEE, count: 8) + header
    let kernel = try KernelImage(
      file + [UInt8](repeating: 0xDD, count: 0x30 - file.count) + [1, 2, 3, 4],
      memoryEnd: machine.ramBelow4G)
    #expect(kernel.entry == .multiboot(0x20_0028))
    #expect(kernel.parts.first?.address == 0x20_0000 && kernel.parts.first?.size == 0x40)
    #expect(kernel.parts.first?.content.count == 0x30 && kernel.parts.first?.content.first == 0xEE)
    let whole = Self.new([(2, 0, [0x20_0008, 0xFFFF_FFFF, 0, 0]), (3, 0, [0x20_0000])])
    let second = try KernelImage(
      [UInt8](repeating: 0x90, count: 8) + whole, memoryEnd: machine.ramBelow4G)
    #expect(second.parts.first?.address == 0x20_0000 && second.entry == .multiboot(0x20_0000))
  }

  @Test func whatIsAskedForAndThereIsNotIsSaid() throws {
    #expect(problem(elf(Self.old(0x8))) == .unknownRequest("flag 3"))
    #expect(problem(elf(Self.new([(99, 0, [])]))) == .unknownRequest("tag 99"))
    #expect(problem(elf(Self.new([(99, 1, [])]))) == nil, "an optional one")
    #expect(problem(elf(Self.new([(1, 0, [12])]))) == .unknownRequest("information 12"))
    #expect(problem(Self.old(0x10000, 0x20_0000)) == .truncated)
    #expect(
      problem(Self.old(0x10000, 0x20_0000, 0x20_0000, 0x30_0000, 0, 0x20_0000)) == .truncated)
    #expect(
      problem(Self.old(0x10000, 0x1000, 0x1000, 0, 0, 0x1000)) == .tooLow(0x1000))
    #expect(
      problem(Self.old(0x10000, 0x20_0000, 0x20_0000, 0, 0x4000_0000, 0x20_0000))
        == .needsMemory(0x4000_0000))
    let path = folder.file("kernel", KernelFiles.bzImage())
    let refused = #expect(throws: MachineError.self) {
      try BootImage(DirectBootFiles(kernel: path, modules: [.init(path: path)]), machine: machine)
    }
    #expect(refused?.description.contains("no Multiboot header") == true)
  }

  @Test func arbitraryBytesNeverStopTheReader() {
    var generator = SplitMix64(seed: 5)
    let good = [
      elf(Self.old(0x10007, 0x10_0000, 0x10_0000, 0, 0, 0x10_0000, 0, 1, 2, 3)),
      elf(
        Self.new([(1, 0, [1, 3]), (2, 0, [0x10_0000, 0, 0, 0]), (3, 0, [0]), (5, 0, [1, 2, 3])])),
    ]
    for _ in 0..<4000 {
      var file = good[Int(generator.next() % 2)]
      for _ in 0..<(1 + generator.next() % 4) {
        file[Int(generator.next() % UInt64(file.count))] = UInt8(generator.next() & 0xFF)
      }
      if generator.next() % 4 == 0 { file = Array(file.prefix(Int(generator.next() % 200))) }
      _ = problem(file)
      // The same with a sum that is right.
      _ = problem(Self.old(UInt32(truncatingIfNeeded: generator.next())) + file)
    }
  }

  // MARK: Kernels that run

  private static let engines: [EngineKind] = EngineKind.allCases.filter {
    $0 == .software || access("/dev/kvm", R_OK | W_OK) == 0
  }

  private func run(_ kernel: [UInt8], _ engine: EngineKind) throws -> (StopReason, Machine) {
    var configuration = MachineConfiguration()
    configuration.memoryBytes = 16 << 20
    configuration.engine = engine
    configuration.debugExit = true
    configuration.onTripleFault = .stop
    configuration.directBoot = DirectBootFiles(
      kernel: folder.file("kernel", kernel),
      modules: [.init(path: folder.file("disk", [0x21]))])
    let machine = try Machine(configuration) { _ in }
    try machine.start()
    return (machine.waitUntilStopped(), machine)
  }

  /// ADD AL,AH of the magic number and the first module's first byte; leaves by the debug exit.
  @Test(.timeLimit(.minutes(1)), arguments: engines)
  func aKernelOfVersion1Runs(_ engine: EngineKind) throws {
    // ADD AL,AH; MOV ECX,[EBX+24]; MOV ECX,[ECX]; ADD AL,[ECX]; OUT F4h,AL; HLT
    let code: [UInt8] = [
      0x00, 0xE0, 0x8B, 0x4B, 0x18, 0x8B, 0x09, 0x02, 0x01, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD,
    ]
    #expect(try run(elf(Self.old(0), code: code), engine).0 == .debugExit(0x02 &+ 0xB0 &+ 0x21))
  }

  @Test(.timeLimit(.minutes(1)), arguments: engines)
  func aKernelGetsTheScreenThatItAsksFor(_ engine: EngineKind) throws {
    // Looks for tag 8, draws its first pixel in FF8040h, and leaves with its depth.
    let code: [UInt8] = [
      0x83, 0xC3, 0x08,  // ADD EBX,8
      0x83, 0x3B, 0x08,  // CMP DWORD [EBX],8
      0x74, 0x0D,  // JE +13
      0x8B, 0x4B, 0x04,  // MOV ECX,[EBX+4]
      0x83, 0xC1, 0x07,  // ADD ECX,7
      0x83, 0xE1, 0xF8,  // AND ECX,-8
      0x01, 0xCB,  // ADD EBX,ECX
      0xEB, 0xEE,  // JMP to the comparison
      0x8B, 0x4B, 0x08,  // MOV ECX,[EBX+8]
      0xC7, 0x01, 0x40, 0x80, 0xFF, 0x00,  // MOV DWORD [ECX],FF8040h
      0x8A, 0x43, 0x1C, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD,  // MOV AL,[EBX+28]; OUT F4h,AL; HLT
    ]
    let (reason, machine) = try run(
      elf(Self.new([(5, 0, [808, 600, 32])]), code: code), engine)
    #expect(reason == .debugExit(32))
    let frame = machine.capture()
    #expect(frame.size == FrameSize(width: 808, height: 600))
    #expect(frame.pixels[0] & 0xFF_FFFF == 0xFF_8040)
  }
}
