import Glibc
import Testing

@testable import Appliance

@Suite struct ControlStreamTests {
  private static let second: UInt64 = 1_000_000_000

  private func pair() throws -> (ControlStream, ControlStream) {
    var ends: [Int32] = [-1, -1]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
    return (ControlStream(owning: ends[0]), ControlStream(owning: ends[1]))
  }

  @Test func linesComeOneByOneHoweverTheyWereSent() throws {
    let (near, far) = try pair()
    try near.write(Array("one\ntw".utf8), patience: Self.second)
    #expect(try far.readLine(limit: 100, patience: Self.second) == Array("one".utf8))
    try near.write(Array("o\n\nthree\n".utf8), patience: Self.second)
    #expect(try far.readLine(limit: 100, patience: Self.second) == Array("two".utf8))
    #expect(try far.readLine(limit: 100, patience: Self.second) == [])
    #expect(try far.readLine(limit: 100, patience: Self.second) == Array("three".utf8))
  }

  @Test func aBodyMayHoldLineFeeds() throws {
    let (near, far) = try pair()
    try near.write(Array("head\na\nb\nnext\n".utf8), patience: Self.second)
    _ = try far.readLine(limit: 100, patience: Self.second)
    #expect(try far.readBody(count: 4, patience: Self.second) == Array("a\nb\n".utf8))
    #expect(try far.readLine(limit: 100, patience: Self.second) == Array("next".utf8))
  }

  @Test func aLineWithoutEndIsRefusedBeforeItIsStored() throws {
    let (near, far) = try pair()
    try near.write([UInt8](repeating: 65, count: 5000), patience: Self.second)
    #expect(throws: ControlStream.Failure.tooLong) {
      try far.readLine(limit: 4096, patience: Self.second)
    }
  }

  @Test func aLineThatEndsBeyondTheLimitIsRefused() throws {
    let (near, far) = try pair()
    try near.write(Array("12345678\n".utf8), patience: Self.second)
    #expect(throws: ControlStream.Failure.tooLong) {
      try far.readLine(limit: 8, patience: Self.second)
    }
  }

  @Test func aSilentPeerIsNotWaitedFor() throws {
    let (near, far) = try pair()
    try near.write(Array("half".utf8), patience: Self.second)
    #expect(throws: ControlStream.Failure.timedOut) {
      try far.readLine(limit: 100, patience: 20_000_000)
    }
  }

  @Test func aPeerThatTakesNothingIsNotWaitedFor() throws {
    let (near, far) = try pair()
    #expect(throws: ControlStream.Failure.timedOut) {
      try near.write([UInt8](repeating: 0, count: 8 << 20), patience: 20_000_000)
    }
    withExtendedLifetime(far) {}
  }

  @Test func theEndIsToldFromACut() throws {
    var (near, far): (ControlStream?, ControlStream) = try pair()
    try near?.write(Array("whole\n".utf8), patience: Self.second)
    near = nil
    _ = try far.readLine(limit: 100, patience: Self.second)
    #expect(throws: ControlStream.Failure.ended) {
      try far.readLine(limit: 100, patience: Self.second)
    }
    (near, far) = try pair()
    try near?.write(Array("par".utf8), patience: Self.second)
    near = nil
    #expect(throws: ControlStream.Failure.cut) {
      try far.readLine(limit: 100, patience: Self.second)
    }
  }
}
