import Glibc
import KVMEngine
import Testing

@testable import Appliance

/// A subscriber over a pair of sockets: the hub's thread, and what the peer reads.
private func subscribed(
  _ hub: EventHub, _ body: (Int32) throws -> Void
) throws {
  var pair: [Int32] = [-1, -1]
  #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
  let (near, far) = (pair[0], pair[1])
  let thread = try KVMEngine.Thread(name: "subscriber") { hub.serve(ControlStream(owning: near)) }
  defer { thread.join() }
  defer { close(far) }
  try body(far)
}

private func lines(_ descriptor: Int32, _ count: Int) throws -> [String] {
  let stream = ControlStream(owning: dup(descriptor))
  return try (0..<count).map { _ in
    String(
      decoding: try stream.readLine(limit: 1 << 20, patience: 20_000_000_000), as: UTF8.self)
  }
}

@Test func subscribersAreToldInOrder() throws {
  let hub = EventHub()
  hub.begin {
    var mode = ControlEvent(.mode)
    (mode.width, mode.height, mode.text) = (720, 400, true)
    return mode
  }
  try subscribed(hub) { descriptor in
    let first = try lines(descriptor, 2)
    #expect(first[0].contains("\"event\":\"started\""))
    #expect(first[1].contains("\"mode\"") && first[1].contains("\"width\":720"))
    hub.publish(ControlEvent(of: .viewerCame(count: 2)))
    hub.publish(ControlEvent(.reset))
    let next = try lines(descriptor, 2)
    #expect(next[0].contains("viewer-came") && next[0].contains("\"viewers\":2"))
    #expect(next[1].contains("\"reset\""))
    var event = ControlEvent(.stopped)
    event.reason = "switched off"
    hub.end(event)
    #expect(try lines(descriptor, 1)[0].contains("\"reason\":\"switched off\""))
  }
}

@Test func aSlowSubscriberIsDroppedAndHoldsNobodyUp() throws {
  let hub = EventHub()
  try subscribed(hub) { descriptor in
    // Its socket's buffer and its queue have an end; who publishes does not notice.
    usleep(150_000)
    for _ in 0..<20_000 { hub.publish(ControlEvent(.reset)) }
    let stream = ControlStream(owning: dup(descriptor))
    var last = ""
    while let line = try? stream.readLine(limit: 1 << 20, patience: 20_000_000_000) {
      last = String(decoding: line, as: UTF8.self)
    }
    #expect(last.contains("too-slow"))
  }
}

@Test func aSubscriberThatGoesIsForgotten() throws {
  let hub = EventHub()
  try subscribed(hub) { _ in }
  hub.publish(ControlEvent(.paused))
  hub.end(ControlEvent(.stopped))
}
