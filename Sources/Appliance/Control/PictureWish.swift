import Display

/// What of the picture a screenshot shows, and how large.
struct PictureWish: Equatable, Sendable {
  /// x, y, width and height in pixels; nil for all of it.
  var region: [Int]?
  /// How many times as large; nil for as it is.
  var scale: Double?

  /// The scales that there are.
  static let scales = 0.01...16.0
  /// The largest picture: 256 MiB of pixels.
  private static let mostPixels = 67_108_864.0

  /// The part of `frame` that is wished for, in its size.
  func applied(to frame: Frame) throws -> Frame {
    var frame = frame
    if let region {
      guard region.count == 4, region[2] > 0, region[3] > 0 else {
        throw Complaint("a region is X,Y,WIDTH,HEIGHT, and not empty")
      }
      let rect = FrameRect(x: region[0], y: region[1], width: region[2], height: region[3])
      guard let part = frame.cropped(to: rect) else {
        throw Complaint(
          "nothing of the region is on the screen, which has \(frame.size.width)x"
            + "\(frame.size.height) pixels")
      }
      frame = part
    }
    guard let scale else { return frame }
    guard Self.scales.contains(scale) else {
      throw Complaint("a scale lies between 0.01 and 16")
    }
    guard Double(frame.size.width) * Double(frame.size.height) * scale * scale <= Self.mostPixels
    else { throw Complaint("a picture of that size would be too large; take a smaller scale") }
    return frame.scaled(by: scale)
  }
}

/// What is known of a screenshot.
struct PictureFacts: Codable, Equatable, Sendable {
  /// Its size in pixels.
  var width: Int
  var height: Int
  /// Counts the changes of the screen that were noticed.
  var sequence: UInt64
  /// The machine's clock, in nanoseconds.
  var time: UInt64
  /// How long before that the last change was noticed, in nanoseconds.
  var damageAge: UInt64
}
