import Testing

@testable import Appliance

@Suite struct VNCAddressTests {
  @Test(arguments: [
    ("none", VNCAddress.none),
    (":0", .tcp(host: "127.0.0.1", port: 5900)),
    (":17", .tcp(host: "127.0.0.1", port: 5917)),
    ("127.0.0.1:5901", .tcp(host: "127.0.0.1", port: 5901)),
    ("127.0.0.1:6000-6999", .range(host: "127.0.0.1", ports: 6000...6999)),
    ("[::1]:7000-7000", .range(host: "::1", ports: 7000...7000)),
    ("0.0.0.0", .tcp(host: "0.0.0.0", port: nil)),
    ("localhost:0", .tcp(host: "localhost", port: 0)),
    ("[::1]:5900", .tcp(host: "::1", port: 5900)),
    ("[::]", .tcp(host: "::", port: nil)),
    ("unix:/run/a:b", .unix(path: "/run/a:b")),
  ])
  func readsAddresses(text: String, address: VNCAddress) throws {
    #expect(try VNCAddress.parse(text) == address)
  }

  @Test(arguments: [
    "", ":", ":-1", ":59636", ":x", "host:", "host:65536", "host:+1", "::1", "[::1", "[]:1",
    "[::1]5900", "unix:", "host:2-1", "host:0-5", "host:5-", "host:-5", "host:1-65536", ":1-2",
  ])
  func refusesWhatIsNoAddress(text: String) {
    #expect(throws: Complaint.self) { try VNCAddress.parse(text) }
  }

  @Test(arguments: ["::1", "::1:5900", "fe80::1", "::"])
  func asksForBracketsAroundIPv6(text: String) {
    let error = #expect(throws: Complaint.self) { try VNCAddress.parse(text) }
    #expect(error?.description.contains("[::1]:5900") == true)
  }

  @Test func tellsLoopbackFromTheNetwork() throws {
    for text in ["none", "unix:/x", "127.0.0.1:1", "127.9.9.9", "[::1]", "localhost", ":1"] {
      #expect(try VNCAddress.parse(text).isLocal, "\(text)")
    }
    for text in ["0.0.0.0:5900", "[::]", "192.168.0.1", "desk.example:5900"] {
      #expect(try !VNCAddress.parse(text).isLocal, "\(text)")
    }
  }

  @Test func showsThePortThatWasTaken() {
    #expect(VNCAddress.standard.text(port: 5903) == "127.0.0.1:5903")
    #expect(VNCAddress.tcp(host: "::1", port: nil).text(port: 5900) == "[::1]:5900")
    #expect(VNCAddress.unix(path: "/run/x").text(port: nil) == "unix:/run/x")
  }
}
