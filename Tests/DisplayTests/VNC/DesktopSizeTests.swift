import Testing

@testable import Display

/// Viewers that follow the desktop's size, and that wish for one.
@Suite(.serialized, .timeLimit(.minutes(1))) struct DesktopSizeTests {
  private static let encodings: [Int32] = [
    0, RFBClient.desktopSize, RFBClient.extendedDesktopSize,
  ]

  private func start(_ running: RunningServer, password: String? = nil) throws -> RFBClient {
    let client = try running.client()
    try client.start(password: password, encodings: Self.encodings)
    try client.waitFor(0x102030, x: 0, y: 0, firstIncremental: false)
    return client
  }

  /// The next rectangle of ExtendedDesktopSize.
  private func answer(_ client: RFBClient) throws -> RFBClient.Rect {
    for _ in 0..<10 {
      client.request(incremental: true)
      let found = try client.update().first { $0.encoding == RFBClient.extendedDesktopSize }
      if let found { return found }
    }
    throw RFBClient.Problem.unexpected("no size")
  }

  /// Status 4: told to the guest, which may follow or not; 3: there is no such size.
  @Test(arguments: [(1600, 900, 1, 4), (5000, 900, 1, 3), (1600, 900, 2, 3)])
  func aWishIsAnsweredHonestly(width: Int, height: Int, screens: Int, status: Int) throws {
    let running = try RunningServer()
    let client = try start(running)
    client.wish(width: width, height: height, screens: screens)
    let rect = try answer(client)
    #expect(rect.x == 1)
    #expect(rect.y == status)
    #expect(client.width == 64)
    // The desktop's own change is told as such.
    running.source.resize(width: 160, height: 90, color: 0xAB)
    try client.waitFor(0xAB, x: 159, y: 89)
    #expect(client.width == 160)
  }

  /// Requests for the old size arrive while the picture takes the new one.
  @Test func noUpdateReachesBeyondTheSizeThatWasTold() throws {
    let running = try RunningServer()
    let client = try start(running)
    let sizes = [(640, 480), (64, 48)]
    for round in 0..<150 {
      let (width, height) = sizes[round % 2]
      running.source.resize(width: width, height: height, color: UInt32(round))
      for _ in 0..<20 {
        client.request(incremental: round % 3 == 0, width: 640, height: 480)
      }
      // Throws where a rectangle lies outside.
      _ = try client.update()
    }
    #expect(client.width == 64 || client.width == 640)
  }

  @Test func theMonitorOffersWhatFitsTheAdapter() {
    let monitor = DisplayMonitor()
    #expect(monitor.preferredSize == DisplayMonitor.standardSize)
    #expect(monitor.prefer(FrameSize(width: 1923, height: 1081)))
    #expect(monitor.preferredSize == FrameSize(width: 1920, height: 1081))
    for size in [(0, 0), (64, 64), (2568, 1600), (2560, 1601), (-1, 9), (Int.max, Int.max)] {
      #expect(!monitor.prefer(FrameSize(width: size.0, height: size.1)))
    }
    #expect(monitor.preferredSize.width == 1920)
  }

  /// VESA CVT 1.1 has 1920x1080 at 60 Hz with reduced blanking as 138.5 MHz, 2080 by 1111.
  @Test func theMonitorsDataDescribesThePreferredTiming() {
    let monitor = DisplayMonitor()
    #expect(monitor.prefer(FrameSize(width: 1920, height: 1080)))
    let data = monitor.data
    #expect(data.count == 128)
    #expect(data.reduce(0, &+) == 0)
    #expect(Int(data[54]) | Int(data[55]) << 8 == 13_850)
    #expect(Int(data[56]) | Int(data[58] >> 4) << 8 == 1920)
    #expect(Int(data[57]) | Int(data[58] & 15) << 8 == 160)
    #expect(Int(data[59]) | Int(data[61] >> 4) << 8 == 1080)
    #expect(Int(data[60]) | Int(data[61] & 15) << 8 == 31)
    #expect(data[64] == 0x35)
  }

  @Test func whoOnlyViewsSeesAndDoesNothing() throws {
    let running = try RunningServer {
      $0.password = "sesame12"
      $0.viewPassword = "looking1"
    }
    let viewer = try start(running, password: "looking1")
    viewer.key(0x61, pressed: true)
    viewer.pointer(x: 1, y: 1, buttons: 1)
    viewer.wish(width: 800, height: 600)
    #expect(try answer(viewer).y == 1)
    let other = try start(running, password: "sesame12")
    other.key(0x62, pressed: true)
    #expect(eventually { !running.input.events.isEmpty })
    #expect(running.input.events == [.key(0x62, true)])
    running.source.paint(FrameRect(x: 0, y: 0, width: 2, height: 2), 0xCC)
    try viewer.waitFor(0xCC, x: 1, y: 1)
  }
}
