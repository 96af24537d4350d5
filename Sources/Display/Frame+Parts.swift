/// Parts of pictures, and pictures in other sizes.
extension Frame {
  /// What of `rect` lies in the picture; nil where nothing does.
  public func cropped(to rect: FrameRect) -> Frame? {
    let left = min(max(rect.x, 0), size.width)
    let top = min(max(rect.y, 0), size.height)
    let right = min(max(rect.x.addingClamped(rect.width), left), size.width)
    let bottom = min(max(rect.y.addingClamped(rect.height), top), size.height)
    guard right > left, bottom > top else { return nil }
    let part = Frame(size: FrameSize(width: right - left, height: bottom - top))
    for y in 0..<part.size.height {
      (part.pixels + y * part.size.width).update(
        from: pixels + (top + y) * size.width + left, count: part.size.width)
    }
    return part
  }

  /// The picture `scale` times as large: each pixel is the mean of those that it stands for, or,
  /// where the picture grows, the nearest one. Neither side falls below 1 nor rises above 16,384.
  public func scaled(by scale: Double) -> Frame {
    let target = Frame(
      size: FrameSize(
        width: Frame.side(size.width, scale), height: Frame.side(size.height, scale)))
    let columns = Frame.spans(of: size.width, in: target.size.width)
    let rows = Frame.spans(of: size.height, in: target.size.height)
    for y in 0..<target.size.height {
      for x in 0..<target.size.width {
        target.pixels[y * target.size.width + x] = mean(columns: columns[x], rows: rows[y])
      }
    }
    return target
  }

  private static func side(_ side: Int, _ scale: Double) -> Int {
    let wanted = Double(side) * scale
    return wanted >= 16_384 ? 16_384 : wanted >= 1 ? Int(wanted.rounded()) : 1
  }

  /// The source pixels of each target pixel: one at least.
  private static func spans(of source: Int, in target: Int) -> [Range<Int>] {
    (0..<target).map { index in
      let first = index * source / target
      return first..<max(first + 1, (index + 1) * source / target)
    }
  }

  private func mean(columns: Range<Int>, rows: Range<Int>) -> UInt32 {
    if columns.count == 1 && rows.count == 1 {
      return pixels[rows.lowerBound * size.width + columns.lowerBound]
    }
    var (red, green, blue) = (0, 0, 0)
    for y in rows {
      for x in columns {
        let pixel = pixels[y * size.width + x]
        red += Int(pixel >> 16 & 0xFF)
        green += Int(pixel >> 8 & 0xFF)
        blue += Int(pixel & 0xFF)
      }
    }
    let count = columns.count * rows.count
    let half = count / 2
    return UInt32((red + half) / count) << 16 | UInt32((green + half) / count) << 8
      | UInt32((blue + half) / count)
  }
}

extension Int {
  fileprivate func addingClamped(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }
}
