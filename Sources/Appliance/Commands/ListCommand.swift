import ArgumentParser

/// `porthole list`: the desktops that run.
struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists your running desktops.")

  func run() throws {
    let directory = try RuntimeDirectory.locate()
    for name in try directory.runningNames() {
      do {
        let client = try ControlClient(name, in: directory)
        guard let status = try client.call(.status).reply.status else { continue }
        Console.output(Self.line(status))
      } catch {
        // One desktop that is just going away hides none of the others.
        Console.error("porthole: \(error)")
      }
    }
  }

  /// One desktop's line.
  static func line(_ status: DesktopStatus) -> String {
    let memory = MemorySize.describe(status.memory)
    return "\(status.name)\tpid \(status.pid)\tvnc \(status.vnc ?? "none")\t\(memory)"
  }
}
