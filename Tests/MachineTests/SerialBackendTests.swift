import Glibc
import KVMEngine
import Testing

@testable import Machine

struct SerialBackendTests {
  @Test func aPeerThatDoesNotReadHoldsUpNoStop() throws {
    let path = "/tmp/porthole-serial-\(getpid()).sock"
    let backend = try SerialBackend(.socket(path)) { $0.count }
    try backend.start()
    let peer = try connected(to: path)
    defer { close(peer) }
    usleep(100_000)
    for _ in 0..<1_000_000 { backend.send(0x55) }
    usleep(100_000)
    let start = Monitor.monotonic()
    backend.stop()
    #expect(Monitor.monotonic() - start < 5_000_000_000)
  }

  @Test func whatWasSaidBeforeSomebodyListenedComesFirst() throws {
    let path = "/tmp/porthole-serial-early-\(getpid()).sock"
    let backend = try SerialBackend(.socket(path)) { $0.count }
    try backend.start()
    for byte in repeatElement(UInt8(ascii: "-"), count: 100_000) + Array("early ".utf8) {
      backend.send(byte)
    }
    usleep(100_000)
    let peer = try connected(to: path)
    defer { close(peer) }
    usleep(100_000)
    for byte in "late".utf8 { backend.send(byte) }
    var said: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !said.suffix(4).elementsEqual("late".utf8) {
      let count = read(peer, &buffer, buffer.count)
      try #require(count > 0)
      said += buffer.prefix(count)
    }
    #expect(String(decoding: said.suffix(14), as: UTF8.self) == "----early late")
    #expect(said.count == 65_540)
    backend.stop()
  }

  private func connected(to path: String) throws -> Int32 {
    let peer = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let connected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(peer, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(connected == 0)
    return peer
  }
}
