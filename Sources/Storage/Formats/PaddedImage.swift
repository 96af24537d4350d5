/// An image with zeroes behind it, up to the size that a medium of its kind has. They can't be
/// written.
final class PaddedImage: BlockImage {
  private let image: any BlockImage
  let sectorCount: UInt64
  var isReadOnly: Bool { image.isReadOnly }

  init(_ image: any BlockImage, sectorCount: UInt64) {
    self.image = image
    self.sectorCount = max(sectorCount, image.sectorCount)
  }

  func read(
    sector: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    guard holds(sector: sector, count: count), buffer.count >= count * Sector.bytes else {
      throw ImageError.outOfRange("the image", sector: sector, count: count)
    }
    let there = sector < image.sectorCount ? Int(min(UInt64(count), image.sectorCount - sector)) : 0
    if there > 0 {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(there * Sector.bytes)])
      try image.read(sector: sector, count: there, into: part)
    }
    let rest = buffer[(there * Sector.bytes)..<(count * Sector.bytes)]
    UnsafeMutableRawBufferPointer(rebasing: rest).initializeMemory(as: UInt8.self, repeating: 0)
  }

  func write(sector: UInt64, count: Int, from buffer: UnsafeRawBufferPointer) throws(ImageError) {
    try image.write(sector: sector, count: count, from: buffer)
  }

  func flush() throws(ImageError) { try image.flush() }
}
