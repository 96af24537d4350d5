import Display

/// The screen that a kernel finds: linear, or text.
struct BootScreen: Sendable, Equatable {
  var address: UInt64
  /// Bytes from one row to the next.
  var pitch: UInt32
  /// Pixels, or characters.
  var width: UInt32
  var height: UInt32
  var depth: UInt8
  var isText: Bool

  /// The text mode that POST leaves.
  static let text = BootScreen(
    address: 0xB8000, pitch: 160, width: 80, height: 25, depth: 16, isText: true)

  /// Address, pitch, width, height, depth and kind as Multiboot has them in both versions.
  var geometry: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(field: address)
    bytes.append(field: pitch)
    bytes.append(field: width)
    bytes.append(field: height)
    bytes.append(field: depth)
    bytes.append(isText ? 2 : 1)
    return bytes
  }

  /// Position and size of red, green and blue in a pixel; nothing for text.
  var colors: [UInt8] {
    if isText { return [] }
    return switch depth {
    case 15: [10, 5, 5, 5, 0, 5]
    case 16: [11, 5, 5, 6, 0, 5]
    default: [16, 8, 8, 8, 0, 8]
    }
  }

  private static let usual: (width: UInt32, height: UInt32) = (1024, 768)
  private static let depths: [UInt32] = [15, 16, 24, 32]

  /// Makes `video` show what `wanted` asks for: the very size where the adapter has it, the depth
  /// where it is one of colours.
  /// - Returns: nil where nothing changed.
  static func show(_ wanted: MultibootHeader.Screen, on video: VideoAdapter) -> BootScreen? {
    guard !wanted.isText else { return nil }
    func limited(_ size: UInt32, _ usual: UInt32, _ limit: Int) -> UInt32 {
      size == 0 ? usual : min(max(size, 64), UInt32(limit))
    }
    let width = limited(wanted.width, usual.width, VideoAdapter.maximumSize.width) & ~7
    let height = limited(wanted.height, usual.height, VideoAdapter.maximumSize.height)
    let depth = depths.contains(wanted.depth) ? wanted.depth : 32
    guard let address = video.linearAddress,
      video.dispiMode(
        width: Int(width), height: Int(height), bpp: Int(depth), linear: true, clear: true)
    else { return nil }
    return BootScreen(
      address: address, pitch: width * ((depth + 7) / 8), width: width, height: height,
      depth: UInt8(depth), isText: false)
  }
}
