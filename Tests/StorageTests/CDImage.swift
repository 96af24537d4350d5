import Storage

/// A CD image made by hand, block by block.
struct CDImage {
  var data = [UInt8](repeating: 0, count: 40 * 2048)

  static let catalogBlock = 19
  static let imageBlock = 20

  /// A volume with a boot record, a catalog and a no-emulation entry of four sectors.
  init(media: UInt8 = 0, platform: UInt8 = 0, bootRecord: Bool = true) {
    put(16 * 2048, [1] + Array("CD001".utf8) + [1])
    put(16 * 2048 + 40, Array("PORTHOLE".utf8) + [UInt8](repeating: 0x20, count: 24))
    put(16 * 2048 + 80, little32(data.count / 2048))
    if bootRecord {
      put(17 * 2048, [0] + Array("CD001".utf8) + [1] + Array("EL TORITO SPECIFICATION".utf8))
      put(17 * 2048 + 0x47, little32(Self.catalogBlock))
    }
    put((bootRecord ? 18 : 17) * 2048, [255] + Array("CD001".utf8) + [1])
    putRecord(0, [1, platform])
    put(Self.catalogBlock * 2048 + 30, [0x55, 0xAA])
    fixChecksum()
    putRecord(1, [0x88, media, 0, 0, 0, 0] + little16(4) + little32(Self.imageBlock))
    put(Self.imageBlock * 2048, [UInt8](repeating: 0xF4, count: 2048))
  }

  mutating func put(_ at: Int, _ part: [UInt8]) {
    data.replaceSubrange(at..<(at + part.count), with: part)
  }

  /// Puts record `index` of the catalog.
  mutating func putRecord(_ index: Int, _ record: [UInt8]) {
    put(Self.catalogBlock * 2048 + index * 32, record)
  }

  mutating func fixChecksum() {
    let at = Self.catalogBlock * 2048
    put(at + 28, [0, 0])
    var sum = 0
    for word in 0..<16 { sum += Int(data[at + word * 2]) | Int(data[at + word * 2 + 1]) << 8 }
    put(at + 28, little16(-sum))
  }
}
