import Glibc
import KVMEngine
import Testing

@testable import Appliance

/// The server over real sockets, with real clients.
@Suite struct ControlServerTests {
  private static let second: UInt64 = 1_000_000_000

  private func withServer(
    _ desktop: FakeDesktop = FakeDesktop(), _ body: (RuntimeDirectory) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      let directory = try RuntimeDirectory(path: folder + "/porthole")
      let (name, listener) = try directory.claim("fake", backlog: 16)
      let server = ControlServer(
        owning: listener, path: directory.socketPath(name), desktop: desktop)
      try server.start()
      defer { server.stop() }
      try body(directory)
    }
  }

  private func raw(_ directory: RuntimeDirectory) throws -> ControlStream {
    ControlStream(owning: try UnixSocket.connect(path: directory.socketPath("fake")))
  }

  private func ask(_ stream: ControlStream, _ line: String) throws -> ControlReply {
    try stream.write(Array((line + "\n").utf8), patience: Self.second)
    let reply = try stream.readLine(limit: 1 << 20, patience: 5 * Self.second)
    return try ControlCoding.message(ControlReply.self, in: reply)
  }

  @Test func everyMethodWorksOverOneConnection() throws {
    let desktop = FakeDesktop()
    try withServer(desktop) { directory in
      let client = try ControlClient(nil, in: directory)
      #expect(client.name == "fake")
      #expect(try client.call(.screenshot).body == FakeDesktop.picture)
      #expect(try client.call(.text).reply.text?.hasPrefix("C:\\>") == true)
      try client.call(.type, text: "dir\n", waits: true)
      try client.call(.key, chord: "f10", waits: true)
      #expect(try client.call(.status).reply.status == desktop.status)
      #expect(desktop.log == ["type dir\n", "press f10"])
    }
  }

  @Test func theDesktopsSentenceIsTheClientsError() throws {
    try withServer(FakeDesktop(isGraphical: true)) { directory in
      let client = try ControlClient("fake", in: directory)
      let error = #expect(throws: ControlFailure.self) { try client.call(.text) }
      #expect(error?.description == "the screen shows graphics")
    }
  }

  @Test func garbageHurtsNeitherTheConnectionNorOthers() throws {
    let desktop = FakeDesktop()
    try withServer(desktop) { directory in
      let other = try raw(directory)
      let stream = try raw(directory)
      #expect(try ask(stream, "GET / HTTP/1.1").error?.code == .badRequest)
      #expect(try ask(stream, #"{"v":1,"id":9,"method":"status"}"#).id == 9)
      #expect(try ask(other, #"{"v":1,"id":5,"method":"status"}"#).id == 5)
      #expect(desktop.log == [])
    }
  }

  @Test func anEndlessLineEndsItsConnectionWithASentence() throws {
    try withServer { directory in
      let stream = try raw(directory)
      let flood = [UInt8](repeating: 0x41, count: ControlProtocol.longestLine)
      try stream.write(flood, patience: Self.second)
      let reply = try stream.readLine(limit: 1 << 20, patience: 5 * Self.second)
      #expect(
        try ControlCoding.message(ControlReply.self, in: reply).error?.code == .tooLong)
      #expect(throws: ControlStream.Failure.ended) {
        try stream.readLine(limit: 100, patience: 5 * Self.second)
      }
    }
  }

  @Test func oneConnectionTooManyIsToldSoAndPlacesComeFreeAgain() throws {
    try withServer { directory in
      var streams: [ControlStream] = []
      for _ in 0..<ControlProtocol.mostConnections {
        let stream = try raw(directory)
        #expect(try ask(stream, #"{"v":1,"method":"status"}"#).error == nil)
        streams.append(stream)
      }
      let busy = try raw(directory).readLine(limit: 1 << 20, patience: 5 * Self.second)
      #expect(try ControlCoding.message(ControlReply.self, in: busy).error?.code == .busy)
      streams.removeAll()
      let deadline = Monitor.monotonic() + 5 * Self.second
      while true {
        let reply = try? ask(try raw(directory), #"{"v":1,"method":"status"}"#)
        if let reply, reply.error == nil { break }
        try #require(Monitor.monotonic() < deadline)
        usleep(2_000)
      }
    }
  }

  @Test func connectionsThatEndedLeaveNoThreadBehind() throws {
    try withServer { directory in
      for _ in 0..<200 {
        let stream = try raw(directory)
        #expect(try ask(stream, #"{"v":1,"method":"status"}"#).error == nil)
      }
      // Threads that ended but were not joined keep their stacks: 512 KiB each.
      #expect(try Self.mapped(ofSize: 512) < 40)
    }
  }

  /// How many mappings of this process have about `size` KiB.
  private static func mapped(ofSize size: Int) throws -> Int {
    let descriptor = open("/proc/self/maps", O_RDONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count <= 0 { break }
      text += buffer.prefix(count)
    }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").filter { line in
      let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { Int($0, radix: 16) }
      guard ends.count == 2 else { return false }
      return (size...(size + 16)).contains((ends[1] - ends[0]) / 1024)
    }.count
  }

  @Test func stopAnswersAndThenStops() throws {
    let desktop = FakeDesktop()
    try withServer(desktop) { directory in
      try ControlClient("fake", in: directory).call(.stop)
      let deadline = Monitor.monotonic() + 5 * Self.second
      while desktop.log != ["stop"] {
        try #require(Monitor.monotonic() < deadline)
        usleep(2_000)
      }
    }
  }

  @Test func aStoppedServerLeavesNoSocketBehind() throws {
    try withTemporaryFolder { folder in
      let directory = try RuntimeDirectory(path: folder + "/porthole")
      let (name, listener) = try directory.claim(nil, backlog: 16)
      let path = directory.socketPath(name)
      let server = ControlServer(owning: listener, path: path, desktop: FakeDesktop())
      try server.start()
      #expect(try directory.runningNames() == ["porthole"])
      server.stop()
      #expect(access(path, F_OK) != 0)
      #expect(try directory.runningNames() == [])
    }
  }
}
