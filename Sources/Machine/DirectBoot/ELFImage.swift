/// An ELF file as far as a loader needs it: what goes where in physical memory, where it is entered
/// (System V ABI, "Object Files"), and whether it asks to be entered as PVH guests are (Xen,
/// docs/misc/pvh.pandoc).
struct ELFImage: Sendable {
  /// What is loaded in one piece.
  struct Segment: Sendable, Equatable {
    /// Physical.
    var address: UInt64
    /// Bytes in memory; those that ``content`` lacks are zeroes.
    var size: UInt64
    /// Where the file has its bytes.
    var content: Range<Int>

    /// The first address behind it.
    var end: UInt64 { address + size }
  }

  /// Whether the file is of the 64-bit kind.
  let is64Bit: Bool
  let segments: [Segment]
  /// Physical.
  let entry: UInt64
  /// The physical address of the entry for PVH guests.
  private(set) var entryPVH: UInt64?
  /// Whether notes say that it is Linux.
  private(set) var isLinux = false

  private static let magic: [UInt8] = [0x7F, 0x45, 0x4C, 0x46]
  private static let intel386: UInt16 = 3
  private static let amd64: UInt16 = 62
  private static let mostSegments = 64
  private static let mostNotes = 1024
  private static let loadable: UInt32 = 1
  private static let notes: UInt32 = 4

  /// Whether `file` begins as ELF files do.
  static func begins(_ file: [UInt8]) -> Bool { file.starts(with: magic) }

  /// Reads the headers of `file`.
  /// - Throws: a sentence's end that says what is wrong.
  init(_ file: [UInt8]) throws(BadKernel) {
    guard Self.begins(file), let format = file.field(UInt8.self, at: 4),
      file.field(UInt8.self, at: 5) == 1
    else { throw .notAKernel }
    let is64Bit = format == 2
    self.is64Bit = is64Bit
    guard format == 1 || is64Bit, let machine = file.field(UInt16.self, at: 18),
      machine == (is64Bit ? Self.amd64 : Self.intel386)
    else { throw .otherProcessor }
    let headers = Headers(file: file, is64Bit: is64Bit)
    guard let entry = headers.word(at: 24), let table = headers.word(at: is64Bit ? 32 : 28),
      let size = file.field(UInt16.self, at: is64Bit ? 54 : 42),
      let count = file.field(UInt16.self, at: is64Bit ? 56 : 44)
    else { throw .truncated }
    guard count > 0, count <= Self.mostSegments, Int(size) >= (is64Bit ? 56 : 32) else {
      throw .notAKernel
    }
    var segments: [Segment] = []
    var noteRanges: [Range<Int>] = []
    var physicalEntry: UInt64?
    for index in 0..<UInt64(count) {
      let header = try headers.program(at: table &+ index * UInt64(size))
      guard header.kind == Self.loadable || header.kind == Self.notes else { continue }
      guard file.part(at: header.offset, length: header.fileSize) != nil else { throw .truncated }
      let content = Int(header.offset)..<Int(header.offset + header.fileSize)
      guard header.kind == Self.loadable else {
        noteRanges.append(content)
        continue
      }
      guard header.memorySize > 0 else { continue }
      guard header.fileSize <= header.memorySize,
        !header.physical.addingReportingOverflow(header.memorySize).overflow
      else { throw .notAKernel }
      segments.append(
        Segment(address: header.physical, size: header.memorySize, content: content))
      // Linux' entry is a physical address; others' are virtual ones.
      if entry &- header.physical < header.memorySize {
        physicalEntry = entry
      } else if physicalEntry == nil, entry &- header.virtual < header.memorySize {
        physicalEntry = header.physical + (entry &- header.virtual)
      }
    }
    guard let physicalEntry else { throw .notAKernel }
    self.segments = segments
    self.entry = physicalEntry
    for range in noteRanges { readNotes(Array(file[range]), is64Bit: is64Bit) }
  }

  private mutating func readNotes(_ bytes: [UInt8], is64Bit: Bool) {
    let physicalEntry: UInt32 = 18
    var at = 0
    for _ in 0..<Self.mostNotes {
      guard let nameSize = bytes.field(UInt32.self, at: at),
        let size = bytes.field(UInt32.self, at: at + 4),
        let kind = bytes.field(UInt32.self, at: at + 8),
        let name = bytes.part(at: UInt64(at + 12), length: UInt64(nameSize))
      else { return }
      let content = at + 12 + (Int(nameSize) + 3) / 4 * 4
      guard bytes.part(at: UInt64(content), length: UInt64(size)) != nil else { return }
      if name.elementsEqual("Linux\0".utf8) { isLinux = true }
      if name.elementsEqual("Xen\0".utf8), kind == physicalEntry {
        let wide = size >= 8 ? bytes.field(UInt64.self, at: content) : nil
        entryPVH = wide ?? bytes.field(UInt32.self, at: content).map { UInt64($0) }
      }
      at = content + (Int(size) + 3) / 4 * 4
    }
  }

  /// The file's headers, whose words are 4 or 8 bytes long.
  private struct Headers {
    struct Program {
      let kind: UInt32
      let offset, virtual, physical, fileSize, memorySize: UInt64
    }

    let file: [UInt8]
    let is64Bit: Bool

    func word(at offset: Int) -> UInt64? {
      is64Bit
        ? file.field(UInt64.self, at: offset)
        : file.field(UInt32.self, at: offset).map { UInt64($0) }
    }

    func program(at place: UInt64) throws(BadKernel) -> Program {
      guard place <= UInt64(file.count) else { throw .truncated }
      let at = Int(place)
      let words = is64Bit ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20]
      guard let kind = file.field(UInt32.self, at: at), let offset = word(at: at + words[0]),
        let virtual = word(at: at + words[1]), let physical = word(at: at + words[2]),
        let fileSize = word(at: at + words[3]), let memorySize = word(at: at + words[4])
      else { throw .truncated }
      return Program(
        kind: kind, offset: offset, virtual: virtual, physical: physical, fileSize: fileSize,
        memorySize: memorySize)
    }
  }
}
