import Glibc

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

  /// How many pixels it has.
  var area: Int { width * height }
}

/// A part of the picture that moved: what is in `to` now lay `dx` pixels to the left of it and `dy`
/// above before. Both places lie in the picture, and may overlap.
public struct FrameCopy: Sendable, Equatable {
  public var to: FrameRect
  public var dx: Int
  public var dy: Int

  public init(to: FrameRect, dx: Int, dy: Int) {
    self.to = to
    self.dx = dx
    self.dy = dy
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

  /// A number by which pictures of the same size can be told apart.
  public var digest: UInt64 {
    var sums: (UInt64, UInt64) = (0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F)
    let count = size.width * size.height
    // Two chains, so that one multiplication need not wait for the other.
    var index = 0
    while index + 4 <= count {
      let first = UInt64(pixels[index]) | UInt64(pixels[index + 1]) << 32
      let second = UInt64(pixels[index + 2]) | UInt64(pixels[index + 3]) << 32
      sums.0 = (sums.0 ^ first) &* 0xFF51_AFD7_ED55_8CCD
      sums.0 ^= sums.0 >> 32
      sums.1 = (sums.1 ^ second) &* 0xC4CE_B9FE_1A85_EC53
      sums.1 ^= sums.1 >> 32
      index += 4
    }
    while index < count {
      sums.0 = (sums.0 ^ UInt64(pixels[index])) &* 0xFF51_AFD7_ED55_8CCD
      sums.0 ^= sums.0 >> 32
      index += 1
    }
    return sums.0 ^ sums.1 &* 0x9E37_79B9_7F4A_7C15
  }

  /// Moves a part of the picture.
  func apply(_ copy: FrameCopy) {
    let to = copy.to
    // SAFETY: nothing is done where source or target leave the picture.
    guard to.x >= 0, to.y >= 0, to.x - copy.dx >= 0, to.y - copy.dy >= 0,
      to.x + max(0, -copy.dx) <= size.width - to.width,
      to.y + max(0, -copy.dy) <= size.height - to.height
    else { return }
    for index in 0..<max(0, to.height) {
      // In an order in which no row is overwritten before it was moved.
      let y = to.y + (copy.dy > 0 ? to.height - 1 - index : index)
      memmove(
        pixels + y * size.width + to.x, pixels + (y - copy.dy) * size.width + to.x - copy.dx,
        max(0, to.width) * 4)
    }
  }

  private static func bounded(_ size: FrameSize) -> FrameSize {
    FrameSize(width: min(max(size.width, 1), 16_384), height: min(max(size.height, 1), 16_384))
  }
}
