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

/// The memory of a ``Frame``. It stays readable for whoever holds it, also after its frame was given
/// another size.
public final class FrameMemory: @unchecked Sendable {
  // SAFETY: `pixels` holds `capacity` initialised pixels from `init` to `deinit`. The frame's owner
  // writes them while others may read; readers take torn pictures for what they are.
  public let pixels: UnsafeMutablePointer<UInt32>
  /// Pixels that there is room for.
  public let capacity: Int

  fileprivate init(capacity: Int) {
    self.capacity = capacity
    pixels = .allocate(capacity: capacity)
    pixels.initialize(repeating: 0, count: capacity)
  }

  deinit { pixels.deallocate() }
}

/// A picture in host memory: one 32-bit pixel `0x00RRGGBB` after the other, rows without a gap.
///
/// Not thread safe: one owner at a time. Others may read ``memory`` meanwhile.
public final class Frame: @unchecked Sendable {
  // SAFETY: `pixels` are those of `memory`, `size.width * size.height` of which are in use.
  /// The pixels, row by row from the top.
  public private(set) var pixels: UnsafeMutablePointer<UInt32>
  public private(set) var size: FrameSize
  /// Where ``pixels`` lie.
  public private(set) var memory: FrameMemory

  /// A black picture. A side below 1 or above 16,384 is brought into that range.
  public init(size: FrameSize) {
    self.size = Frame.bounded(size)
    memory = FrameMemory(capacity: self.size.width * self.size.height)
    pixels = memory.pixels
  }

  /// Gives the picture another size, and blackens it. Memory is kept where it suffices, is not far
  /// too much, and nobody else reads it.
  public func resize(_ newSize: FrameSize) {
    let bounded = Frame.bounded(newSize)
    let needed = bounded.width * bounded.height
    let fits = needed <= memory.capacity && needed >= memory.capacity / 8
    if fits && isKnownUniquelyReferenced(&memory) {
      pixels.update(repeating: 0, count: needed)
    } else {
      memory = FrameMemory(capacity: needed)
      pixels = memory.pixels
    }
    size = bounded
  }

  private static func bounded(_ size: FrameSize) -> FrameSize {
    FrameSize(width: min(max(size.width, 1), 16_384), height: min(max(size.height, 1), 16_384))
  }
}
