/// The 256 words of IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-6, 8.15 and 8.16).
struct ATAIdentity {
  private var words = [UInt16](repeating: 0, count: 256)

  /// The words as the data port gives them.
  var bytes: [UInt8] {
    words.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
  }

  /// Sectors of a DRQ block of READ MULTIPLE at most.
  static let maximumMultiple: UInt8 = 16
  /// Ultra DMA modes 0 to 5.
  private static let ultraModes: UInt16 = 0x3F
  private static let multiwordModes: UInt16 = 0x07
  /// ATA-1 to ATA/ATAPI-6; the last revision's number.
  private static let majorVersions: UInt16 = 0x7E
  private static let minorVersion: UInt16 = 0x22
  private static let cacheBytes: UInt16 = 512

  /// A hard disk's.
  init(_ disk: ATADisk, _ state: IDEDeviceState, isSecond: Bool) {
    words[0] = 0x0040
    words[1] = disk.cylinders(heads: disk.heads, sectors: disk.sectors)
    words[3] = UInt16(disk.heads)
    words[6] = UInt16(disk.sectors)
    words[20] = 3
    words[21] = Self.cacheBytes
    words[22] = 4
    setNames(serial: disk.serial, model: "PORTHOLE HARDDISK")
    words[47] = 0x8000 | UInt16(Self.maximumMultiple)
    words[48] = 1
    setModes(state, isSecond: isSecond)
    words[51] = 0x0200
    words[52] = 0x0200
    words[53] = 7
    setCurrentGeometry(ATATranslation(state, disk))
    if state.multiple > 0 { words[59] = 0x0100 | UInt16(state.multiple) }
    set32(60, disk.sectorCount28)
    setCommandSets(state)
    if disk.trimmed != nil { setTrim() }
    set32(100, disk.sectorCount)
    set32(102, disk.sectorCount >> 32)
    setChecksum()
  }

  /// A CD drive's.
  init(packet state: IDEDeviceState, serial: String, isSecond: Bool) {
    // A CD-ROM drive with removable medium that asks for the packet within 50 µs; 12-byte packets.
    words[0] = 0x85C0
    setNames(serial: serial, model: "PORTHOLE CD-ROM")
    setModes(state, isSecond: isSecond)
    words[53] = 6
    words[71] = 30
    words[72] = 30
    // PACKET, DEVICE RESET, power management.
    words[82] = 0x0218
    words[83] = 0x4000
    words[84] = 0x4000
    words[85] = words[82]
    words[87] = words[84]
    setChecksum()
  }

  private mutating func setNames(serial: String, model: String) {
    set(10, serial, words: 10)
    set(23, "1.0", words: 4)
    set(27, model, words: 20)
  }

  /// Capabilities, DMA and PIO modes, cable, standards.
  private mutating func setModes(_ state: IDEDeviceState, isSecond: Bool) {
    words[49] = 0x0F00
    words[50] = 0x4000
    let mode = state.transferMode
    words[63] = Self.multiwordModes | Self.selected(mode, family: 0x20)
    words[64] = 3
    for index in 65...68 { words[index] = 120 }
    words[80] = Self.majorVersions
    words[81] = Self.minorVersion
    words[88] = Self.ultraModes | Self.selected(mode, family: 0x40)
    // CBLID- seen above VIH: an 80-conductor cable; jumpers tell the device its number.
    words[93] = isSecond ? 0x6300 : 0x6003
  }

  private static func selected(_ mode: UInt8, family: UInt8) -> UInt16 {
    mode & 0xF8 == family ? 0x0100 << UInt16(mode & 7) : 0
  }

  private mutating func setCurrentGeometry(_ translation: ATATranslation) {
    words[54] = translation.cylinders
    words[55] = UInt16(translation.heads)
    words[56] = UInt16(translation.sectors)
    set32(
      57, UInt64(translation.cylinders) * UInt64(translation.heads) * UInt64(translation.sectors))
  }

  private mutating func setCommandSets(_ state: IDEDeviceState) {
    // NOP, look-ahead, write cache, power management, SMART.
    words[82] = 0x4069
    // FLUSH CACHE EXT, FLUSH CACHE, 48 bits.
    words[83] = 0x7400
    words[84] = 0x4000
    words[85] =
      0x4008 | (state.smart ? 1 : 0) | (state.writeCache ? 0x20 : 0) | (state.lookAhead ? 0x40 : 0)
    words[86] = 0x3400
    words[87] = 0x4000
  }

  /// TRIM is a command of ACS-2 (T13/2015-D); what was trimmed reads as zeroes (ACS-3, 7.12.7.33,
  /// 7.12.7.50 and 7.12.7.88).
  private mutating func setTrim() {
    // No trusted computing, which that bit of ATA-2's 32-bit accesses has become.
    words[48] = 0x4000
    words[69] = 0x4020
    words[80] |= 0x0380
    words[81] = 0x0110
    words[105] = TrimRanges.maximumBlocks
    words[169] = 1
  }

  /// ASCII text, padded with blanks, the first character of each word in its high byte.
  private mutating func set(_ index: Int, _ text: String, words count: Int) {
    let letters = Array(text.utf8.prefix(count * 2))
    for at in 0..<(count * 2) {
      let letter = UInt16(at < letters.count ? letters[at] : 0x20)
      words[index + at / 2] |= at % 2 == 0 ? letter << 8 : letter
    }
  }

  private mutating func set32(_ index: Int, _ value: UInt64) {
    words[index] = UInt16(truncatingIfNeeded: value)
    words[index + 1] = UInt16(truncatingIfNeeded: value >> 16)
  }

  /// Word 255: A5h and what makes all bytes together zero.
  private mutating func setChecksum() {
    words[255] = 0x00A5
    let sum = bytes.reduce(UInt8(0)) { $0 &+ $1 }
    words[255] |= UInt16(0 &- sum) << 8
  }
}
