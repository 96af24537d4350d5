import Configuration
import Glibc
import Testing

@testable import Appliance

private func withStore(_ body: (DesktopStore) throws -> Void) throws {
  try withTemporaryFolder { try body(try DesktopStore.open(StoreDirectories(root: $0 + "/store"))) }
}

private func write(_ text: String, _ folder: DesktopFolder) throws {
  try DurableFile.create(folder.configurationPath, with: Array(text.utf8))
}

private func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "no error"
  } catch {
    return "\(error)"
  }
}

@Test func aStoreThatIsNotThereIsEmpty() throws {
  try withStore { store in
    let names = try store.names()
    #expect(names == [])
    #expect(message { _ = try store.find("a") }.contains("porthole create a"))
    #expect(message { _ = try store.find("../a") }.contains("no desktop named ../a"))
  }
}

@Test func desktopsAreMadeRenamedAndDeleted() throws {
  try withStore { store in
    _ = try store.make("desk-1") { try write("memory: 64M\n", $0) }
    #expect(try store.names() == ["desk-1"])
    #expect(try store.find("desk-1").configuration()["memory"] == "64M")
    #expect(message { _ = try store.find("desk-2") }.contains("did you mean desk-1?"))
    #expect(message { _ = try store.make("desk-1") { _ in } }.contains("exists already"))
    try store.rename(try store.find("desk-1"), to: "other")
    #expect(try store.names() == ["other"])
    try store.delete(try store.find("other"))
    #expect(try store.names() == [])
    #expect(message { try store.delete(store.folder("other")) }.contains("there is no desktop"))
  }
}

@Test func whatFailsInTheMakingLeavesNothing() throws {
  try withStore { store in
    let failure = message {
      _ = try store.make("desk") {
        try write("", $0)
        throw Complaint("no room")
      }
    }
    let names = try Folder.names(in: store.directories.desktops)
    #expect(failure == "no room" && names == [])
  }
}

@Test func aNameIsGivenOnceOnly() throws {
  try withStore { store in
    let failure = message {
      _ = try store.make("desk") { _ in _ = try store.make("desk") { try write("a: 1", $0) } }
    }
    let names = try store.names()
    #expect(failure.contains("exists already") && names == ["desk"])
  }
}

@Test func theNextCommandRemovesWhatAKilledOneLeft() throws {
  try withStore { store in
    let desktops = store.directories.desktops
    _ = try store.make("whole") { try write("", $0) }
    for name in [".making-a-1", ".gone-b-2"] {
      try StoreDirectories.make(desktops + "/" + name + "/sub")
      try DurableFile.create(desktops + "/" + name + "/lock", with: [])
    }
    // A folder that is killed before its lock is made, and one that a command is at work on.
    try StoreDirectories.make(desktops + "/.making-c-3")
    let busy = DesktopFolder(name: "d", path: desktops + "/.making-d-4")
    try StoreDirectories.make(busy.path)
    let lock = try #require(try DesktopLock.attempt(busy))
    _ = try DesktopStore.open(store.directories)
    withExtendedLifetime(lock) {}
    #expect(try Folder.names(in: desktops) == [".making-d-4", "whole"])
  }
}

@Test func aLockTellsWhoHasIt() throws {
  try withStore { store in
    _ = try store.make("desk") { try write("", $0) }
    let folder = try store.find("desk")
    #expect(try DesktopLock.holder(of: folder) == .nobody)
    do {
      let reading = try DesktopLock.take(folder, shared: true)
      #expect(try DesktopLock.holder(of: folder) == .readers)
      let another = try DesktopLock.attempt(folder, shared: true)
      #expect(another != nil)
      #expect(try DesktopLock.attempt(folder) == nil)
      withExtendedLifetime(reading) {}
    }
    let lock = try DesktopLock.take(folder)
    #expect(try DesktopLock.holder(of: folder) == .writer(nil))
    lock.write(DesktopRecord(pid: getpid(), socket: "/run/desk.sock"))
    let record = DesktopRecord(pid: getpid(), socket: "/run/desk.sock")
    #expect(try DesktopLock.holder(of: folder) == .writer(record))
    #expect(message { _ = try DesktopLock.take(folder) }.contains("desk runs; stop it first"))
    #expect(message { try store.delete(folder) }.contains("stop it first"))
    #expect(message { try store.rename(folder, to: "x") }.contains("stop it first"))
    withExtendedLifetime(lock) {}
  }
}

@Test func aChangeOfTheConfigurationIsWholeOrNot() throws {
  try withStore { store in
    _ = try store.make("desk") { try write("memory: 64M\n", $0) }
    let folder = try store.find("desk")
    // What a killed command left of its change is gone with the next one.
    let dead = store.directories.desktops + "/.making-desk-1"
    mkdir(dead, 0o700)
    try DurableFile.create(dead + "/desktop.yaml", with: [1, 2])
    _ = try DesktopStore.open(store.directories)
    #expect(try Folder.names(in: store.directories.desktops) == ["desk"])
    try folder.change { try $0.set("cpus", ["2"]) }
    let names = try Folder.names(in: folder.path)
    #expect(names == ["desktop.yaml", "lock"])
    #expect(try folder.configuration().values == ["memory": ["64M"], "cpus": ["2"]])
    #expect(message { try folder.change { try $0.set("cpus", ["no"]) } }.hasPrefix("cpus: "))
    #expect(try folder.configuration()["cpus"] == "2")
    unlink(folder.configurationPath)
    #expect(message { _ = try folder.configuration() }.contains("desktop.yaml is missing"))
  }
}

@Test func aCopyKeepsHolesAndBytes() throws {
  try withTemporaryFolder { folder in
    let (source, target) = (folder + "/a", folder + "/b")
    let descriptor = open(source, O_RDWR | O_CREAT, 0o600)
    defer { close(descriptor) }
    ftruncate(descriptor, 1 << 30)
    let bytes = Array("in the middle".utf8)
    pwrite(descriptor, bytes, bytes.count, 500 << 20)
    try FileCopy.make(source, target)
    var status = stat()
    #expect(stat(target, &status) == 0 && status.st_size == 1 << 30)
    #expect(status.st_blocks < 1024)
    let copy = open(target, O_RDONLY)
    defer { close(copy) }
    var read = [UInt8](repeating: 0, count: bytes.count)
    #expect(pread(copy, &read, read.count, 500 << 20) == bytes.count && read == bytes)
    #expect(message { try FileCopy.make(source, target) }.contains("file exists"))
    #expect(message { try FileCopy.make(folder, folder + "/c") }.contains("no plain file"))
  }
}
