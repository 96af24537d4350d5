import Glibc
import KVMEngine
import Testing

@testable import Display

/// Peers that come by the thousand, or do everything by halves. Nobody but them suffers, and they
/// leave nothing behind.
@Suite(.serialized, .timeLimit(.minutes(2))) struct BadPeerTests {
  private let dot = FrameRect(x: 5, y: 6, width: 2, height: 3)

  /// The picture still comes at once to somebody who watched all the time.
  private func expectService(_ running: RunningServer, _ client: RFBClient, _ color: UInt32) throws
  {
    client.request(incremental: true)
    let start = Monitor.monotonic()
    running.source.paint(dot, color)
    try client.waitFor(color, x: 5, y: 6)
    #expect(Monitor.monotonic() - start < 500_000_000)
  }

  private func watcher(_ running: RunningServer) throws -> RFBClient {
    let client = try running.client()
    try client.start()
    try client.waitFor(0x102030, x: 0, y: 0, firstIncremental: false)
    return client
  }

  private static func count(_ folder: String) -> Int {
    guard let stream = opendir(folder) else { return 0 }
    defer { closedir(stream) }
    var count = 0
    while readdir(stream) != nil { count += 1 }
    return count
  }

  @Test func aThousandConnectionsLeaveNothingBehind() throws {
    let running = try RunningServer { $0.viewerLimit = 20 }
    let client = try watcher(running)
    let descriptors = Self.count("/proc/self/fd")
    for index in 0..<1000 {
      // Some say nothing, some half of what they should, some leave before they are greeted.
      guard let peer = try? running.client() else { continue }
      if index % 3 == 0 { peer.send(Array("RFB 003.008\n".utf8)) }
      if index % 7 == 0 { peer.send([1, 1]) }
      if index % 100 == 99 { try expectService(running, client, UInt32(index)) }
    }
    #expect(eventually { running.server.viewerCount == 1 })
    try expectService(running, client, 0xABCDEF)
    #expect(eventually { Self.count("/proc/self/fd") <= descriptors + 40 })
    #expect(eventually { (try? running.client().start()) != nil })
  }

  /// They hold every place there is until their time is up, and then the next ones are served.
  @Test func halfOpenConnectionsGiveTheirPlacesBack() throws {
    let running = try RunningServer {
      $0.viewerLimit = 8
      $0.handshakeLimit = 300
    }
    let client = try watcher(running)
    let halves = try (0..<7).map { _ in try running.client() }
    try expectService(running, client, 0x1234)
    #expect(eventually { (try? running.client().start()) != nil })
    #expect(halves.allSatisfy { $0.isClosedByServer() })
  }

  @Test func oneByteAtATimeHoldsUpNobody() throws {
    let running = try RunningServer { $0.patience = 400 }
    let client = try watcher(running)
    let slow = try running.client()
    try slow.start()
    // A key event that takes longer than it may.
    for byte: UInt8 in [4, 1, 0, 0] {
      slow.send([byte])
      pause(milliseconds: 60)
    }
    try expectService(running, client, 0x5678)
    #expect(slow.isClosedByServer())
    #expect(running.input.events.allSatisfy { $0 == .gone })
  }

  /// One that takes an update a byte at a time gets it, and costs the others nothing.
  @Test func whoReadsByTheByteHoldsUpNobody() throws {
    let running = try RunningServer(source: FakeSource(width: 1200, height: 900))
    let client = try watcher(running)
    let slow = try running.client()
    try slow.start()
    slow.request(incremental: false)
    for round in 1...40 {
      _ = try slow.receive(1)
      try expectService(running, client, UInt32(round))
    }
  }

  @Test func rectanglesBeyondReasonDoNoHarm() throws {
    let running = try RunningServer()
    let client = try watcher(running)
    let hostile = try running.client()
    try hostile.start(encodings: [7, 1, -224, -308])
    for rect in [
      (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF), (0, 0, 0, 0), (63, 47, 0xFFFF, 0xFFFF), (0, 0, 0xFFFF, 1),
      (0x8000, 0, 0x8000, 0x8000),
    ] {
      hostile.send([3, 0] + RFBClient.bytes16(rect.0, rect.1, rect.2, rect.3))
      hostile.send([3, 1] + RFBClient.bytes16(rect.0, rect.1, rect.2, rect.3))
    }
    try expectService(running, client, 0x9ABC)
  }

  /// 64 MiB is read away in pieces, more ends the connection, and neither is kept.
  @Test func cutTextBeyondReasonIsNotKept() throws {
    let running = try RunningServer()
    let client = try watcher(running)
    let talker = try running.client()
    try talker.start()
    let before = Self.resident()
    talker.send([6, 0, 0, 0] + RFBClient.bytes32(48 << 20))
    let piece = [UInt8](repeating: 0x41, count: 1 << 20)
    for _ in 0..<48 { talker.send(piece) }
    talker.key(0x63, pressed: true)
    #expect(eventually { running.input.events.contains(.key(0x63, true)) })
    #expect(Self.resident() - before < 24 << 20)
    talker.send([6, 0, 0, 0] + RFBClient.bytes32(0x8000_0000))
    #expect(talker.isClosedByServer())
    try expectService(running, client, 0xDEF0)
  }

  /// Resident bytes of this process.
  private static func resident() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, 128, file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    return (Int(text.split(separator: " ")[1]) ?? 0) * 4096
  }
}
