import ArgumentParser
import FoundationEssentials
import Glibc
import KVMEngine

/// `porthole top`: what the running desktops cost.
struct TopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Shows what running desktops cost: processor time, memory, viewers.",
    discussion:
      "On a terminal it goes on until ctrl-C; elsewhere it measures for a second and ends.")

  @Argument(help: "The desktops; all that run otherwise.", completion: CompletedNames.desktops)
  var names: [String] = []

  @Flag(name: .long, help: "Measure once and end.")
  var once = false

  @Flag(name: .long, help: "Print a JSON array, once.")
  var json = false

  @Option(name: .long, help: "Seconds between two pictures, 1 to 3600.")
  var interval = 2

  func validate() throws {
    guard (1...3600).contains(interval) else {
      throw ValidationError("--interval goes from 1 to 3600 seconds")
    }
  }

  /// One desktop's row.
  struct Row: Encodable {
    var name: String
    var pid: Int32
    var state: String
    /// Percent of one core.
    var cpu: Double
    /// Bytes that it has in memory, its share of what it shares with others (PSS, proc(5)).
    var memory: Int
    var viewers: Int
    var vnc: String
  }

  func run() throws {
    let isLive = !once && !json && isatty(STDOUT_FILENO) == 1
    var before = try times()
    repeat {
      sleep(isLive ? UInt32(interval) : 1)
      let now = try times()
      let rows = Self.rows(now, since: before)
      before = now
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        Console.output(String(decoding: try encoder.encode(rows), as: UTF8.self))
      } else {
        // Home, and clear to the end (ECMA-48, CUP and ED).
        Console.write((isLive ? "\u{1B}[H\u{1B}[J" : "") + Self.table(rows), to: STDOUT_FILENO)
      }
    } while isLive
  }

  private typealias Times = (moment: UInt64, entries: [DesktopStatus])

  private func times() throws -> Times {
    let all = try DesktopList.entries(onlyRunning: true)
    for name in names where all.first(where: { $0.name == name })?.status == nil {
      if all.contains(where: { $0.name == name && $0.state == .hung }) {
        throw ControlClient.silence(of: name)
      }
      throw Complaint(
        KnownDesktop.exists(name)
          ? "desktop \(name) does not run; start it with: porthole start \(name)"
          : "there is no desktop named \(name); porthole list tells what there is")
    }
    let statuses = all.compactMap(\.status)
    return (
      Monitor.monotonic(), names.isEmpty ? statuses : statuses.filter { names.contains($0.name) }
    )
  }

  private static func rows(_ now: Times, since before: Times) -> [Row] {
    let seconds = Double(now.moment &- before.moment) / 1e9
    return now.entries.map { status in
      let earlier = before.entries.first { $0.pid == status.pid }?.cpuTime
      let used = (status.cpuTime ?? 0) - (earlier ?? 0)
      let share = earlier == nil ? 0 : (used / max(seconds, 0.001) * 1000).rounded() / 10
      return Row(
        name: status.name, pid: status.pid, state: status.state ?? "running", cpu: share,
        memory: memory(of: status.pid), viewers: status.viewers ?? 0, vnc: status.vnc ?? "none")
    }.sorted { ($1.cpu, $0.name) < ($0.cpu, $1.name) }
  }

  /// The proportional set size of a process, in bytes.
  private static func memory(of pid: Int32) -> Int {
    guard let bytes = try? DurableFile.read("/proc/\(pid)/smaps_rollup", limit: 4096) else {
      return 0
    }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    where line.hasPrefix("Pss:") {
      return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }
    return 0
  }

  private static func table(_ rows: [Row]) -> String {
    let cells =
      [["NAME", "PID", "STATE", "CPU %", "MEMORY", "VIEWERS", "VNC"]]
      + rows.map {
        [
          $0.name, "\($0.pid)", $0.state, "\($0.cpu)", "\($0.memory >> 20)M", "\($0.viewers)",
          $0.vnc,
        ]
      }
    return Columns.text(cells) + "\n"
  }
}
