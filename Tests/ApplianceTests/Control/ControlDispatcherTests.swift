import Display
import Testing

@testable import Appliance

@Suite struct ControlDispatcherTests {
  private func answer(
    _ line: String, _ desktop: FakeDesktop = FakeDesktop()
  ) -> ControlDispatcher.Answer {
    ControlDispatcher(desktop: desktop).answer(Array(line.utf8))
  }

  @Test func repliesCarryTheRequestsNumber() {
    let answer = answer(#"{"v":1,"id":77,"method":"status"}"#)
    #expect(answer.reply.id == 77)
    #expect(answer.reply.error == nil)
    #expect(answer.reply.status?.pid == 42)
  }

  @Test func screenshotsAreABodyBehindTheLine() throws {
    let answer = answer(#"{"v":1,"id":1,"method":"screenshot"}"#)
    #expect(answer.reply.body == FakeDesktop.picture.count)
    #expect(answer.body == FakeDesktop.picture)
    let line = try ControlCoding.line(answer.reply)
    #expect(line.filter { $0 == 10 }.count == 1)
  }

  @Test func framesComeOnceAndAreThenKnownByTheirMark() throws {
    let first = answer(#"{"v":1,"method":"frame"}"#)
    let frame = try #require(first.reply.frame)
    #expect(frame.width == 3 && frame.height == 2)
    #expect(Array(first.body.prefix(8)) == [0, 0, 0, 0, 0x33, 0x22, 0x11, 0])
    #expect(first.reply.body == 24)
    let decoded = try #require(frame.frame(first.body))
    #expect(ControlFrame(decoded) == frame)
    let second = answer(#"{"v":1,"method":"frame","mark":"\#(frame.mark)"}"#)
    #expect(second.reply.frame == frame)
    #expect(second.body.isEmpty && second.reply.body == nil)
    #expect(frame.frame([1, 2, 3]) == nil)
  }

  @Test func screenshotsAreOfAPartAndASizeAndSayWhatTheyAre() throws {
    let desktop = FakeDesktop()
    let answer = answer(
      #"{"v":1,"method":"screenshot","region":[1,2,30,40],"scale":0.5}"#, desktop)
    #expect(desktop.log == ["screenshot [1, 2, 30, 40] 0.5"])
    #expect(answer.reply.picture?.sequence == 7)
  }

  @Test(arguments: [[0, 0, 0, 5], [0, 0, 5, -1], [1, 2, 3], [64, 0, 5, 5], [Int.max, 0, 9, 9]])
  func aRegionOutsideOfTheScreenIsRefused(region: [Int]) {
    let frame = Frame(size: FrameSize(width: 64, height: 48))
    #expect(throws: Complaint.self) { try PictureWish(region: region).applied(to: frame) }
  }

  @Test(arguments: [0, -1, 17, Double.nan, .infinity])
  func aScaleThatIsNoneIsRefused(scale: Double) {
    let frame = Frame(size: FrameSize(width: 64, height: 48))
    #expect(throws: Complaint.self) { try PictureWish(scale: scale).applied(to: frame) }
  }

  @Test func aPartIsCutAndScaled() throws {
    let frame = Frame(size: FrameSize(width: 64, height: 48))
    let part = try PictureWish(region: [60, 40, 100, Int.max], scale: 2).applied(to: frame)
    #expect(part.size == FrameSize(width: 8, height: 16))
    #expect(throws: Complaint.self) {
      try PictureWish(scale: 16).applied(
        to: Frame(size: FrameSize(width: 2048, height: 2048)))
    }
  }

  @Test func textSurvivesJSON() throws {
    let reply = answer(#"{"v":1,"method":"text"}"#).reply
    let line = try ControlCoding.line(reply)
    let again = try ControlCoding.message(ControlReply.self, in: line)
    #expect(again == reply)
    #expect(again.text == "C:\\>\u{2592}\n\"quoted\"\n")
  }

  @Test func whatTheGuestSaidOnItsSerialPortComesAsItIs() throws {
    let reply = answer(#"{"v":1,"method":"serial"}"#).reply
    let again = try ControlCoding.message(ControlReply.self, in: ControlCoding.line(reply))
    #expect(again.text == "\u{1B}[2Jdebian login: \r\n")
  }

  @Test func keysAndTextReachTheDesktop() {
    let desktop = FakeDesktop()
    _ = answer(#"{"v":1,"method":"type","text":"ls\n\u00e9"}"#, desktop)
    _ = answer(#"{"v":1,"method":"key","chord":"ctrl-alt-del"}"#, desktop)
    _ = answer(#"{"v":1,"method":"reset"}"#, desktop)
    _ = answer(#"{"v":1,"method":"paste"}"#, desktop)
    _ = answer(#"{"v":1,"method":"click","x":3,"y":4}"#, desktop)
    _ = answer(#"{"v":1,"method":"click","x":3,"y":4,"button":"none","times":2}"#, desktop)
    #expect(
      desktop.log == [
        "type ls\n\u{e9}", "press ctrl-alt-del", "reset", "paste", "click left 1 at 3,4",
        "click none 2 at 3,4",
      ])
  }

  @Test func savingNamesTheFileAndMayEndTheDesktop() {
    let desktop = FakeDesktop()
    #expect(!answer(#"{"v":1,"method":"save","path":"/a"}"#, desktop).stops)
    #expect(answer(#"{"v":1,"method":"save","path":"/a","stops":true}"#, desktop).stops)
    _ = answer(#"{"v":1,"method":"pause"}"#, desktop)
    _ = answer(#"{"v":1,"method":"resume"}"#, desktop)
    #expect(desktop.log == ["save /a", "save /a and hold", "pause", "resume"])
    #expect(answer(#"{"v":1,"method":"save"}"#).reply.error?.code == .badRequest)
    let relative = answer(#"{"v":1,"method":"save","path":"a"}"#, desktop)
    #expect(relative.reply.error?.code == .badRequest && !relative.stops)
  }

  @Test func thePowerButtonIsPressedAndTheDesktopRunsOn() {
    let desktop = FakeDesktop()
    let answer = answer(#"{"v":1,"method":"powerdown"}"#, desktop)
    #expect(answer.reply.error == nil && !answer.stops)
    #expect(desktop.log == ["power button"])
    let deaf = self.answer(#"{"v":1,"method":"powerdown"}"#, FakeDesktop(isGraphical: true))
    #expect(deaf.reply.error?.message == "the guest does not listen")
  }

  @Test func theDesktopStopsOnlyAfterTheReply() {
    let desktop = FakeDesktop()
    let answer = answer(#"{"v":1,"method":"stop"}"#, desktop)
    #expect(answer.stops)
    #expect(desktop.log == [])
  }

  @Test func theDesktopsOwnSentenceComesBack() {
    let graphics = answer(#"{"v":1,"id":3,"method":"text"}"#, FakeDesktop(isGraphical: true)).reply
    #expect(graphics.error == ControlFailure(code: .failed, message: "the screen shows graphics"))
    #expect(graphics.id == 3)
    let key = answer(#"{"v":1,"method":"key","chord":"hyper-x"}"#).reply
    #expect(key.error?.message == "there is no key hyper")
  }

  @Test func missingFieldsAreNamed() {
    for field in [#""x":1"#, #""x":1,"y":2,"button":"nose""#, #""x":1,"y":2,"times":101"#] {
      let line = "{\"v\":1,\"method\":\"click\",\(field)}"
      #expect(answer(line).reply.error?.code == .badRequest)
    }
    #expect(answer(#"{"v":1,"method":"type"}"#).reply.error?.message.contains("text") == true)
    #expect(answer(#"{"v":1,"method":"key"}"#).reply.error?.message.contains("chord") == true)
  }

  @Test func otherVersionsAndMethodsAreRefusedByName() {
    #expect(answer(#"{"v":2,"method":"status"}"#).reply.error?.code == .unsupportedVersion)
    #expect(answer(#"{"v":1,"method":"explode"}"#).reply.error?.code == .unknownMethod)
  }

  @Test(arguments: [
    "", "{", "null", "[]", "7", "\"status\"", "{}", #"{"v":"1","method":"status"}"#,
    #"{"v":1}"#, #"{"v":1e400,"method":"status"}"#, #"{"v":1,"method":"type","text":7}"#,
    "\u{0}", String(repeating: "[", count: 100_000),
  ])
  func garbageGetsAnErrorAndTouchesNothing(line: String) {
    let desktop = FakeDesktop()
    #expect(answer(line, desktop).reply.error?.code == .badRequest)
    #expect(desktop.log == [])
  }

  @Test func bytesThatAreNoTextGetAnError() {
    let desktop = FakeDesktop()
    let answer = ControlDispatcher(desktop: desktop).answer([0xFF, 0xFE, 0x00, 0x80])
    #expect(answer.reply.error?.code == .badRequest)
  }
}
