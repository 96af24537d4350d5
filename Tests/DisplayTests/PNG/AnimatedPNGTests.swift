import Glibc
import KVMEngine
import Testing

@testable import Display

@Suite struct AnimatedPNGTests {
  private let path = "\(P_tmpdir)/porthole-film-\(getpid())-\(Monitor.monotonic()).png"

  private struct Chunk {
    var type: String
    var data: [UInt8]
    var number: UInt32 { AnimatedPNGTests.number(data.prefix(4)) }
    /// Of an fcTL: width, height, x, y.
    var place: [Int] {
      (1...4).map { field in
        Int(AnimatedPNGTests.number(data[(field * 4)..<(field * 4 + 4)]))
      }
    }
    /// Of an fcTL: milliseconds.
    var delay: Int { Int(data[20]) << 8 | Int(data[21]) }
  }

  /// The file's chunks, each with a checksum that is right.
  private func chunks() throws -> [Chunk] {
    let file = open(path, O_RDONLY)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    bytes.removeLast(bytes.count - max(0, read(file, &bytes, bytes.count)))
    var found: [Chunk] = []
    var offset = 8
    while offset + 12 <= bytes.count {
      let length = Int(Self.number(bytes[offset..<offset + 4]))
      try #require(offset + 12 + length <= bytes.count)
      let body = Array(bytes[offset + 4..<offset + 8 + length])
      let sum = Self.number(bytes[offset + 8 + length..<offset + 12 + length])
      #expect(crc(body) == sum)
      let type = String(decoding: body.prefix(4), as: UTF8.self)
      found.append(Chunk(type: type, data: Array(body.dropFirst(4))))
      offset += 12 + length
    }
    #expect(offset == bytes.count)
    return found
  }

  /// The checksum of PNG, section "CRC algorithm", bit by bit.
  private func crc(_ bytes: [UInt8]) -> UInt32 {
    var sum = ~UInt32(0)
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
    }
    return ~sum
  }

  fileprivate static func number(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var value: UInt32 = 0
    for byte in bytes { value = value << 8 | UInt32(byte) }
    return value
  }

  private func frame(_ change: (Frame) -> Void = { _ in }) -> Frame {
    let frame = Frame(size: FrameSize(width: 20, height: 10))
    for index in 0..<200 { frame.pixels[index] = UInt32(index) * 0x0001_0203 & 0xFF_FFFF }
    change(frame)
    return frame
  }

  @Test func onlyWhatChangedIsWrittenWithItsTime() throws {
    defer { unlink(path) }
    let film = try AnimatedPNG(path: path, first: frame(), at: 1_000_000_000)
    try film.show(frame(), at: 1_100_000_000)
    try film.show(
      frame {
        $0.pixels[2 * 20 + 5] = 1
        $0.pixels[4 * 20 + 3] = 2
      }, at: 1_250_000_000)
    try film.finish(at: 1_257_000_000)
    let chunks = try chunks()
    #expect(chunks.map(\.type) == ["IHDR", "acTL", "fcTL", "IDAT", "fcTL", "fdAT", "IEND"])
    #expect(chunks[1].number == 2 && film.pictures == 2)
    #expect(chunks[2].place == [20, 10, 0, 0] && chunks[2].delay == 250)
    #expect(chunks[4].place == [3, 3, 3, 2] && chunks[4].delay == 7)
    #expect([chunks[2], chunks[4], chunks[5]].map(\.number) == [0, 1, 2])
  }

  @Test func theFirstPictureIsAPNGForEverybody() throws {
    defer { unlink(path) }
    let first = frame()
    let film = try AnimatedPNG(path: path, first: first, at: 0)
    try film.show(frame { $0.pixels[0] = 0xFFFFFF }, at: 50_000_000)
    let decoded = try PNGImage.read(path)
    #expect((0..<200).allSatisfy { decoded.pixels[$0] == first.pixels[$0] })
  }

  @Test func aFilmIsWholeAfterEveryPicture() throws {
    defer { unlink(path) }
    let film = try AnimatedPNG(path: path, first: frame(), at: 0)
    for step in 1...5 {
      try film.show(frame { $0.pixels[step] = 0xABCDEF }, at: UInt64(step) * 40_000_000)
      let chunks = try chunks()
      #expect(chunks.last?.type == "IEND")
      #expect(chunks.count { $0.type == "fcTL" } == step + 1)
      #expect(chunks[1].number == UInt32(step + 1))
    }
  }

  @Test func whatStandsForMinutesStandsForMinutes() throws {
    defer { unlink(path) }
    let film = try AnimatedPNG(path: path, first: frame(), at: 0)
    try film.finish(at: 150_000_000_000)
    let controls = try chunks().filter { $0.type == "fcTL" }
    #expect(controls.map(\.delay) == [60_000, 60_000, 30_000])
  }

  @Test func aPipeIsRefused() throws {
    #expect(throws: HostError.self) {
      _ = try AnimatedPNG(path: "/dev/null", first: frame(), at: 0)
    }
  }

  @Test func framesThatDifferHaveDifferentDigests() {
    #expect(frame().digest == frame().digest)
    #expect(frame().digest != frame { $0.pixels[199] ^= 1 }.digest)
    #expect(frame().digest != frame { $0.pixels[0] ^= 0x80_0000 }.digest)
  }
}
