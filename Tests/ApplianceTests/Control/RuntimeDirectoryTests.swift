import Glibc
import Testing

@testable import Appliance

@Suite struct RuntimeDirectoryTests {
  @Test func aNameIsGivenOnce() throws {
    try withTemporaryFolder { folder in
      let directory = try RuntimeDirectory(path: folder + "/p")
      let first = try directory.claim("desk", backlog: 1)
      defer { close(first.descriptor) }
      let error = #expect(throws: Complaint.self) { try directory.claim("desk", backlog: 1) }
      #expect(error?.description.contains("named desk runs already") == true)
    }
  }

  @Test func desktopsWithoutANameCountUp() throws {
    try withTemporaryFolder { folder in
      let directory = try RuntimeDirectory(path: folder + "/p")
      let first = try directory.claim(nil, backlog: 1)
      let second = try directory.claim(nil, backlog: 1)
      #expect([first.name, second.name] == ["porthole", "porthole-2"])
      #expect(try directory.runningNames() == ["porthole", "porthole-2"])
      close(first.descriptor)
      #expect(try directory.runningNames() == ["porthole-2"])
      let third = try directory.claim(nil, backlog: 1)
      #expect(third.name == "porthole")
      close(second.descriptor)
      close(third.descriptor)
    }
  }

  @Test func aDeadDesktopsSocketIsTakenAway() throws {
    try withTemporaryFolder { folder in
      let directory = try RuntimeDirectory(path: folder + "/p")
      close(try directory.claim("dead", backlog: 1).descriptor)
      #expect(access(directory.socketPath("dead"), F_OK) == 0)
      #expect(try directory.runningNames() == [])
      #expect(access(directory.socketPath("dead"), F_OK) != 0)
    }
  }

  @Test func aFullQueueIsNoDeadDesktop() throws {
    try withTemporaryFolder { folder in
      let directory = try RuntimeDirectory(path: folder + "/p")
      let desktop = try directory.claim("busy", backlog: 0)
      let waiting = try UnixSocket.connect(path: directory.socketPath("busy"))
      #expect(try directory.runningNames() == ["busy"])
      #expect(try directory.runningNames() == ["busy"])
      close(waiting)
      close(desktop.descriptor)
    }
  }

  @Test func theFolderAndTheSocketAreForOneUser() throws {
    try withTemporaryFolder { folder in
      let directory = try RuntimeDirectory(path: folder + "/p")
      let desktop = try directory.claim("mine", backlog: 1)
      defer { close(desktop.descriptor) }
      var status = stat()
      #expect(stat(directory.path, &status) == 0 && status.st_mode & 0o777 == 0o700)
      #expect(stat(directory.socketPath("mine"), &status) == 0 && status.st_mode & 0o077 == 0)
    }
  }

  @Test func aFolderThatOthersCanOpenIsRefused() throws {
    try withTemporaryFolder { folder in
      _ = chmod(folder, 0o755)
      let error = #expect(throws: Complaint.self) { try RuntimeDirectory(path: folder) }
      #expect(error?.description.contains("nobody else can open") == true)
      symlink(folder, folder + "/link")
      #expect(throws: Complaint.self) { try RuntimeDirectory(path: folder + "/link") }
    }
  }

  @Test func aPathTooLongForASocketIsASentence() throws {
    try withTemporaryFolder { folder in
      let directory = try RuntimeDirectory(
        path: folder + "/" + String(repeating: "d", count: 100))
      let error = #expect(throws: Complaint.self) { try directory.claim("desk", backlog: 1) }
      #expect(error?.description.contains("may have 107") == true)
    }
  }
}
