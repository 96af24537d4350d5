import KVMEngine

/// Linux' boot parameters, the "zero page" (Linux, Documentation/arch/x86/zero-page.rst).
enum BootParameters {
  static let size = 4096
  /// The set-up header ends here at the latest: what follows is another field.
  static let endOfHeader = 0x290
  private static let mostRanges = 128

  /// Where fields lie.
  private enum Field {
    static let cursorColumn = 0x00
    static let cursorRow = 0x01
    static let extendedKiB = 0x02
    static let videoMode = 0x06
    static let videoColumns = 0x07
    static let videoEGA = 0x0A
    static let videoRows = 0x0E
    static let isVGA = 0x0F
    static let fontHeight = 0x10
    static let alternativeKiB = 0x1E0
    static let rangeCount = 0x1E8
    static let ranges = 0x2D0
  }

  /// What the boot loader fills in.
  struct Values {
    var commandLine: UInt64
    var ramDisk: Range<UInt64>
    var memoryMap: [MemoryRange]
    /// Bytes of RAM from 1 MiB to 4 GiB.
    var extendedBytes: UInt64
    /// The text screen's cursor.
    var cursor: (column: UInt8, row: UInt8)
  }

  /// The page, for a screen in the 80x25 text mode that POST leaves.
  static func page(_ header: SetupHeader, _ values: Values) -> [UInt8] {
    var page = [UInt8](repeating: 0, count: size)
    page.replaceSubrange(
      SetupHeader.start..<(SetupHeader.start + header.bytes.count), with: header.bytes)
    fillHeader(&page, values)
    page[Field.cursorColumn] = values.cursor.column
    page[Field.cursorRow] = values.cursor.row
    page[Field.videoMode] = 3
    page[Field.videoColumns] = 80
    page[Field.videoRows] = 25
    page[Field.isVGA] = 1
    page.setField(UInt16(3), at: Field.videoEGA)  // colour, 256 KiB
    page.setField(UInt16(16), at: Field.fontHeight)
    let kibibytes = values.extendedBytes >> 10
    page.setField(UInt16(truncatingIfNeeded: min(kibibytes, 0xFC00)), at: Field.extendedKiB)
    page.setField(UInt32(truncatingIfNeeded: kibibytes), at: Field.alternativeKiB)
    let map = values.memoryMap.prefix(mostRanges)
    page[Field.rangeCount] = UInt8(truncatingIfNeeded: map.count)
    for (index, range) in map.enumerated() {
      let at = Field.ranges + index * 20
      page.setField(range.start, at: at)
      page.setField(range.length, at: at + 8)
      page.setField(range.kind.rawValue, at: at + 16)
    }
    return page
  }

  /// The fields of the set-up header that are the loader's, in `page` or in the set-up code.
  static func fillHeader(_ page: inout [UInt8], _ values: Values) {
    typealias Field = SetupHeader.Field
    page.setField(SetupHeader.unknownLoader, at: Field.loaderType)
    let size = values.ramDisk.upperBound - values.ramDisk.lowerBound
    page.setField(UInt32(truncatingIfNeeded: size), at: Field.ramDiskSize)
    page.setField(
      size == 0 ? 0 : UInt32(truncatingIfNeeded: values.ramDisk.lowerBound),
      at: Field.ramDiskAddress)
    page.setField(UInt32(truncatingIfNeeded: values.commandLine), at: Field.commandLine)
  }
}
