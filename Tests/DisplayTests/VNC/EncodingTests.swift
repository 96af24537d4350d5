import CVNCClient
import KVMEngine
import Synchronization
import Testing

@testable import Display

/// A viewer of libvncclient's, which decodes what the server sends.
private final class DecodingViewer: @unchecked Sendable {
  // SAFETY: one thread at a time uses it.
  private let client: OpaquePointer

  init?(
    port: UInt16, _ encodings: StaticString, quality: Int32 = -1, redFirst: Bool = false,
    fewColors: Bool = false
  ) {
    guard
      let client = cvncclient_open(
        port, UnsafeRawPointer(encodings.utf8Start).assumingMemoryBound(to: CChar.self), quality,
        redFirst, fewColors)
    else { return nil }
    self.client = client
  }

  deinit { cvncclient_close(client) }

  func follow(milliseconds: Int32) -> Bool { cvncclient_follow(client, milliseconds) }

  func setLevel(_ level: Int32) { cvncclient_set_level(client, level) }

  var copies: UInt32 { cvncclient_copies(client) }

  /// The picture as the viewer has it.
  var raw: [UInt32] {
    var width: Int32 = 0
    var height: Int32 = 0
    cvncclient_size(client, &width, &height)
    return (0..<width * height).map { cvncclient_pixel(client, $0) }
  }

  func pixels(redFirst: Bool = false) -> [UInt32] {
    guard redFirst else { return raw }
    return raw.map { $0 & 0xFF00 | $0 >> 16 | ($0 & 0xFF) << 16 }
  }

}

/// What viewers decode is the picture, in every encoding, whatever moved and however late they are.
@Suite(.serialized, .timeLimit(.minutes(2))) struct EncodingTests {
  static let encodings: [StaticString] = [
    "raw", "copyrect raw", "copyrect hextile", "copyrect zlib", "copyrect zrle", "copyrect tight",
    "copyrect rre", "copyrect corre",
  ]

  private func running(_ source: MovingSource) throws -> VNCServer {
    let server = try VNCServer(
      configuration: VNCConfiguration(address: .tcp(host: "127.0.0.1", port: 0)), source: source,
      input: FakeInput())
    try server.start()
    return server
  }

  @Test(arguments: encodings, [false, true])
  func viewerShowsThePicture(encodings: StaticString, redFirst: Bool) throws {
    let source = MovingSource(width: 333, height: 211)
    let server = try running(source)
    defer { server.stop() }
    let viewer = try #require(
      DecodingViewer(port: server.port, encodings, redFirst: redFirst))
    for round in Int32(0)..<8 {
      // Viewers change their mind while they watch.
      if round % 2 == 1 { viewer.setLevel(round) }
      for _ in 0..<3 { source.change() }
      #expect(viewer.follow(milliseconds: 25))
    }
    #expect(
      eventually {
        viewer.follow(milliseconds: 20) && viewer.pixels(redFirst: redFirst) == source.pixels
      })
  }

  /// Viewers with few colours get the nearest ones, in every encoding.
  @Test(arguments: encodings)
  func viewerWithFewColorsShowsThePicture(encodings: StaticString) throws {
    let source = MovingSource(width: 133, height: 111)
    let server = try running(source)
    defer { server.stop() }
    let viewer = try #require(DecodingViewer(port: server.port, encodings, fewColors: true))
    for _ in 0..<5 {
      source.change()
      #expect(viewer.follow(milliseconds: 25))
    }
    func nearest(_ pixel: UInt32) -> UInt32 {
      func five(_ shift: UInt32) -> UInt32 { ((pixel >> shift & 0xFF) * 31 + 127) / 255 }
      return five(16) << 10 | five(8) << 5 | five(0)
    }
    #expect(
      eventually { viewer.follow(milliseconds: 20) && viewer.raw == source.pixels.map(nearest) })
  }

  /// JPEG loses a little, but no more.
  @Test func viewerShowsThePictureNearlyWithJPEG() throws {
    let source = MovingSource(width: 333, height: 211)
    let server = try running(source)
    defer { server.stop() }
    let viewer = try #require(DecodingViewer(port: server.port, "copyrect tight", quality: 9))
    for _ in 0..<10 {
      source.change()
      #expect(viewer.follow(milliseconds: 25))
    }
    let shown = viewer.pixels()
    let wanted = source.pixels
    #expect(shown.count == wanted.count)
    var sum = 0
    for (one, other) in zip(shown, wanted) {
      for shift in [UInt32(0), 8, 16] {
        sum += abs(Int(one >> shift & 0xFF) - Int(other >> shift & 0xFF))
      }
    }
    #expect(sum / (wanted.count * 3) < 12)
  }

  /// Several at once, each with its own pauses, while the picture moves all the time.
  @Test func latePeersShowTheSamePictureInTheEnd() throws {
    let source = MovingSource(width: 400, height: 300)
    let server = try running(source)
    defer { server.stop() }
    let port = server.port
    let copies = Atomic<Int>(0)
    let wrong = Mutex<[String]>([])
    let painted = Atomic<Bool>(false)
    var threads: [Thread] = []
    let all: [StaticString] = [
      "copyrect raw", "copyrect zrle", "copyrect tight", "copyrect hextile",
    ]
    for (index, encodings) in all.enumerated() {
      threads.append(
        try Thread(name: "viewer") {
          guard let viewer = DecodingViewer(port: port, encodings) else {
            return wrong.withLock { $0.append("\(encodings) did not connect") }
          }
          while !painted.load(ordering: .acquiring) {
            if !viewer.follow(milliseconds: 1) { break }
            pause(milliseconds: UInt64(index * 9))
          }
          let same = eventually {
            viewer.follow(milliseconds: 20) && viewer.pixels() == source.pixels
          }
          if !same { wrong.withLock { $0.append("\(encodings) differs") } }
          copies.add(Int(viewer.copies), ordering: .relaxed)
        })
    }
    for _ in 0..<120 {
      source.change()
      pause(milliseconds: 7)
    }
    painted.store(true, ordering: .releasing)
    for thread in threads { thread.join() }
    #expect(wrong.withLock { $0 } == [])
    #expect(copies.load(ordering: .relaxed) > 0)
  }
}
