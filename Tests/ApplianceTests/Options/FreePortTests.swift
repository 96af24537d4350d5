import Glibc
import Testing

@testable import Appliance

@Suite struct FreePortTests {
  /// Listens at the first free port, as a desktop does; once more where another desktop was faster.
  private func listen() throws -> (port: UInt16, descriptor: Int32) {
    for _ in 0..<50 {
      if let result = try listenOnce() { return result }
    }
    throw Taken()
  }

  private struct Taken: Error {}

  private func listenOnce() throws -> (port: UInt16, descriptor: Int32)? {
    let port = try FreePort.first(host: "127.0.0.1")
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard bound == 0, Glibc.listen(descriptor, 1) == 0 else {
      close(descriptor)
      return nil
    }
    return (port, descriptor)
  }

  @Test func aPortInUseIsPassedOver() throws {
    let first = try listen()
    defer { close(first.descriptor) }
    let second = try listen()
    defer { close(second.descriptor) }
    #expect(first.port >= 5900)
    #expect(second.port > first.port)
  }

  @Test func whatIsFullIsToldWithItsPorts() throws {
    let taken = try listen()
    defer { close(taken.descriptor) }
    let one = taken.port...taken.port
    #expect(try FreePort.first(host: "127.0.0.1", of: [one, 1...65_535]) != taken.port)
    let error = #expect(throws: Complaint.self) {
      try FreePort.first(host: "127.0.0.1", of: [one])
    }
    #expect(error?.description.contains("\(taken.port) to \(taken.port) of 127.0.0.1") == true)
    #expect(error?.description.contains("--vnc 127.0.0.1:20000-20999") == true)
  }

  @Test func aHostThatIsNoneIsLeftToTheServer() throws {
    #expect(try FreePort.first(host: "999.999.999.999") == 5900)
  }
}
