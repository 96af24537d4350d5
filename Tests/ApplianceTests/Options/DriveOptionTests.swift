import Storage
import Testing

@testable import Appliance

@Suite struct DriveOptionTests {
  @Test func optionsStandBehindCommas() throws {
    var wanted = DriveOption(path: "a.img")
    #expect(try DriveOption.parse("a.img") == wanted)
    wanted.cache = CacheMode.none
    wanted.format = .raw
    #expect(try DriveOption.parse("a.img,cache=none,format=raw") == wanted)
    wanted.isReadOnly = true
    #expect(try DriveOption.parse("a.img,read-only,format=raw,cache=none") == wanted)
  }

  @Test func aNameMayHaveCommas() throws {
    #expect(try DriveOption.parse("a.img,discard=ignore").discard == .ignore)
    #expect(try DriveOption.parse("a,b.img").path == "a,b.img")
    #expect(try DriveOption.parse("a,b,cache=unsafe").path == "a,b")
    #expect(try DriveOption.parse("a,format=raw,format=qcow2").path == "a,format=raw")
    #expect(try DriveOption.parse("a,colour=red").path == "a,colour=red")
  }

  @Test(arguments: ["", ",format=raw", "a,format=vmdk", "a,cache=fast", "a,discard=all"])
  func whatMakesNoSenseIsRefused(text: String) {
    #expect(throws: Complaint.self) { try DriveOption.parse(text) }
  }
}
