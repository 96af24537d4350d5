import Glibc
import KVMEngine
import Testing

@testable import Display

/// What viewers that mean ill, or stall, can't do.
@Suite(.serialized, .timeLimit(.minutes(2))) struct VNCSecurityTests {
  /// Whether the next viewer is served as if nothing had been.
  private func expectService(_ running: RunningServer) throws {
    let client = try running.client()
    try client.start()
    try expectPicture(client)
  }

  /// The picture may be drawn only now: what comes before it is followed by an update.
  private func expectPicture(_ client: RFBClient) throws {
    client.request(incremental: false)
    _ = try client.update()
    while client.pixels[0] != 0x102030 {
      client.request(incremental: true)
      _ = try client.update()
    }
  }

  @Test(arguments: [3, 7, 8])
  func rightPasswordLetsIn(minor: Int) throws {
    let running = try RunningServer { $0.password = "sesame12" }
    let client = try running.client()
    try client.shakeHands(password: "sesame12", minor: minor)
    try client.initialise()
    #expect(client.width == 64)
  }

  @Test(arguments: [3, 7, 8])
  func openDesktopLetsEveryoneIn(minor: Int) throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.shakeHands(minor: minor)
    try client.initialise()
    #expect(client.width == 64)
  }

  @Test func wrongPasswordKeepsOut() throws {
    let running = try RunningServer { $0.password = "sesame12" }
    let client = try running.client()
    do {
      try client.shakeHands(password: "sesame13")
      Issue.record("a wrong password was taken")
    } catch RFBClient.Problem.refused(let reason) {
      #expect(reason == "the password is wrong")
    }
    #expect(client.isClosedByServer())
    #expect(running.server.viewerCount == 0)
  }

  @Test func authenticationCannotBeSkipped() throws {
    let running = try RunningServer { $0.password = "sesame12" }
    let client = try running.client()
    _ = try client.receive(12)
    client.send(Array("RFB 003.008\n".utf8))
    #expect(try client.receive(2) == [1, 2])
    client.send([1])
    #expect(client.isClosedByServer())
  }

  @Test func emptyPasswordIsRefused() {
    #expect(throws: HostError.self) {
      try VNCServer(
        configuration: VNCConfiguration(address: .tcp(host: "127.0.0.1", port: 0), password: ""),
        source: FakeSource(), input: FakeInput())
    }
  }

  @Test(arguments: [
    Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), Array("RFB 004.000\n".utf8),
    [UInt8](repeating: 0, count: 64), [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 9, 9],
  ])
  func garbageInsteadOfAVersionEndsTheConnection(garbage: [UInt8]) throws {
    let running = try RunningServer()
    let client = try running.client()
    client.send(garbage)
    #expect(client.isClosedByServer())
    try expectService(running)
  }

  @Test func unknownSecurityTypeEndsTheConnection() throws {
    let running = try RunningServer()
    let client = try running.client()
    client.send(Array("RFB 003.008\n".utf8) + [19])
    #expect(client.isClosedByServer())
    try expectService(running)
  }

  @Test(
    arguments: [
      [99], [7, 0, 0, 0], [0xFF, 0xFF], [8, 1, 0, 0], [250, 0, 1, 2],
      // Pixel formats: 0 bits, 24 bits, a shift beyond the pixel, a colour map of 16 bits.
      [0, 0, 0, 0, 0, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0],
      [0, 0, 0, 0, 24, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0],
      [0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 200, 8, 0, 0, 0, 0],
      [0, 0, 0, 0, 16, 16, 0, 0, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0],
      // A clipboard of 2 GiB.
      [6, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF],
    ] as [[UInt8]])
  func garbageMessageEndsTheConnection(message: [UInt8]) throws {
    let running = try RunningServer()
    let other = try running.client()
    try other.start()
    let client = try running.client()
    try client.start()
    client.send(message)
    #expect(client.isClosedByServer())
    try expectPicture(other)
  }

  @Test func requestsBeyondThePictureDoNoHarm() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start()
    client.send([3, 0] + RFBClient.bytes16(60000, 60000, 65535, 65535))
    client.send([3, 0] + RFBClient.bytes16(60, 40, 65535, 65535))
    #expect(
      try client.update() == [RFBClient.Rect(x: 60, y: 40, width: 4, height: 8, encoding: 0)])
  }

  @Test func hangingHandshakeIsEnded() throws {
    let running = try RunningServer {
      $0.handshakeLimit = 200
      $0.password = "sesame12"
    }
    let silent = try running.client()
    let halfway = try running.client()
    halfway.send(Array("RFB 003.008\n".utf8))
    let slow = try running.client()
    slow.send(Array("RFB 0".utf8))
    let start = Monitor.monotonic()
    #expect(silent.isClosedByServer())
    #expect(halfway.isClosedByServer())
    #expect(slow.isClosedByServer())
    #expect(Monitor.monotonic() - start < 5_000_000_000)
    let client = try running.client()
    try client.start(password: "sesame12")
    // Who is through may be as quiet as it likes.
    pause(milliseconds: 300)
    client.request(incremental: false)
    _ = try client.update()
  }

  @Test func oneViewerTooManyIsToldSo() throws {
    let running = try RunningServer { $0.viewerLimit = 1 }
    do {
      let first = try running.client()
      try first.start()
      let second = try running.client()
      do {
        try second.shakeHands()
        Issue.record("a viewer too many was let in")
      } catch RFBClient.Problem.refused(let reason) {
        #expect(reason == "this desktop has its 1 viewers")
      }
      first.request(incremental: false)
      _ = try first.update()
    }
    #expect(eventually { running.server.viewerCount == 0 })
    #expect(
      eventually {
        guard let next = try? running.client() else { return false }
        return (try? next.start()) != nil
      })
  }

  @Test func stalledViewerHoldsUpNobody() throws {
    let running = try RunningServer(source: FakeSource(width: 1920, height: 1080))
    let stalled = try running.client()
    try stalled.start(encodings: [0, RFBClient.desktopSize])
    let other = try running.client()
    try other.start(encodings: [0, RFBClient.desktopSize])
    // Eight megabytes that nobody reads.
    stalled.request(incremental: false)
    #expect(stalled.hasData(within: 5000))
    try other.waitFor(0x102030, x: 0, y: 0, firstIncremental: false)
    for round in 1...5 {
      stalled.request(incremental: true)
      let color = UInt32(round)
      running.source.paint(FrameRect(x: 0, y: 0, width: 4, height: 4), color)
      try other.waitFor(color, x: 0, y: 0)
    }
    running.source.resize(width: 100, height: 100, color: 0xAB)
    try other.waitFor(0xAB, x: 99, y: 99)
    stalled.key(0x63, pressed: true)
    #expect(eventually { running.input.events == [.key(0x63, true)] })
    let start = Monitor.monotonic()
    running.server.stop()
    #expect(Monitor.monotonic() - start < 3_000_000_000)
  }
}
