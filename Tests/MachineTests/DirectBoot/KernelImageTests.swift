import Testing

@testable import Machine

/// What is understood of a kernel's file, and what is refused.
@Suite struct KernelImageTests {
  private let memory: UInt64 = 64 << 20
  private static let elf64 = KernelFiles.elf(
    is64Bit: true, entry: 0x0100_0010,
    segments: [
      .init(address: 0x0100_0000, content: [1, 2, 3], size: 0x5000),
      .init(address: 0x0120_0000, content: [4], size: nil),
    ])

  private func refusal(_ file: [UInt8], memory: UInt64 = 64 << 20) -> BadKernel? {
    do {
      _ = try KernelImage(file, memoryEnd: memory)
      return nil
    } catch { return error }
  }

  @Test func aPackedKernelIsUnpackedAndEnteredAsItsOwnFileSays() throws {
    let file = KernelFiles.bzImage(payload: KernelFiles.gzip(Self.elf64), initSize: 0x30_0000)
    let kernel = try KernelImage(file, memoryEnd: memory)
    #expect(kernel.entry == .linux64(0x0100_0010))
    #expect(kernel.parts.map(\.address) == [0x0100_0000, 0x0120_0000])
    #expect(kernel.parts.map(\.size) == [0x5000, 1])
    #expect(kernel.parts.map { Array($0.content) } == [[1, 2, 3], [4]])
    #expect(kernel.end == 0x0130_0000, "what it needs at first counts from its address")
  }

  @Test func aPayloadThatIsDamagedLeavesUnpackingToTheKernel() throws {
    var payload = KernelFiles.gzip(Self.elf64)
    payload[40] ^= 1
    for (flags, entry) in [
      (UInt16(1), KernelImage.Entry.linux64(0x0100_0200)), (0, .linux32(0x0100_0000)),
    ] {
      let file = KernelFiles.bzImage(payload: payload, extendedFlags: flags)
      let kernel = try KernelImage(file, memoryEnd: memory)
      #expect(kernel.entry == entry)
      #expect(kernel.parts.map(\.address) == [0x0100_0000])
      #expect(kernel.parts.first.map { Array($0.content.prefix(2)) } == [0xF4, 0x1F])
    }
  }

  @Test func aRelocatableKernelGoesLowerWhereMemoryIsShort() throws {
    let file = KernelFiles.bzImage()
    #expect(try KernelImage(file, memoryEnd: 8 << 20).entry == .linux32(0x0020_0000))
    let fixed = KernelFiles.bzImage(relocatable: 0)
    #expect(try KernelImage(fixed, memoryEnd: 8 << 20).entry == .linux32(0x0010_0000))
  }

  @Test func anOldKernelIsEnteredInRealMode() throws {
    let file = KernelFiles.bzImage(version: 0x0203)
    let kernel = try KernelImage(file, memoryEnd: memory)
    #expect(kernel.entry == .linux16)
    #expect(kernel.setupCode.count == 1024)
    #expect(kernel.parts.map(\.address) == [0x0010_0000])
    #expect(kernel.header.commandLineSize == 255)
  }

  @Test func aKernelWithoutAPlaceForProtectedModeIsEnteredInRealMode() throws {
    // As iPXE's is made.
    let file = KernelFiles.bzImage(version: 0x0207, relocatable: 0, code32Start: 0)
    let kernel = try KernelImage(file, memoryEnd: memory)
    #expect(kernel.entry == .linux16)
    #expect(kernel.parts.map(\.address) == [0x0010_0000])
  }

  @Test func aKernelMayBePackedAsAWhole() throws {
    let kernel = try KernelImage(KernelFiles.gzip(Self.elf64), memoryEnd: memory)
    #expect(kernel.entry == .linux64(0x0100_0010))
    #expect(refusal(Array(KernelFiles.gzip(Self.elf64).dropLast(9))) == .notAKernel)
  }

  @Test func uncompressedKernelsAreEnteredByTheirKind() throws {
    let linux = try KernelImage(Self.elf64, memoryEnd: memory)
    #expect(linux.entry == .linux64(0x0100_0010))
    let old = KernelFiles.elf(
      is64Bit: false, entry: 0x0010_0000,
      segments: [.init(address: 0x0010_0000, content: [0xF4])])
    #expect(try KernelImage(old, memoryEnd: memory).entry == .linux32(0x0010_0000))
  }

  @Test func aVirtualEntryBecomesAPhysicalOne() throws {
    let file = KernelFiles.elf(
      is64Bit: true, entry: 0xFFFF_FFFF_8000_0001,
      segments: [
        .init(address: 0x0020_0000, content: [1, 2], virtual: 0xFFFF_FFFF_8000_0000)
      ])
    #expect(try KernelImage(file, memoryEnd: memory).entry == .linux64(0x0020_0001))
  }

  @Test func aPVHNoteCountsUnlessItIsLinux() throws {
    let pvh = KernelFiles.note("Xen", 18, [0x04, 0, 0x10, 0])
    let segments = [KernelFiles.Segment(address: 0x0010_0000, content: [0xF4], size: 16)]
    let other = KernelFiles.elf(
      is64Bit: true, entry: 0x0010_0000, segments: segments, notes: pvh)
    #expect(try KernelImage(other, memoryEnd: memory).entry == .pvh(0x0010_0004))
    let linux = KernelFiles.elf(
      is64Bit: true, entry: 0x0010_0000, segments: segments,
      notes: KernelFiles.note("Linux", 0x100, [1]) + pvh)
    #expect(try KernelImage(linux, memoryEnd: memory).entry == .linux64(0x0010_0000))
  }

  @Test func badFilesAreRefusedForWhatTheyAre() {
    let image = KernelFiles.bzImage(payload: KernelFiles.gzip(Self.elf64))
    #expect(refusal([]) == .notAKernel)
    #expect(refusal([UInt8](repeating: 0x20, count: 4096)) == .notAKernel)
    #expect(refusal(Array(image.prefix(1000))) == .truncated)
    #expect(refusal(Array(image.dropLast(64))) == .truncated)
    #expect(refusal(Array(Self.elf64.dropLast(2))) == .truncated)
    #expect(refusal(KernelFiles.bzImage(version: 0x0201)) == .tooOld(0x0201))
    #expect(refusal(KernelFiles.bzImage(loadFlags: 0)) == .loadedLow)
    #expect(refusal(image, memory: 16 << 20) == .needsMemory(0x0120_0001))
    var foreign = Self.elf64
    foreign[18] = 183
    #expect(refusal(foreign) == .otherProcessor)
    let low = KernelFiles.elf(
      is64Bit: true, entry: 0x7C00, segments: [.init(address: 0x7C00, content: [0xF4])])
    #expect(refusal(low) == .tooLow(0x7C00))
    let huge = KernelFiles.elf(
      is64Bit: true, entry: 0x0010_0000,
      segments: [.init(address: 0x0010_0000, content: [1], size: .max - 16)])
    #expect(refusal(huge) == .notAKernel)
    let large = KernelFiles.elf(
      is64Bit: true, entry: 0x0010_0000,
      segments: [.init(address: 0x0010_0000, content: [1], size: 1 << 40)])
    #expect(refusal(large) == .needsMemory(1 << 40 + 0x0010_0000))
  }

  @Test func noBytesAtAllMakeItTrap() {
    var random = SystemRandomNumberGenerator()
    let files = [
      KernelFiles.bzImage(payload: KernelFiles.gzip(Self.elf64)), Self.elf64,
      KernelFiles.elf(
        is64Bit: false, entry: 0x0010_0000,
        segments: [.init(address: 0x0010_0000, content: [0xF4])],
        notes: KernelFiles.note("Xen", 18, [0, 0, 0x10, 0])),
    ]
    for file in files {
      for length in stride(from: 0, to: file.count, by: 7) {
        _ = try? KernelImage(Array(file.prefix(length)), memoryEnd: memory)
      }
      for _ in 0..<3000 {
        var bad = file
        for _ in 0..<Int.random(in: 1...8, using: &random) {
          // Mostly in the headers.
          let index = Int.random(in: 0..<(Bool.random() ? bad.count : min(0x280, bad.count)))
          bad[index] = [0, 0x7F, 0x80, 0xFF, .random(in: 0...255)].randomElement() ?? 0
        }
        _ = try? KernelImage(bad, memoryEnd: memory)
      }
    }
  }
}
