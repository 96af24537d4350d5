import CUnpack
import Glibc

/// Compresses clusters for a new qcow2 image.
struct ClusterPacker: Sendable {
  let clusterBytes: Int
  let isZstd: Bool

  /// Threads that compress: as many as the host has processors, in these bounds. A busy host shares
  /// its processors among threads.
  private static let fewest = 4
  private static let most = 8
  static var threads: Int { min(most, max(fewest, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

  init(_ header: QCOW2Header) {
    clusterBytes = header.clusterBytes
    isZstd = header.compression == .zstd
  }

  /// Packs the clusters of `piece`, which holds whole ones. Those that are zeroes are left out, and
  /// those that do not become smaller stay as they are.
  func pack(_ piece: CopyPiece) {
    for run in piece.loaded {
      let bytes = piece.bytes(of: run)
      for start in stride(from: 0, to: run.place.count, by: clusterBytes) {
        let cluster = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + clusterBytes)])
        guard !cluster.isZero else { continue }
        let at = run.place.lowerBound + start
        let count = pack(
          cluster,
          into: UnsafeMutableRawBufferPointer(rebasing: piece.packed[at..<(at + clusterBytes)])
        )
        piece.found.append(
          CopyPiece.Run(
            sector: run.sector + UInt64(start / Sector.bytes),
            place: at..<(at + (count ?? clusterBytes)), isPacked: count != nil))
      }
    }
  }

  /// - Returns: how many bytes came out; nil where that saves nothing.
  private func pack(
    _ cluster: UnsafeRawBufferPointer, into packed: UnsafeMutableRawBufferPointer
  ) -> Int? {
    let source = cluster.bindMemory(to: UInt8.self).baseAddress
    let target = packed.bindMemory(to: UInt8.self).baseAddress
    let room = clusterBytes - Sector.bytes
    let count =
      isZstd
      ? cunpack_pack_zstd(source, clusterBytes, target, room)
      : cunpack_pack_deflate(source, clusterBytes, target, room)
    return count > 0 ? Int(count) : nil
  }
}
