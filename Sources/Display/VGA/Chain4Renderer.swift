/// Expands lines of the 256-colour modes: the bytes of the four planes in turn are pixels, in mode 13h
/// (chain 4) as in its planar relatives (IBM VGA Technical Reference, "256-Color Mode").
///
/// The DAC index is the byte itself; the internal palette, which the VGA BIOS leaves as it is in these
/// modes, is not applied to its halves.
struct Chain4Renderer {
  let mode: PlanarMode
  let memory: VideoMemory

  /// Writes four pixels for each of `count` words from `address` on.
  func expand(
    _ address: Int, _ line: Int, _ count: Int, _ palette: [UInt32],
    _ row: UnsafeMutablePointer<UInt32>
  ) {
    palette.withUnsafeBufferPointer { palette in
      for word in 0..<count {
        let planes = memory.word(
          mode.addressing.offset(address &+ word, line: line) & mode.offsetMask)
        let target = row + word &* 4
        target[0] = palette[Int(planes & 0xFF)]
        target[1] = palette[Int(planes &>> 8 & 0xFF)]
        target[2] = palette[Int(planes &>> 16 & 0xFF)]
        target[3] = palette[Int(planes &>> 24)]
      }
    }
  }
}
