import KVMEngine
import Testing

@testable import Display

/// The extensions for keys and pointers, over real sockets.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ViewerInputTests {
  private static func extendedKey(_ code: UInt32, _ keysym: UInt32, pressed: Bool) -> [UInt8] {
    [255, 0, 0, pressed ? 1 : 0] + RFBClient.bytes32(keysym) + RFBClient.bytes32(code)
  }

  /// A client that listed `encodings` and read one update for each that is acknowledged.
  private func client(
    _ running: RunningServer, _ encodings: [Int32], acknowledged: Set<Int32>
  ) throws -> RFBClient {
    let client = try running.client()
    try client.start(encodings: [0] + encodings)
    let told = try acknowledged.map { _ in try client.update().map(\.encoding) }
    #expect(Set(told.joined()) == acknowledged)
    return client
  }

  @Test func scanCodesArriveOnceTheViewerWasToldThatTheyMay() throws {
    let running = try RunningServer()
    let client = try client(running, [-258], acknowledged: [-258])
    client.send(Self.extendedKey(0x1E, 0x71, pressed: true))
    client.send(Self.extendedKey(0x9D, 0xFFE4, pressed: false))
    client.key(0x62, pressed: true)
    #expect(eventually { running.input.events.count == 3 })
    #expect(
      running.input.events == [
        .scanCode(0x1E, 0x71, true), .scanCode(0x9D, 0xFFE4, false), .key(0x62, true),
      ])
  }

  @Test func anExtensionIsAcknowledgedOnceAndAgainAfterItWasLeftOut() throws {
    let running = try RunningServer()
    let client = try client(running, [-258, -316], acknowledged: [-258, -316])
    client.setEncodings([0, -258, -316])
    client.setEncodings([0])
    client.setEncodings([0, -316])
    #expect(try client.update().map(\.encoding) == [-316])
    #expect(!client.hasData(within: 50))
  }

  @Test func aViewerThatSendsScanCodesUnaskedIsTurnedOut() throws {
    let running = try RunningServer()
    let plain = try client(running, [], acknowledged: [])
    plain.send(Self.extendedKey(0x1E, 0x61, pressed: true))
    #expect(plain.isClosedByServer())
    let other = try client(running, [-258], acknowledged: [-258])
    other.send([255, 1, 0, 0])
    #expect(other.isClosedByServer())
    #expect(eventually { running.input.events == [.gone, .gone] })
  }

  @Test(arguments: [ViewerNews.Encoding.lights, ViewerNews.Encoding.vmwareLights])
  func lightsOfTheKeyboardAreTold(encoding: Int32) throws {
    let running = try RunningServer()
    running.server.setKeyboardLights(2)
    let client = try client(running, [encoding], acknowledged: [encoding])
    running.server.setKeyboardLights(6)
    _ = try client.update()
    running.server.setKeyboardLights(6)
    running.server.setKeyboardLights(0)
    _ = try client.update()
    #expect(client.lights == [2, 6, 0])
    #expect(!client.hasData(within: 50))
  }

  @Test func aViewerThatDoesNotAskIsToldNothing() throws {
    let running = try RunningServer()
    let client = try client(running, [], acknowledged: [])
    running.server.setKeyboardLights(7)
    #expect(!client.hasData(within: 50))
  }

  @Test func nineButtonsArrive() throws {
    let running = try RunningServer()
    let client = try client(running, [-316], acknowledged: [-316])
    client.pointer(x: 10, y: 20, buttons: 0x41)
    client.send([5, 0x81] + RFBClient.bytes16(11, 21) + [3])
    client.send([5, 0x80] + RFBClient.bytes16(12, 60_000) + [0xFC])
    #expect(eventually { running.input.events.count == 3 })
    #expect(
      running.input.events == [
        .pointer(10, 20, 0x41), .pointer(11, 21, 0x181), .pointer(12, 47, 0),
      ])
  }

  // MARK: Clipboard

  private static func cutText(_ bytes: [UInt8], length: Int32? = nil) -> [UInt8] {
    [6, 0, 0, 0] + RFBClient.bytes32(UInt32(bitPattern: length ?? Int32(bytes.count))) + bytes
  }

  private static func extended(_ flags: UInt32, _ bytes: [UInt8] = []) -> [UInt8] {
    cutText(RFBClient.bytes32(flags) + bytes, length: -4 - Int32(bytes.count))
  }

  /// A zlib stream of one stored block (RFC 1950, RFC 1951), without the checksum at its end.
  private static func stored(_ bytes: [UInt8]) -> [UInt8] {
    let count = UInt16(bytes.count)
    return [0x78, 0x01, 1, UInt8(count & 0xFF), UInt8(count >> 8), ~UInt8(count & 0xFF)]
      + [~UInt8(count >> 8)] + bytes
  }

  private func copies(_ messages: [[UInt8]], encodings: [Int32] = []) throws -> [FakeInput.Event] {
    let running = try RunningServer()
    let client = try running.client()
    try client.start(encodings: [0] + encodings)
    for message in messages { client.send(message) }
    client.key(1, pressed: true)
    #expect(eventually { running.input.events.last == .key(1, true) })
    return Array(running.input.events.dropLast())
  }

  @Test func copiedTextArrivesInLatin1AndInUTF8() throws {
    let events = try copies([
      Self.cutText(Array("plain".utf8)), Self.cutText([0x63, 0x61, 0x66, 0xE9]),
      Self.cutText(Array("€".utf8)), Self.cutText([]),
    ])
    #expect(events == [.copied("plain"), .copied("café"), .copied("€"), .copied("")])
  }

  @Test func aTextThatIsTooLongIsReadAwayAndNotKept() throws {
    let long = [UInt8](repeating: 0x61, count: 65_537)
    let events = try copies([Self.cutText(Array(long.dropLast())), Self.cutText(long)])
    #expect(events.count == 2)
    #expect(events.last == .copiedTooMuch(65_537))
  }

  @Test func aViewerThatAnnouncesWhatNobodyCopiesIsTurnedOut() throws {
    let running = try RunningServer()
    for length in [Int32.max, .min, 0x0400_0001] {
      let client = try running.client()
      try client.start()
      client.send(Self.cutText([1, 2, 3], length: length))
      #expect(client.isClosedByServer())
    }
  }

  @Test func theExtendedClipboardIsAskedForItsText() throws {
    let running = try RunningServer()
    let client = try running.client()
    try client.start(encodings: [0, ViewerNews.Encoding.clipboard])
    // The library's own come first.
    _ = try client.receive(16)
    #expect(try client.receive(16) == Viewer.clipboardCapabilities)
    client.send(Self.extended(1 << 27 | 1))
    #expect(try client.receive(12) == [3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFC, 2, 0, 0, 1])
    let text = Array("Grüße\r\n€\0".utf8)
    client.send(
      Self.extended(1 << 28 | 1, Self.stored(RFBClient.bytes32(UInt32(text.count)) + text)))
    #expect(eventually { running.input.events == [.copied("Grüße\r\n€")] })
    client.send(Self.extended(1 << 26))
    #expect(try client.receive(12) == [3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFC, 8, 0, 0, 0])
  }

  @Test func damagedAndBoundlessStreamsAreNoText() throws {
    let huge = RFBClient.bytes32(.max) + [UInt8](repeating: 0x61, count: 100)
    let cut = RFBClient.bytes32(50) + [0x61]
    // A block of code that repeats one byte without end.
    let bomb: [UInt8] = [0x78, 0x9C, 0xED, 0xC1, 0x01, 0x01, 0, 0, 0, 0x80, 0x90, 0xFE, 0xAF, 0xEE]
    let provide: UInt32 = 1 << 28 | 1
    let events = try copies([
      Self.extended(provide), Self.extended(provide, [0xFF, 0xFF, 0xFF]),
      Self.extended(provide, Self.stored(cut)), Self.extended(provide, Self.stored(huge)),
      Self.extended(provide, bomb), Self.cutText([1, 2], length: -2), Self.extended(1 << 24),
      Self.extended(1 << 25 | 1), Self.extended(0),
    ])
    #expect(events == [.copiedTooMuch(0xFFFF_FFFF)])
  }

  @Test func lightsThatChangeWhileTheViewerDoesNotReadAreOneMessage() {
    var news = ViewerNews()
    news.viewerUnderstands([ViewerNews.Encoding.lights])
    for lights in UInt8(0)..<8 { news.setLights(lights) }
    #expect(!news.isEmpty)
    #expect(news.take().count == 17)
    #expect(news.isEmpty && news.take() == [])
  }
}
