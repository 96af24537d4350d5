/// A size in pixels.
public struct FrameSize: Sendable, Equatable, Codable {
  public var width: Int
  public var height: Int

  public init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }
}

/// A rectangle of pixels; `x` and `y` count from the top left corner.
public struct FrameRect: Sendable, Equatable {
  public var x: Int
  public var y: Int
  public var width: Int
  public var height: Int

  public init(x: Int, y: Int, width: Int, height: Int) {
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }
}

/// A picture in host memory: one 32-bit pixel `0x00RRGGBB` after the other, rows without a gap.
///
/// Not thread safe: one owner at a time.
public final class Frame: @unchecked Sendable {
  // SAFETY: `pixels` holds `capacity` pixels, `size.width * size.height` of which are in use.
  /// The pixels, row by row from the top.
  public private(set) var pixels: UnsafeMutablePointer<UInt32>
  public private(set) var size: FrameSize
  private var capacity: Int

  /// A black picture. A side below 1 or above 16,384 is brought into that range.
  public init(size: FrameSize) {
    self.size = Frame.bounded(size)
    capacity = self.size.width * self.size.height
    pixels = .allocate(capacity: capacity)
    pixels.initialize(repeating: 0, count: capacity)
  }

  deinit { pixels.deallocate() }

  /// Gives the picture another size, and blackens it. Memory is kept where it suffices.
  public func resize(_ newSize: FrameSize) {
    let bounded = Frame.bounded(newSize)
    let needed = bounded.width * bounded.height
    if needed > capacity {
      pixels.deallocate()
      pixels = .allocate(capacity: needed)
      capacity = needed
    }
    pixels.initialize(repeating: 0, count: needed)
    size = bounded
  }

  private static func bounded(_ size: FrameSize) -> FrameSize {
    FrameSize(width: min(max(size.width, 1), 16_384), height: min(max(size.height, 1), 16_384))
  }
}
