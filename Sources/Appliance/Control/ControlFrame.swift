import Display

/// Pictures on the control socket: rows without a gap, a pixel is blue, green, red and a byte that
/// says nothing.
extension ControlFrame {
  init(_ frame: Frame) {
    self.init(
      width: frame.size.width, height: frame.size.height,
      mark: String(frame.digest, radix: 16) + "-\(frame.size.width)x\(frame.size.height)")
  }

  /// The body that goes with a frame.
  static func pixels(of frame: Frame) -> [UInt8] {
    // SAFETY: the frame owns width * height pixels at `pixels`.
    let pixels = UnsafeBufferPointer(
      start: frame.pixels, count: frame.size.width * frame.size.height)
    return Array(UnsafeRawBufferPointer(pixels))
  }

  /// The frame that a body holds; nil where it is not of this size.
  func frame(_ body: [UInt8]) -> Frame? {
    guard (1...16_384).contains(width), (1...16_384).contains(height),
      body.count == width * height * 4
    else { return nil }
    let frame = Frame(size: FrameSize(width: width, height: height))
    body.withUnsafeBytes { bytes in
      UnsafeMutableRawBufferPointer(
        start: frame.pixels, count: bytes.count
      ).copyMemory(from: bytes)
    }
    return frame
  }
}
