import Display
import Glibc
import Testing

/// Pictures that guests are known to draw, as PNG files beside the tests.
enum Golden {
  /// Fails the test unless `frame` is the picture `name`, to the pixel. What was drawn, and where it
  /// differs in red, is kept in /tmp then.
  ///
  /// With GOLDEN_UPDATE set the picture is written instead.
  static func expect(
    _ frame: Frame, _ name: String, at location: SourceLocation = #_sourceLocation
  ) throws {
    let path = String(#filePath.dropLast("Golden.swift".count)) + "Golden/\(name).png"
    if getenv("GOLDEN_UPDATE") != nil {
      try PNGImage.write(frame, to: path, level: 9)
      return
    }
    let golden = try PNGImage.read(path)
    guard golden.size == frame.size else {
      Issue.record(
        "\(name) is \(frame.size), the golden picture \(golden.size)", sourceLocation: location)
      return
    }
    let difference = Frame(size: frame.size)
    var count = 0
    for index in 0..<(frame.size.width * frame.size.height)
    where golden.pixels[index] != frame.pixels[index] {
      difference.pixels[index] = 0xFF0000
      count += 1
    }
    guard count > 0 else { return }
    try PNGImage.write(frame, to: "/tmp/porthole-\(name)-drawn.png")
    try PNGImage.write(difference, to: "/tmp/porthole-\(name)-difference.png")
    Issue.record(
      "\(count) pixels of \(name) differ: see /tmp/porthole-\(name)-drawn.png and -difference.png",
      sourceLocation: location)
  }
}
