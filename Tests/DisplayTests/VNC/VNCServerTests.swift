import Glibc
import KVMEngine
import Testing

@testable import Display

/// A started server on a free port of the loopback interface.
final class RunningServer {
  let source: FakeSource
  let input = FakeInput()
  let server: VNCServer

  init(
    source: FakeSource = FakeSource(),
    _ change: (inout VNCConfiguration) -> Void = { _ in }
  ) throws {
    self.source = source
    var configuration = VNCConfiguration(address: .tcp(host: "127.0.0.1", port: 0))
    change(&configuration)
    server = try VNCServer(configuration: configuration, source: source, input: input)
    try server.start()
  }

  deinit { server.stop() }

  func client() throws -> RFBClient { try RFBClient(port: server.port) }
}

/// The whole way of a picture and of a key, over real sockets.
@Suite(.serialized, .timeLimit(.minutes(2))) struct VNCServerTests {
  private let dot = FrameRect(x: 5, y: 6, width: 2, height: 3)

  @Test func viewerSeesThePicture() throws {
    let running = try RunningServer { $0.desktopName = "Testing" }
    let client = try running.client()
    try client.start()
    #expect(client.width == 64)
    #expect(client.height == 48)
    #expect(client.name == "Testing")
    client.request(incremental: false)
    _ = try client.update()
    #expect(client.pixels.allSatisfy { $0 == 0x102030 })
    #expect(running.server.viewerCount == 1)
  }

  @Test func greetingComesAtOnce() throws {
    let running = try RunningServer()
    var best = UInt64.max
    for _ in 0..<5 {
      let start = Monitor.monotonic()
      let client = try running.client()
      try client.start()
      client.request(incremental: false)
      _ = try client.update()
      best = min(best, Monitor.monotonic() - start)
    }
    #expect(best < 25_000_000)
  }

  @Test func serverStartsFast() throws {
    var best = UInt64.max
    for _ in 0..<3 {
      let start = Monitor.monotonic()
      let running = try RunningServer()
      let client = try running.client()
      try client.shakeHands()
      best = min(best, Monitor.monotonic() - start)
    }
    #expect(best < 20_000_000)
  }

  @Test func changeArrivesAndNothingElse() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start()
    client.request(incremental: false)
    _ = try client.update()
    client.request(incremental: true)
    running.source.paint(dot, 0xFF8000)
    let rects = try client.update()
    #expect(rects == [RFBClient.Rect(x: 5, y: 6, width: 2, height: 3, encoding: 0)])
    #expect(client.pixels[6 * 64 + 5] == 0xFF8000)
    #expect(client.pixels[6 * 64 + 4] == 0x102030)
  }

  @Test func unannouncedChangeIsFound() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start()
    try client.waitFor(0x102030, x: 0, y: 0, firstIncremental: false)
    running.source.paint(dot, 0x00FF00, announced: false)
    try client.waitFor(0x00FF00, x: 5, y: 6)
  }

  @Test(arguments: [true, false])
  func viewerThatAsksRarelyGetsThePictureAsItIsNow(announced: Bool) throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start()
    try client.waitFor(0x102030, x: 0, y: 0, firstIncremental: false)
    for color: UInt32 in [0x00FF00, 0x0000FF, 0xFF0000] {
      running.source.paint(dot, color, announced: announced)
      pause(milliseconds: 20)
      client.request(incremental: false)
      _ = try client.update()
      #expect(client.pixels[6 * 64 + 5] == color)
    }
  }

  @Test func stillScreenSendsNothing() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start()
    client.request(incremental: false)
    _ = try client.update()
    pause(milliseconds: 50)
    let idle = running.source.updates
    pause(milliseconds: 150)
    #expect(running.source.updates == idle)
    client.request(incremental: true)
    #expect(!client.hasData(within: 300))
    #expect(running.source.updates > idle)
  }

  @Test func viewerFollowsAChangeOfSize() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start(encodings: [0, RFBClient.desktopSize])
    try client.waitFor(0x102030, x: 0, y: 0, firstIncremental: false)
    for (width, height, color) in [(100, 80, 0xAA), (32, 24, 0xBB), (200, 10, 0xCC)] {
      running.source.resize(width: width, height: height, color: UInt32(color))
      try client.waitFor(UInt32(color), x: width - 1, y: height - 1)
      #expect(client.width == width)
      #expect(client.height == height)
    }
  }

  @Test func viewerThatKnowsOneSizeSeesWhatFits() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start()
    try client.waitFor(0x102030, x: 0, y: 0, firstIncremental: false)
    running.source.resize(width: 32, height: 100, color: 0xBEEF)
    try client.waitFor(0xBEEF, x: 31, y: 47)
    #expect(client.pixels[32] == 0)
    #expect(client.width == 64)
    running.source.paint(FrameRect(x: 30, y: 40, width: 2, height: 60), 0xF00D)
    try client.waitFor(0xF00D, x: 31, y: 47)
    running.source.resize(width: 64, height: 48, color: 0x77)
    try client.waitFor(0x77, x: 63, y: 47)
    // It learns to follow after all.
    running.source.resize(width: 40, height: 30, color: 0x99)
    try client.waitFor(0x99, x: 39, y: 29)
    client.setEncodings([0, RFBClient.desktopSize])
    client.request(incremental: true)
    _ = try client.update()
    #expect(client.width == 40)
  }

  @Test func keysArriveInOrderAndAreReleasedAtTheEnd() throws {
    let running = try RunningServer()
    do {
      let client = try running.client()
      try client.start()
      client.key(0x61, pressed: true)
      client.key(0x61, pressed: false)
      client.pointer(x: 10, y: 20, buttons: 1)
      client.pointer(x: 5000, y: 20, buttons: 0)
      client.key(0xFFE1, pressed: true)
      #expect(eventually { running.input.events.count == 5 })
    }
    #expect(eventually { running.input.events.last == .gone })
    #expect(
      running.input.events == [
        .key(0x61, true), .key(0x61, false), .pointer(10, 20, 1), .pointer(63, 20, 0),
        .key(0xFFE1, true), .gone,
      ])
    #expect(eventually { running.server.viewerCount == 0 })
  }

  @Test func answerToAKeyIsSeenSoon() throws {
    let running = try RunningServer()
    let source = running.source
    running.input.onKey { keysym, _ in
      source.paint(FrameRect(x: 0, y: 0, width: 8, height: 8), keysym, announced: false)
    }
    let client = try running.client()
    try client.start()
    try client.waitFor(0x102030, x: 0, y: 0, firstIncremental: false)
    var times: [UInt64] = []
    for color in UInt32(1)...20 {
      client.request(incremental: true)
      pause(milliseconds: 25)
      let start = Monitor.monotonic()
      client.key(color, pressed: true)
      _ = try client.update()
      times.append(Monitor.monotonic() - start)
      #expect(client.pixels[0] == color)
    }
    #expect(times.sorted()[5] < 7_000_000)
  }

  @Test func aLongClipboardIsReadAway() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start()
    client.send([6, 0, 0, 0] + RFBClient.bytes32(100_000) + [UInt8](repeating: 4, count: 100_000))
    client.key(0x62, pressed: true)
    #expect(eventually { running.input.events == [.copiedTooMuch(100_000), .key(0x62, true)] })
  }

  @Test func viewersShareTheDesktop() throws {
    let running = try RunningServer()
    let clients = [try running.client(), try running.client(), try running.client()]
    for client in clients { try client.start() }
    for client in clients {
      try client.waitFor(0x102030, x: 0, y: 0, firstIncremental: false)
    }
    #expect(running.server.viewerCount == 3)
    for client in clients { client.request(incremental: true) }
    running.source.paint(dot, 0x123456)
    for client in clients {
      _ = try client.update()
      #expect(client.pixels[6 * 64 + 5] == 0x123456)
    }
  }

  @Test(arguments: [0, 5, 2, 16, 7])
  func viewerIsServedInEveryEncoding(encoding: Int32) throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start(encodings: [encoding])
    client.request(incremental: false)
    let header = try client.receive(16)
    #expect(header[0] == 0)
    #expect(client.number(header[12..<16]) == Int(encoding))
  }

  @Test func stopTurnsViewersOut() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start()
    let waiting = try running.client()
    running.server.stop()
    #expect(client.isClosedByServer())
    #expect(waiting.isClosedByServer())
    #expect(throws: RFBClient.Problem.self) { try running.client() }
  }
}
