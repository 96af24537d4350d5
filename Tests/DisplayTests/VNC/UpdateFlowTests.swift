import KVMEngine
import Testing

@testable import Display

/// Updates that a viewer gets without asking, and the fences behind them.
@Suite(.serialized, .timeLimit(.minutes(2))) struct UpdateFlowTests {
  private static let encodings: [Int32] = [
    0, ViewerNews.Encoding.fence, ViewerNews.Encoding.continuousUpdates,
  ]

  private static func enable(_ isOn: Bool, width: Int, height: Int) -> [UInt8] {
    [150, isOn ? 1 : 0] + RFBClient.bytes16(0, 0, width, height)
  }

  /// Reads a fence; its flags and its payload.
  private func fence(_ client: RFBClient) throws -> (UInt32, [UInt8]) {
    let header = try client.receive(9)
    guard header[0] == 248 else { throw RFBClient.Problem.unexpected("message \(header[0])") }
    return (UInt32(client.number(header[4..<8])), try client.receive(Int(header[8])))
  }

  /// A client that was told of both extensions and has asked for updates without asking.
  private func client(_ running: RunningServer) throws -> RFBClient {
    let client = try running.client()
    try client.start(encodings: Self.encodings)
    let (flags, payload) = try fence(client)
    #expect(flags & 1 << 31 != 0)
    client.send(Viewer.fence(flags: 0, payload: payload))
    #expect(try client.receive(1) == ViewerNews.endOfContinuousUpdates)
    client.send(Self.enable(true, width: client.width, height: client.height))
    return client
  }

  @Test func updatesComeUnaskedAndWaitForTheFences() throws {
    let running = try RunningServer()
    let client = try client(running)
    _ = try client.update()
    let first = try fence(client)
    running.source.paint(FrameRect(x: 0, y: 0, width: 1, height: 1), 1)
    _ = try client.update()
    let second = try fence(client)
    running.source.paint(FrameRect(x: 0, y: 0, width: 1, height: 1), 2)
    #expect(!client.hasData(within: 100))
    running.source.paint(FrameRect(x: 0, y: 0, width: 1, height: 1), 3)
    client.send(Viewer.fence(flags: first.0 & 1, payload: first.1))
    while client.pixels[0] != 3 {
      _ = try client.update()
      let (flags, payload) = try fence(client)
      client.send(Viewer.fence(flags: flags & 1, payload: payload))
    }
    client.send(Viewer.fence(flags: second.0 & 1, payload: second.1))
    #expect(!client.hasData(within: 50))
  }

  @Test func updatesEndWhenTheViewerSaysSo() throws {
    let running = try RunningServer()
    let client = try client(running)
    _ = try client.update()
    _ = try fence(client)
    client.send(Self.enable(false, width: 0, height: 0))
    #expect(try client.receive(1) == ViewerNews.endOfContinuousUpdates)
    // One that was asked for before may be due still.
    running.source.paint(FrameRect(x: 0, y: 0, width: 1, height: 1), 4)
    if client.hasData(within: 100) { _ = try client.update() }
    running.source.paint(FrameRect(x: 0, y: 0, width: 1, height: 1), 5)
    #expect(!client.hasData(within: 100))
    try client.waitFor(5, x: 0, y: 0)
  }

  @Test func aFenceComesBackWithTheBitsThatAreKnown() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start(encodings: [0, ViewerNews.Encoding.fence])
    _ = try fence(client)
    client.send(Viewer.fence(flags: 0xFFFF_FFFF, payload: [9, 8, 7]))
    let (flags, payload) = try fence(client)
    #expect(flags == 7)
    #expect(payload == [9, 8, 7])
  }

  @Test(arguments: [
    Viewer.fence(flags: 1 << 31, payload: []), enable(true, width: 8, height: 8),
  ])
  func aViewerThatWasToldOfNeitherIsTurnedOut(message: [UInt8]) throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start()
    client.send(message)
    #expect(client.isClosedByServer())
  }

  @Test func aFenceThatIsTooLongTurnsTheViewerOut() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start(encodings: [0, ViewerNews.Encoding.fence])
    _ = try fence(client)
    client.send(Viewer.fence(flags: 1 << 31, payload: [UInt8](repeating: 0, count: 65)))
    #expect(client.isClosedByServer())
  }

  @Test func theLongerTheWayTheMoreUpdatesAreOnIt() {
    var window = UpdateWindow()
    #expect(window.limit == 2)
    let first = window.noteSent(at: 0)
    #expect(!window.isHeld)
    let second = window.noteSent(at: 5)
    #expect(window.isHeld)
    let answers = [
      window.noteReturned(first, at: 3 * FramePace.interval),
      // What was not sent, or came back already, does not count.
      window.noteReturned(second &+ 1, at: 6), window.noteReturned(first, at: 6),
    ]
    #expect(answers == [true, false, false])
    #expect(window.limit == 5)
    let released = window.noteReturned(second, at: 5 + FramePace.interval)
    #expect(!released)
    #expect(window.limit == 3)
    for _ in 0..<20 { _ = window.noteReturned(window.noteSent(at: 0), at: 1 << 60) }
    #expect(window.limit == 3)
  }
}
