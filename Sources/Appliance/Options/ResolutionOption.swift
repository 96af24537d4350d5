import ArgumentParser
import Display

/// `--resolution`: WIDTHxHEIGHT.
enum ResolutionOption {
  static func parse(_ text: String) throws -> FrameSize {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard sides.count == 2, let width = sides[0], let height = sides[1] else {
      throw ValidationError("a resolution is WIDTHxHEIGHT, as 1920x1080: \(text)")
    }
    let size = FrameSize(width: width, height: height)
    guard DisplayMonitor().prefer(size) else {
      throw ValidationError("a resolution lies between 320x200 and 2560x1600: \(text)")
    }
    return size
  }
}
