/// The volume descriptors of an ISO 9660 image (ECMA-119, section 8), as far as booting needs them.
public struct ISO9660: Sendable, Equatable {
  /// The volume's size in blocks of 2048 bytes as its primary descriptor gives it; 0 where it has
  /// no primary descriptor.
  public private(set) var blockCount: UInt32 = 0
  /// The volume's name, without trailing spaces.
  public private(set) var name = ""
  /// Where the boot catalog lies (El Torito 1.0, figure 7), nil without a boot record.
  public private(set) var bootCatalog: UInt32?

  /// Descriptors start at block 16 (ECMA-119, 6.2.1).
  private static let firstDescriptor: UInt64 = 16
  /// More descriptors than any image has: a set without its terminator ends here.
  private static let maximumDescriptors: UInt64 = 64

  /// The identifier in a boot record of El Torito, padded with zeroes.
  private static let elTorito = Array("EL TORITO SPECIFICATION".utf8)

  /// Reads the descriptors of `image`.
  /// - Parameter path: for the error's text.
  /// - Throws: ``ImageError`` `.notISO9660` where there are none.
  public init(_ image: any BlockImage, path: String) throws(ImageError) {
    var found = false
    for index in 0..<Self.maximumDescriptors {
      guard let block = try image.cdBlock(Self.firstDescriptor + index),
        block[1...5].elementsEqual("CD001".utf8), block[0] != 255
      else { break }
      found = true
      take(block)
    }
    guard found else {
      throw ImageError(path, .notISO9660, "\(path) is not a CD image: it has no ISO 9660 volume")
    }
  }

  private mutating func take(_ block: [UInt8]) {
    switch block[0] {
    case 0 where bootCatalog == nil && block[7..<30].elementsEqual(Self.elTorito):
      bootCatalog = block.little32(0x47)
    case 1 where blockCount == 0:
      blockCount = block.little32(80)
      let text = String(decoding: block[40..<72].prefix { $0 >= 0x20 && $0 < 0x7F }, as: UTF8.self)
      name = String(text.reversed().drop { $0 == " " }.reversed())
    default:
      break
    }
  }
}

extension BlockImage {
  /// The 2048 bytes of CD block `number`, nil beyond the end.
  func cdBlock(_ number: UInt64) throws(ImageError) -> [UInt8]? {
    let (first, overflow) = number.multipliedReportingOverflow(by: Sector.perCDBlock)
    let count = Int(Sector.perCDBlock)
    guard !overflow, holds(sector: first, count: count) else { return nil }
    return try bytes(sector: first, count: count)
  }
}
