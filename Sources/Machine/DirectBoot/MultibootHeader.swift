/// What a Multiboot kernel asks of its boot loader (Multiboot Specification 0.6.96, 3.1; Multiboot2
/// Specification 2.0, 3.1).
struct MultibootHeader: Sendable, Equatable {
  /// The header's place in a file that is no ELF file, or that wants to be loaded as none.
  struct LoadAddresses: Sendable, Equatable {
    /// Where the header itself lies in memory.
    var header: UInt32
    /// Where loading begins; the file has that byte as far in front of the header.
    var start: UInt32
    /// Behind the last byte that the file has; 0 for all of it.
    var loadEnd: UInt32
    /// Behind what is zeroed; 0 for nothing.
    var zeroedEnd: UInt32
  }

  /// The screen that the kernel would like; zeroes where it does not mind.
  struct Screen: Sendable, Equatable {
    var isText: Bool
    var width: UInt32
    var height: UInt32
    var depth: UInt32
  }

  /// 1 or 2.
  var version: Int
  /// Where in the file the header lies.
  var offset: Int
  var addresses: LoadAddresses?
  var entry: UInt32?
  var screen: Screen?
  /// Whether the kernel can lie elsewhere and is told where it lies.
  var isRelocatable = false

  private static let searched1 = 8192
  private static let searched2 = 32768
  private static let magic1: UInt32 = 0x1BAD_B002
  private static let magic2: UInt32 = 0xE852_50D6

  /// The header of `file`, of the newer kind where it has both; nil where it has none.
  /// - Throws: where it asks for what there is not.
  static func find(in file: [UInt8]) throws(BadKernel) -> MultibootHeader? {
    if let found = try findNew(file) { return found }
    return try findOld(file)
  }

  // MARK: Version 1

  /// Bits of the flags; the lower half must be understood.
  private enum Flag {
    static let screen: UInt32 = 1 << 2
    static let known: UInt32 = 0x0000_0007
    static let mandatory: UInt32 = 0x0000_FFFF
    static let addresses: UInt32 = 1 << 16
  }

  private static func findOld(_ file: [UInt8]) throws(BadKernel) -> MultibootHeader? {
    for at in stride(from: 0, to: min(file.count, searched1) - 11, by: 4) {
      guard file.field(UInt32.self, at: at) == magic1,
        let flags = file.field(UInt32.self, at: at + 4),
        let sum = file.field(UInt32.self, at: at + 8), magic1 &+ flags &+ sum == 0
      else { continue }
      let unknown = flags & Flag.mandatory & ~Flag.known
      guard unknown == 0 else { throw .unknownRequest("flag \(unknown.trailingZeroBitCount)") }
      var header = MultibootHeader(version: 1, offset: at)
      if flags & Flag.addresses != 0 {
        let words = (3..<8).compactMap { file.field(UInt32.self, at: at + $0 * 4) }
        guard words.count == 5 else { throw .truncated }
        header.addresses = LoadAddresses(
          header: words[0], start: words[1], loadEnd: words[2], zeroedEnd: words[3])
        header.entry = words[4]
      }
      if flags & Flag.screen != 0 {
        let words = (8..<12).compactMap { file.field(UInt32.self, at: at + $0 * 4) }
        guard words.count == 4 else { throw .truncated }
        header.screen = Screen(
          isText: words[0] == 1, width: words[1], height: words[2], depth: words[3])
      }
      return header
    }
    return nil
  }

  // MARK: Version 2

  private enum Tag {
    static let end: UInt16 = 0
    static let information: UInt16 = 1
    static let addresses: UInt16 = 2
    static let entry: UInt16 = 3
    static let console: UInt16 = 4
    static let screen: UInt16 = 5
    static let moduleAlignment: UInt16 = 6
    /// Boot services and entries of UEFI, of which there is none here.
    static let firmware: ClosedRange<UInt16> = 7...9
    static let relocatable: UInt16 = 10
    static let optional: UInt16 = 1
  }
  private static let mostTags = 256

  private static func findNew(_ file: [UInt8]) throws(BadKernel) -> MultibootHeader? {
    for at in stride(from: 0, to: min(file.count, searched2) - 15, by: 8) {
      guard file.field(UInt32.self, at: at) == magic2,
        let architecture = file.field(UInt32.self, at: at + 4),
        let length = file.field(UInt32.self, at: at + 8),
        let sum = file.field(UInt32.self, at: at + 12),
        magic2 &+ architecture &+ length &+ sum == 0
      else { continue }
      guard architecture == 0 else { throw .otherProcessor }
      guard let bytes = file.part(at: UInt64(at), length: UInt64(length)) else { throw .truncated }
      var header = MultibootHeader(version: 2, offset: at)
      try header.readTags(Array(bytes))
      return header
    }
    return nil
  }

  private mutating func readTags(_ bytes: [UInt8]) throws(BadKernel) {
    var at = 16
    for _ in 0..<Self.mostTags {
      guard let kind = bytes.field(UInt16.self, at: at),
        let flags = bytes.field(UInt16.self, at: at + 2),
        let size = bytes.field(UInt32.self, at: at + 4)
      else { return }
      if kind == Tag.end { return }
      guard size >= 8, let content = bytes.part(at: UInt64(at + 8), length: UInt64(size - 8)) else {
        throw .truncated
      }
      try read(kind, Array(content), isOptional: flags & Tag.optional != 0)
      at += (Int(size) + 7) / 8 * 8
    }
  }

  private mutating func read(
    _ kind: UInt16, _ content: [UInt8], isOptional: Bool
  ) throws(BadKernel) {
    let words = stride(from: 0, to: content.count - 3, by: 4).compactMap {
      content.field(UInt32.self, at: $0)
    }
    switch kind {
    case Tag.information:
      let missing = words.first { !MultibootInformation.provided.contains($0) }
      if let missing, !isOptional { throw .unknownRequest("information \(missing)") }
    case Tag.addresses:
      guard words.count >= 4 else { throw .truncated }
      addresses = LoadAddresses(
        header: words[0], start: words[1], loadEnd: words[2], zeroedEnd: words[3])
    case Tag.entry:
      guard let word = words.first else { throw .truncated }
      entry = word
    case Tag.screen:
      guard words.count >= 3 else { throw .truncated }
      screen = Screen(isText: false, width: words[0], height: words[1], depth: words[2])
    case Tag.relocatable: isRelocatable = true
    case Tag.console, Tag.moduleAlignment, Tag.firmware: break
    default: if !isOptional { throw .unknownRequest("tag \(kind)") }
    }
  }
}

extension KernelImage {
  /// A Multiboot kernel: an ELF file, or whatever its header says where goes.
  init(multiboot file: [UInt8], _ multiboot: MultibootHeader) throws(BadKernel) {
    guard let header = SetupHeader.forUncompressed else { throw .notAKernel }
    var parts: [Part]
    var address: UInt64
    if let wanted = multiboot.addresses {
      parts = [try Self.part(of: file, multiboot, wanted)]
      guard let entry = multiboot.entry else { throw .notAKernel }
      address = UInt64(entry)
    } else {
      let image = try ELFImage(file)
      parts = image.segments.map { segment in
        Part(address: segment.address, size: segment.size, content: file[segment.content])
      }
      address = image.entry
    }
    if let entry = multiboot.entry { address = UInt64(entry) }
    let last = parts.map { $0.address.addingReportingOverflow($0.size) }
    guard !last.contains(where: \.overflow) else { throw .notAKernel }
    parts.sort { $0.address < $1.address }
    self.init(
      entry: .multiboot(address), parts: parts, header: header,
      end: last.map(\.partialValue).max() ?? 0)
    self.multiboot = multiboot
  }

  private static func part(
    of file: [UInt8], _ multiboot: MultibootHeader, _ wanted: MultibootHeader.LoadAddresses
  ) throws(BadKernel) -> Part {
    let all = UInt32.max
    // FFFFFFFFh loads the file from its beginning.
    let start = wanted.start == all ? wanted.header &- UInt32(multiboot.offset) : wanted.start
    guard start <= wanted.header else { throw .notAKernel }
    let inFront = Int(wanted.header - start)
    guard inFront <= multiboot.offset else { throw .truncated }
    let first = multiboot.offset - inFront
    var count = file.count - first
    if wanted.loadEnd != 0 {
      guard wanted.loadEnd >= start else { throw .notAKernel }
      guard Int(wanted.loadEnd - start) <= count else { throw .truncated }
      count = Int(wanted.loadEnd - start)
    }
    let zeroed = wanted.zeroedEnd > start ? UInt64(wanted.zeroedEnd - start) : 0
    return Part(
      address: UInt64(start), size: max(UInt64(count), zeroed),
      content: file[first..<(first + count)])
  }
}
