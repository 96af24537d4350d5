/// The setup header of a Linux kernel: what it tells its boot loader, and what that tells the kernel
/// (Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
struct SetupHeader: Sendable, Equatable {
  /// Where fields lie in the image's first sectors, and in the boot parameters too.
  enum Field {
    static let setupSectors = 0x1F1
    static let protectedParagraphs = 0x1F4
    static let bootFlag = 0x1FE
    static let jumpDistance = 0x201
    static let signature = 0x202
    static let version = 0x206
    static let loaderType = 0x210
    static let loadFlags = 0x211
    static let code32Start = 0x214
    static let ramDiskAddress = 0x218
    static let ramDiskSize = 0x21C
    static let heapEnd = 0x224
    static let commandLine = 0x228
    static let ramDiskLimit = 0x22C
    static let alignment = 0x230
    static let relocatable = 0x234
    static let extendedLoadFlags = 0x236
    static let commandLineSize = 0x238
    static let payloadOffset = 0x248
    static let payloadLength = 0x24C
    static let preferredAddress = 0x258
    static let initSize = 0x260
  }

  /// Bits of the load flags.
  enum LoadFlags {
    static let loadedHigh: UInt8 = 0x01
    static let canUseHeap: UInt8 = 0x80
  }

  static let start = Field.setupSectors
  /// `HdrS`.
  static let signature: UInt32 = 0x5372_6448
  /// What a loader without a number of its own is called.
  static let unknownLoader: UInt8 = 0xFF
  /// Where later versions say that the RAM disk may end at most.
  private static let oldRAMDiskLimit: UInt32 = 0x37FF_FFFF
  /// 2.06 came with longer command lines and the entry without BIOS.
  private static let flatEntryVersion: UInt16 = 0x0206

  /// The header's bytes from offset 1F1h on.
  let bytes: [UInt8]
  let version: UInt16
  let isLoadedHigh: Bool
  let code32Start: UInt64
  /// The last byte that the RAM disk may have.
  let ramDiskLimit: UInt64
  let alignment: UInt64
  let isRelocatable: Bool
  /// Whether there is a 64-bit entry 200h bytes into the protected-mode code.
  let hasEntry64: Bool
  /// The longest command line, without the zero at its end.
  let commandLineSize: Int
  let preferredAddress: UInt64
  /// Bytes of memory that the kernel needs from its address on before it reads the memory map.
  let initSize: UInt64
  /// The packed kernel within the protected-mode code.
  let payload: (offset: UInt64, length: UInt64)

  /// Whether the kernel can be entered in flat protected mode, with the boot parameters made here.
  var hasFlatEntry: Bool { version >= Self.flatEntryVersion }

  /// The header of an image whose first sectors are `image`; nil where there is none.
  init?(_ image: [UInt8]) {
    guard image.field(UInt16.self, at: Field.bootFlag) == 0xAA55,
      image.field(UInt32.self, at: Field.signature) == Self.signature,
      let version = image.field(UInt16.self, at: Field.version),
      let distance = image.field(UInt8.self, at: Field.jumpDistance)
    else { return nil }
    let end = min(Field.signature + Int(distance), image.count, BootParameters.endOfHeader)
    guard end > Field.ramDiskLimit else { return nil }
    let header = Array(image[..<end])
    func value<Value: FixedWidthInteger & UnsignedInteger>(
      _ offset: Int, since: UInt16, or missing: Value
    ) -> Value {
      version >= since ? header.field(Value.self, at: offset) ?? missing : missing
    }
    self.version = version
    bytes = Array(header[Self.start...])
    isLoadedHigh = header[Field.loadFlags] & LoadFlags.loadedHigh != 0
    code32Start = UInt64(value(Field.code32Start, since: 0x0200, or: UInt32(0x0010_0000)))
    ramDiskLimit = UInt64(value(Field.ramDiskLimit, since: 0x0203, or: Self.oldRAMDiskLimit))
    alignment = UInt64(value(Field.alignment, since: 0x0205, or: UInt32(0x0010_0000)))
    isRelocatable = value(Field.relocatable, since: 0x0205, or: UInt8(0)) != 0
    hasEntry64 = value(Field.extendedLoadFlags, since: 0x020C, or: UInt16(0)) & 1 != 0
    commandLineSize = Int(value(Field.commandLineSize, since: 0x0206, or: UInt32(255)))
    preferredAddress = value(Field.preferredAddress, since: 0x020A, or: UInt64(0x0010_0000))
    initSize = UInt64(value(Field.initSize, since: 0x020A, or: UInt32(0)))
    payload = (
      UInt64(value(Field.payloadOffset, since: 0x0208, or: UInt32(0))),
      UInt64(value(Field.payloadLength, since: 0x0208, or: UInt32(0)))
    )
  }

  /// The header that the build of an uncompressed kernel has lost: of the newest protocol that is
  /// known here.
  static let forUncompressed: SetupHeader? = {
    var image = [UInt8](repeating: 0, count: 0x26C)
    image.setField(UInt16(0xAA55), at: Field.bootFlag)
    image.setField(UInt8(0x6A), at: Field.jumpDistance)
    image.setField(signature, at: Field.signature)
    image.setField(UInt16(0x020F), at: Field.version)
    image.setField(LoadFlags.loadedHigh, at: Field.loadFlags)
    image.setField(UInt32(0x0010_0000), at: Field.code32Start)
    image.setField(UInt32(0x7FFF_FFFF), at: Field.ramDiskLimit)
    image.setField(UInt32(0x0020_0000), at: Field.alignment)
    image.setField(UInt32(2047), at: Field.commandLineSize)
    return SetupHeader(image)
  }()

  static func == (one: SetupHeader, other: SetupHeader) -> Bool { one.bytes == other.bytes }
}
