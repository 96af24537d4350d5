import Glibc
import KVMEngine
import Testing

@testable import Display

@Suite struct PNGImageTests {
  private func frame(_ width: Int, _ height: Int, _ color: (Int) -> UInt32) -> Frame {
    let frame = Frame(size: FrameSize(width: width, height: height))
    for index in 0..<width * height { frame.pixels[index] = color(index) }
    return frame
  }

  private func pixels(_ frame: Frame) -> [UInt32] {
    Array(UnsafeBufferPointer(start: frame.pixels, count: frame.size.width * frame.size.height))
  }

  @Test(arguments: [1, 2, 3, 4, 16, 17, 256, 257, 4000])
  func pictureSurvivesTheRoundTrip(colors: Int) throws {
    let original = frame(67, 61) { UInt32($0 % colors) &* 0x01_2345 & 0xFF_FFFF }
    let decoded = try PNGImage.decode(try PNGImage.encode(original))
    #expect(decoded.size == original.size)
    #expect(pixels(decoded) == pixels(original))
  }

  @Test(arguments: [0, 1, 6, 9, -3, 400])
  func everyLevelGivesTheSamePicture(level: Int) throws {
    let original = frame(40, 30) { UInt32($0 * 7919) & 0xFF_FFFF }
    let decoded = try PNGImage.decode(try PNGImage.encode(original, level: level))
    #expect(pixels(decoded) == pixels(original))
  }

  @Test func topByteOfAPixelIsIgnored() throws {
    let decoded = try PNGImage.decode(try PNGImage.encode(frame(3, 3) { _ in 0xAB12_3456 }))
    #expect(pixels(decoded).allSatisfy { $0 == 0x12_3456 })
  }

  @Test func brokenPicturesAreRefused() throws {
    let bytes = try PNGImage.encode(frame(50, 50) { UInt32($0) })
    for broken in [[], [1, 2, 3], Array(bytes.prefix(40)), Array(bytes.prefix(bytes.count / 2))] {
      #expect(throws: HostError.self) { try PNGImage.decode(broken) }
    }
  }

  @Test func pictureOfTooManyPixelsIsRefused() throws {
    var bytes = try PNGImage.encode(frame(1, 1) { _ in 0 })
    // IHDR with a width of 100,000, and its CRC.
    bytes.replaceSubrange(16..<20, with: [0x00, 0x01, 0x86, 0xA0])
    #expect(throws: HostError.self) { try PNGImage.decode(bytes) }
  }

  @Test func fileIsWrittenWhole() throws {
    let path = "\(P_tmpdir)/porthole-png-\(getpid()).png"
    defer { unlink(path) }
    try PNGImage.write(frame(8, 8) { _ in 0xFF }, to: path)
    try PNGImage.write(frame(9, 9) { _ in 0xEE }, to: path)
    let read = try PNGImage.read(path)
    #expect(read.size == FrameSize(width: 9, height: 9))
    #expect(read.pixels[0] == 0xEE)
    #expect(access("\(path).\(getpid()).part", F_OK) != 0)
  }

  @Test func whatIsNoPlainFileStaysWhatItIs() throws {
    try PNGImage.write(frame(8, 8) { _ in 0xFF }, to: "/dev/null")
    var status = stat()
    #expect(stat("/dev/null", &status) == 0)
    #expect(status.st_mode & S_IFMT == S_IFCHR)
  }

  @Test func unwritablePathIsNamed() {
    #expect(throws: HostError("write /nowhere/x.png", code: ENOENT)) {
      try PNGImage.write(frame(8, 8) { _ in 0xFF }, to: "/nowhere/x.png")
    }
    #expect(throws: HostError("read /nowhere/x.png", code: ENOENT)) {
      try PNGImage.read("/nowhere/x.png")
    }
  }
}
