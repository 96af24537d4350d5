/// An image whose writes are answered when they are on the storage.
final class WritethroughImage: StoredImage {
  private let image: any StoredImage

  init(_ image: any StoredImage) { self.image = image }

  var path: String { image.path }
  var format: ImageFormat { image.format }
  var byteCount: UInt64 { image.byteCount }
  var backing: (any StoredImage)? { image.backing }
  var sectorCount: UInt64 { image.sectorCount }
  var isReadOnly: Bool { image.isReadOnly }
  var givesRoomBack: Bool { image.givesRoomBack }

  func read(
    sector: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    try image.read(sector: sector, count: count, into: buffer)
  }

  func write(sector: UInt64, count: Int, from buffer: UnsafeRawBufferPointer) throws(ImageError) {
    try image.write(sector: sector, count: count, from: buffer)
    try image.flush()
  }

  func flush() throws(ImageError) { try image.flush() }

  func zero(sector: UInt64, count: UInt64) throws(ImageError) {
    try image.zero(sector: sector, count: count)
    try image.flush()
  }

  func resize(to byteCount: UInt64) throws(ImageError) { try image.resize(to: byteCount) }

  func extent(sector: UInt64, limit: UInt64) throws(ImageError) -> ImageExtent {
    try image.extent(sector: sector, limit: limit)
  }
}
