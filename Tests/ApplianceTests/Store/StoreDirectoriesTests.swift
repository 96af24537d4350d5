import Glibc
import Testing

@testable import Appliance

@Test func theStoreIsWhereTheEnvironmentSays() throws {
  func root(_ user: uid_t, _ environment: [String: String]) throws -> String {
    try StoreDirectories.locate(user: user) { environment[$0] }.root
  }
  #expect(try root(0, [:]) == "/var/lib/porthole")
  #expect(try root(0, ["PORTHOLE_HOME": "/x"]) == "/x")
  #expect(try root(7, ["HOME": "/home/a"]) == "/home/a/.local/share/porthole")
  #expect(try root(7, ["HOME": "/home/a", "XDG_DATA_HOME": "/data"]) == "/data/porthole")
  #expect(try root(7, ["HOME": "/home/a", "XDG_DATA_HOME": "data"]).hasPrefix("/home/a"))
  #expect(throws: Complaint.self) { try root(7, ["PORTHOLE_HOME": "x"]) }
  #expect(throws: Complaint.self) { try root(7, [:]) }
}

@Test func aDurableFileIsReplacedWhole() throws {
  try withTemporaryFolder { folder in
    let path = folder + "/a/b"
    try StoreDirectories.make(path)
    try StoreDirectories.make(path)
    let file = path + "/file"
    #expect(try DurableFile.read(file, limit: 10) == nil)
    try DurableFile.replace(file, with: [1, 2, 3])
    try DurableFile.replace(file, with: Array(repeating: 7, count: 9000))
    #expect(try DurableFile.read(file, limit: 100) == Array(repeating: 7, count: 101))
    #expect(throws: (any Error).self) { try DurableFile.replace(file + "/x", with: []) }
  }
}
