import Machine
import Storage
import Testing

@testable import Appliance

@Suite struct RunCommandTests {
  private func parse(_ arguments: String...) throws -> RunCommand {
    try #require(try Porthole.parseAsRoot(["run"] + arguments) as? RunCommand)
  }

  private func message(_ arguments: String...) -> String {
    do {
      _ = try Porthole.parseAsRoot(["run"] + arguments)
      return ""
    } catch {
      return Porthole.message(for: error)
    }
  }

  @Test func whatIsNotGivenHasSafeDefaults() throws {
    let command = try parse()
    #expect(command.vnc == .standard && command.vnc.isLocal)
    #expect(try command.password()?.count == 8)
    let configuration = try command.machineConfiguration(name: "porthole", password: nil)
    #expect(configuration.memoryBytes == 128 << 20)
    #expect(configuration.processors == 1)
    #expect(configuration.drives == [])
    #expect(configuration.onTripleFault == .reset)
    #expect(!configuration.debugExit)
  }

  @Test func optionsReachTheMachine() throws {
    let command = try parse(
      "--memory", "64M", "--cpus", "2", "--disk", "a", "--floppy", "b", "--cdrom", "c", "--disk",
      "d", "--boot", "cdrom,disk", "--vnc", "none", "--serial", "file:log", "--on-triple-fault",
      "stop", "--debug-exit", "--name", "desk")
    let configuration = try command.machineConfiguration(name: "desk", password: nil)
    #expect(configuration.name == "desk")
    #expect(configuration.memoryBytes == 64 << 20)
    #expect(configuration.processors == 2)
    #expect(configuration.drives.map(\.path) == ["b", "a", "d", "c"])
    #expect(configuration.drives.map(\.kind) == [.floppy, .hardDisk, .hardDisk, .cdrom])
    #expect(configuration.drives.map(\.readOnly) == [false, false, false, true])
    #expect(configuration.bootOrder == [.cdrom, .hardDisk])
    #expect(configuration.vnc == nil)
    #expect(configuration.serial == .file("log"))
    #expect(configuration.onTripleFault == .stop)
    #expect(configuration.debugExit)
  }

  @Test func readOnlyHoldsForEveryDrive() throws {
    let command = try parse("--read-only", "--disk", "a", "--floppy", "b")
    #expect(try command.drives().allSatisfy(\.readOnly))
  }

  @Test func mistakesAreSentences() {
    #expect(message("--restore", "a", "--memory", "64M").contains("brings its machine"))
    #expect(message("--restore", "a", "--guest", "demo").contains("brings its machine"))
    #expect(message("--memory", "lots").contains("write it like 64M or 1G"))
    #expect(message("--cpus", "0").contains("1 to 16 processors"))
    #expect(message("--cpus", "many").contains("cpus"))
    #expect(message("--vnc", "host:99999").contains("ports are 0 to 65535"))
    #expect(message("--name", "../x").contains("letters, digits"))
    #expect(message("--serial", "com1").contains("stdio"))
    #expect(message("--irqchip", "abacus").contains("split"))
    #expect(message("--no-password", "--password-file", "x").contains("exclude each other"))
    #expect(message("--guest", "a", "--disk", "b").contains("not both"))
  }

  @Test func nobodyCanConnectSoNoPasswordIsMade() throws {
    #expect(try parse("--vnc", "none").password() == nil)
    #expect(try parse("--no-password").password() == nil)
  }

  @Test func anUnknownGuestIsNamed() throws {
    let command = try parse("--guest", "nonesuch")
    let error = #expect(throws: Complaint.self) {
      try command.machineConfiguration(name: "x", password: nil)
    }
    #expect(error?.description.contains("nonesuch") == true)
  }

  @Test func exitStatusesTellWhyADesktopStopped() {
    #expect(DesktopProcess.finish(.poweredOff, name: "x") == 0)
    #expect(DesktopProcess.finish(.signal(15), name: "x") == 0)
    #expect(DesktopProcess.finish(.signal(1), name: "x") == 0)
    #expect(DesktopProcess.finish(.signal(2), name: "x") == 130)
    #expect(DesktopProcess.finish(.debugExit(33), name: "x") == 33)
    #expect(DesktopProcess.finish(.tripleFault, name: "x") == 2)
    #expect(DesktopProcess.finish(.failed("why"), name: "x") == 1)
  }
}
