import Glibc
import KVMEngine
import Testing

@testable import Display

@Suite(.serialized, .timeLimit(.minutes(1))) struct VNCListenerTests {
  private func temporary(_ name: String) -> String {
    "\(P_tmpdir)/porthole-vnc-\(getpid())-\(name).sock"
  }

  private func problem(_ address: VNCConfiguration.Address) -> String? {
    do throws(HostError) {
      try VNCListener(address).close()
      return nil
    } catch {
      return error.description
    }
  }

  @Test func portInUseIsNamed() throws {
    let first = try VNCListener(.tcp(host: "127.0.0.1", port: 0))
    defer { first.close() }
    #expect(first.port != 0)
    #expect(
      problem(.tcp(host: "127.0.0.1", port: first.port))
        == "cannot listen for VNC viewers on port \(first.port) of 127.0.0.1: "
        + "address already in use; choose another with --vnc")
  }

  @Test func unknownHostIsNamed() {
    #expect(
      problem(.tcp(host: "no such host", port: 0))?.hasPrefix(
        "cannot listen for VNC viewers on port 0 of no such host; no address of this name") == true)
    #expect(
      problem(.tcp(host: "192.0.2.1", port: 0))?.hasSuffix("this host has no such address") == true)
  }

  @Test func viewerIsServedOverAUnixSocket() throws {
    let path = temporary("serve")
    do {
      let running = try RunningServer { $0.address = .unix(path: path) }
      #expect(running.server.port == 0)
      var status = stat()
      #expect(stat(path, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600)
      let client = try RFBClient(path: path)
      try client.start()
      client.request(incremental: false)
      _ = try client.update()
      #expect(client.pixels[0] == 0x102030)
    }
    #expect(access(path, F_OK) != 0)
  }

  @Test func socketThatSomebodyAnswersOnIsLeftAlone() throws {
    let path = temporary("busy")
    let first = try VNCListener(.unix(path: path))
    defer { first.close() }
    #expect(problem(.unix(path: path))?.contains("another desktop answers there") == true)
    #expect(access(path, F_OK) == 0)
  }

  @Test func socketLeftBehindIsReplaced() throws {
    let path = temporary("stale")
    let first = try VNCListener(.unix(path: path))
    Glibc.close(first.descriptor)
    #expect(access(path, F_OK) == 0)
    #expect(problem(.unix(path: path)) == nil)
  }

  @Test func fileInTheWayIsLeftAlone() {
    let path = temporary("file")
    Glibc.close(open(path, O_CREAT | O_WRONLY, 0o600))
    defer { unlink(path) }
    #expect(problem(.unix(path: path))?.hasSuffix("it is not a socket") == true)
    #expect(access(path, F_OK) == 0)
  }

  @Test func longPathIsRefused() {
    let path = "/tmp/" + String(repeating: "x", count: 110)
    #expect(
      problem(.unix(path: path))?.hasSuffix(
        "a socket's path has at most 107 bytes, this one has 115") == true)
  }
}
