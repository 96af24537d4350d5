import CUnpack

/// Fills a new qcow2 image with compressed clusters.
struct ClusterPacker {
  private let target: QCOW2Image
  private let clusterBytes: Int
  private let isZstd: Bool

  init(_ target: QCOW2Image, _ header: QCOW2Header) {
    self.target = target
    clusterBytes = header.clusterBytes
    isZstd = header.compression == .zstd
  }

  /// Copies `image`; clusters that are zeroes are left out, and those that do not become smaller
  /// are stored as they are.
  func copy(_ image: any StoredImage, _ progress: ImageCopy.Progress) throws(ImageError) {
    let buffer = ImageBuffer()
    let block = UInt64(clusterBytes / 512)
    let total = image.sectorCount
    var packed = [UInt8](repeating: 0, count: clusterBytes)
    var sector: UInt64 = 0
    while sector < total {
      let extent = try image.resolve(sector: sector, limit: total - sector)
      if extent.kind == .zero && extent.count >= block {
        sector += extent.count / block * block
      } else {
        let bytes = try load(image, sector, buffer)
        if !bytes.isZero { try store(bytes, at: sector, &packed) }
        sector += block
      }
      progress(min(sector, total) * 512, total * 512)
    }
    try target.flush()
  }

  /// One cluster, zeroes behind the image's end.
  private func load(
    _ image: any StoredImage, _ sector: UInt64, _ buffer: ImageBuffer
  ) throws(ImageError) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      try buffer.load(image, sector: sector, count: UInt64(clusterBytes / 512)))
  }

  private func store(
    _ bytes: UnsafeRawBufferPointer, at sector: UInt64, _ packed: inout [UInt8]
  ) throws(ImageError) {
    let source = bytes.bindMemory(to: UInt8.self).baseAddress
    // A cluster that is not smaller than this saves nothing.
    let room = clusterBytes - 512
    let count =
      isZstd
      ? cunpack_pack_zstd(source, clusterBytes, &packed, room)
      : cunpack_pack_deflate(source, clusterBytes, &packed, room)
    guard count > 0 else {
      let left = min(UInt64(clusterBytes / 512), target.sectorCount - sector)
      return try target.write(sector: sector, count: Int(left), from: bytes)
    }
    let data = Array(packed[..<Int(count)])
    try target.locked { volume throws(ImageError) in
      try volume.writeCompressed(data, cluster: (sector * 512) >> volume.clusterBits)
    }
  }
}
