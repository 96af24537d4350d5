import Testing

@testable import Display

@Suite struct FramePartsTests {
  private func ramp(width: Int, height: Int) -> Frame {
    let frame = Frame(size: FrameSize(width: width, height: height))
    for index in 0..<width * height { frame.pixels[index] = UInt32(index) }
    return frame
  }

  @Test func partsAreCutAtTheEdges() throws {
    let frame = ramp(width: 10, height: 8)
    let part = try #require(frame.cropped(to: FrameRect(x: 7, y: -3, width: 99, height: 5)))
    #expect(part.size == FrameSize(width: 3, height: 2))
    #expect(part.pixels[0] == 7)
    #expect(part.pixels[5] == 19)
    #expect(frame.cropped(to: FrameRect(x: 10, y: 0, width: 1, height: 1)) == nil)
    #expect(frame.cropped(to: FrameRect(x: 0, y: 0, width: 0, height: 1)) == nil)
    #expect(frame.cropped(to: FrameRect(x: .max, y: .max, width: .max, height: .max)) == nil)
    #expect(frame.cropped(to: FrameRect(x: .min, y: 0, width: .min, height: 1)) == nil)
  }

  @Test func largerPicturesRepeatPixelsAndSmallerOnesTakeTheMean() {
    let frame = Frame(size: FrameSize(width: 2, height: 2))
    for (index, pixel) in [0x000000, 0xFF0000, 0x00FF00, 0x0000FF].enumerated() {
      frame.pixels[index] = UInt32(pixel)
    }
    let large = frame.scaled(by: 3)
    #expect(large.size == FrameSize(width: 6, height: 6))
    #expect((0..<36).allSatisfy { large.pixels[$0] == frame.pixels[$0 / 18 * 2 + $0 % 6 / 3] })
    let small = large.scaled(by: 1.0 / 6)
    #expect(small.size == FrameSize(width: 1, height: 1))
    #expect(small.pixels[0] == 0x404040)
    #expect(frame.scaled(by: 0.001).size == FrameSize(width: 1, height: 1))
  }

  @Test func sidesNeedNotDivide() {
    let small = ramp(width: 7, height: 5).scaled(by: 0.6)
    #expect(small.size == FrameSize(width: 4, height: 3))
    #expect(small.pixels[0] == 0)
  }
}
