import ArgumentParser
import FoundationEssentials
import KVMEngine

/// `porthole doctor`: what this host's KVM can do, and what that means.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Says what this host's KVM can do and what that means.",
    discussion: "Exits with 1 where something is missing that every desktop needs.")

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let findings = HostProbe.run()
    Console.output(json ? try Self.json(findings) : Self.report(findings))
    if !Self.canRun(findings) { throw ExitCode.failure }
  }

  /// Whether nothing is missing that every desktop needs.
  static func canRun(_ findings: [HostCapability]) -> Bool {
    findings.allSatisfy { $0.present || !$0.needed }
  }

  /// The findings for people.
  static func report(_ findings: [HostCapability]) -> String {
    let width = findings.map(\.name.count).max() ?? 0
    var lines = findings.map { finding in
      let sign = finding.present ? "yes    " : finding.needed ? "MISSING" : "no     "
      let gap = String(repeating: " ", count: width - finding.name.count)
      return "\(sign)  \(finding.name)\(gap)  \(finding.meaning)"
    }
    let missing = findings.filter { $0.needed && !$0.present }.map(\.name)
    lines.append("")
    lines.append(
      missing.isEmpty
        ? "Desktops run on this host."
        : "Desktops cannot run on this host, for want of: \(missing.joined(separator: ", ")).")
    return lines.joined(separator: "\n")
  }

  /// The findings for programs.
  static func json(_ findings: [HostCapability]) throws -> String {
    struct Report: Encodable {
      var canRun: Bool
      var capabilities: [HostCapability]
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let report = Report(canRun: canRun(findings), capabilities: findings)
    return String(decoding: try encoder.encode(report), as: UTF8.self)
  }
}
