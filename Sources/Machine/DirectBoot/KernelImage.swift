/// A kernel that was understood: what goes where in memory, and how it is entered.
struct KernelImage: Sendable {
  /// How control is handed over.
  enum Entry: Sendable, Equatable {
    /// 64-bit mode with identity paging, RSI the boot parameters (boot.rst, "64-bit Boot Protocol").
    case linux64(UInt64)
    /// Flat protected mode, ESI the boot parameters (boot.rst, "32-bit Boot Protocol").
    case linux32(UInt64)
    /// Real mode at the set-up code, which asks the BIOS (boot.rst, "Running the Kernel").
    case linux16
    /// Flat protected mode, EBX the start information (Xen, docs/misc/pvh.pandoc).
    case pvh(UInt64)
    /// Flat protected mode, EBX the Multiboot information, EAX its magic number.
    case multiboot(UInt64)
  }

  /// Bytes for one place; those that `content` lacks up to `size` are zeroes.
  struct Part: Sendable, Equatable {
    var address: UInt64
    var size: UInt64
    var content: ArraySlice<UInt8>
  }

  var entry: Entry
  var parts: [Part]
  var header: SetupHeader
  /// The first address that is free of the kernel and of what it needs to begin.
  var end: UInt64

  /// The set-up code of a 16-bit entry; empty otherwise.
  var setupCode: ArraySlice<UInt8> = []

  /// What the kernel asks for, of one that is entered as Multiboot kernels are.
  var multiboot: MultibootHeader?

  private static let sector = 512
  private static let firstMebibyte: UInt64 = 1 << 20
  private static let entry64Offset: UInt64 = 0x200

  /// Understands `file`, which may be packed by gzip as a whole, for a machine whose memory below
  /// 4 GiB ends at `memoryEnd`.
  init(_ file: [UInt8], memoryEnd: UInt64) throws(BadKernel) {
    let file = KernelPayload.unpackGzip(file) ?? file
    let isELF = ELFImage.begins(file)
    if isELF, try ELFImage(file).isLinux {
      try self.init(elf: file)
    } else if isELF || SetupHeader(file) == nil, let multiboot = try MultibootHeader.find(in: file)
    {
      try self.init(multiboot: file, multiboot)
    } else if isELF {
      try self.init(elf: file)
    } else {
      guard let header = SetupHeader(file) else { throw .notAKernel }
      guard header.version >= 0x0202 else { throw .tooOld(header.version) }
      guard header.isLoadedHigh else { throw .loadedLow }
      try self.init(bzImage: file, header: header, memoryEnd: memoryEnd)
    }
    for part in parts where part.address < Self.firstMebibyte { throw .tooLow(part.address) }
    guard end <= memoryEnd else { throw .needsMemory(end) }
  }

  /// A kernel of which nothing is known but what the ELF file says.
  private init(elf file: [UInt8]) throws(BadKernel) {
    guard let header = SetupHeader.forUncompressed else { throw .notAKernel }
    try self.init(elf: file, header: header)
  }

  init(entry: Entry, parts: [Part], header: SetupHeader, end: UInt64) {
    self.entry = entry
    self.parts = parts
    self.header = header
    self.end = end
  }

  private init(elf file: [UInt8], header: SetupHeader) throws(BadKernel) {
    let image = try ELFImage(file)
    self.header = header
    parts = image.segments.map { segment in
      Part(address: segment.address, size: segment.size, content: file[segment.content])
    }
    let start = image.segments.map(\.address).min() ?? 0
    let last = image.segments.map(\.end).max() ?? 0
    end = max(last, start.addingReportingOverflow(header.initSize).partialValue)
    // Linux finds out more from its own boot parameters: the screen, among others.
    if let address = image.entryPVH, !image.isLinux {
      entry = .pvh(address)
    } else {
      entry = image.is64Bit ? .linux64(image.entry) : .linux32(image.entry)
    }
  }

  private init(
    bzImage file: [UInt8], header: SetupHeader, memoryEnd: UInt64
  ) throws(BadKernel) {
    let sectors = file.field(UInt8.self, at: SetupHeader.Field.setupSectors) ?? 0
    let setupBytes = (Int(sectors == 0 ? 4 : sectors) + 1) * Self.sector
    let paragraphs = file.field(UInt32.self, at: SetupHeader.Field.protectedParagraphs) ?? 0
    let codeBytes = Int(header.version >= 0x0204 ? paragraphs : paragraphs & 0xFFFF) * 16
    // The last paragraph need not be whole.
    guard file.count > setupBytes, file.count + 15 >= setupBytes + codeBytes else {
      throw .truncated
    }
    let payload = file.part(
      at: UInt64(setupBytes) + header.payload.offset, length: header.payload.length)
    if header.hasFlatEntry, let payload, let kernel = KernelPayload.unpack(payload),
      let image = try? KernelImage(elf: kernel, header: header)
    {
      self = image
      return
    }
    self.init(selfUnpacking: file, setupBytes: setupBytes, header: header, memoryEnd: memoryEnd)
  }

  /// A kernel whose own code unpacks it.
  private init(
    selfUnpacking file: [UInt8], setupBytes: Int, header: SetupHeader, memoryEnd: UInt64
  ) {
    let code = file[setupBytes...]
    let size = max(UInt64(code.count), header.initSize)
    // One that names no place above 1 MiB for its protected-mode code has no entry there either.
    let hasFlatEntry =
      header.hasFlatEntry && (header.isRelocatable || header.code32Start >= Self.firstMebibyte)
    var address = max(header.code32Start, hasFlatEntry ? 0 : Self.firstMebibyte)
    if header.isRelocatable, hasFlatEntry {
      let step = max(header.alignment, 1)
      let lowest = (Self.firstMebibyte &+ step &- 1) / step &* step
      let fits = header.preferredAddress <= memoryEnd && size <= memoryEnd - header.preferredAddress
      address = fits ? header.preferredAddress : lowest
    }
    self.header = header
    parts = [Part(address: address, size: UInt64(code.count), content: code)]
    end = address.addingReportingOverflow(size).overflow ? .max : address + size
    if !hasFlatEntry {
      entry = .linux16
      setupCode = file[..<setupBytes]
    } else {
      entry = header.hasEntry64 ? .linux64(address &+ Self.entry64Offset) : .linux32(address)
    }
  }
}
