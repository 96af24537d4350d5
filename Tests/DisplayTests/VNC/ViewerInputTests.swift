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

  @Test func lightsThatChangeWhileTheViewerDoesNotReadAreOneMessage() {
    var news = ViewerNews()
    news.viewerUnderstands([ViewerNews.Encoding.lights])
    for lights in UInt8(0)..<8 { news.setLights(lights) }
    #expect(!news.isEmpty)
    #expect(news.take().count == 17)
    #expect(news.isEmpty && news.take() == [])
  }
}
