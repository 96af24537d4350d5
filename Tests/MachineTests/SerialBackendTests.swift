import Glibc
import KVMEngine
import Testing

@testable import Machine

struct SerialBackendTests {
  @Test func aPeerThatDoesNotReadHoldsUpNoStop() throws {
    let path = "/tmp/porthole-serial-\(getpid()).sock"
    let backend = try SerialBackend(.socket(path)) { $0.count }
    try backend.start()
    let peer = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(peer) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let connected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(peer, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(connected == 0)
    usleep(100_000)
    for _ in 0..<1_000_000 { backend.send(0x55) }
    usleep(100_000)
    let start = Monitor.monotonic()
    backend.stop()
    #expect(Monitor.monotonic() - start < 5_000_000_000)
  }
}
