import CUnpack

/// How a kernel is packed inside its bzImage.
enum KernelPayload: CaseIterable {
  case gzip, xz, lzma, zstd, lz4, bzip2

  /// Bytes that a payload of this kind begins with.
  private var magic: [UInt8] {
    switch self {
    case .gzip: [0x1F, 0x8B]
    case .xz: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]
    case .lzma: [0x5D, 0x00, 0x00]
    case .zstd: [0x28, 0xB5, 0x2F, 0xFD]
    case .lz4: [0x02, 0x21, 0x4C, 0x18]
    case .bzip2: [0x42, 0x5A, 0x68]
    }
  }

  /// No kernel is larger, bytes.
  private static let mostBytes = 1 << 30
  /// The unpacked size stands behind the payload, and belongs to it: in gzip's format by itself, and
  /// for the others because the kernel's build appends it (Linux, scripts/Makefile.lib, "size_append").
  private static let sizeBytes = 4

  /// Unpacks `payload`; nil where it is packed in a way unknown here, or damaged.
  static func unpack(_ payload: ArraySlice<UInt8>) -> [UInt8]? {
    guard let kind = allCases.first(where: { payload.starts(with: $0.magic) }),
      payload.count > sizeBytes,
      let size = [UInt8](payload.suffix(sizeBytes)).field(UInt32.self, at: 0), size > 0,
      size <= mostBytes
    else { return nil }
    let packed = kind == .gzip ? payload : payload.dropLast(sizeBytes)
    let bytes = [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
      let done = packed.withUnsafeBufferPointer { kind.unpack($0, into: buffer) }
      count = Int(max(done, 0))
    }
    return bytes.count == Int(size) ? bytes : nil
  }

  /// What is in a file that gzip packed as a whole; nil where it is none, or damaged.
  static func unpackGzip(_ file: [UInt8]) -> [UInt8]? {
    file.starts(with: gzip.magic) ? unpack(file[...]) : nil
  }

  private func unpack(
    _ packed: UnsafeBufferPointer<UInt8>, into room: UnsafeMutableBufferPointer<UInt8>
  ) -> Int64 {
    let (from, size, to, space) = (packed.baseAddress, packed.count, room.baseAddress, room.count)
    switch self {
    case .gzip: return cunpack_gzip(from, size, to, space)
    case .xz: return cunpack_xz(from, size, to, space)
    case .lzma: return cunpack_lzma(from, size, to, space)
    case .zstd: return cunpack_zstd(from, size, to, space)
    case .lz4: return cunpack_lz4(from, size, to, space)
    case .bzip2: return cunpack_bzip2(from, size, to, space)
    }
  }
}
