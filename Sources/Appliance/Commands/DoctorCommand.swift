import ArgumentParser
import FoundationEssentials
import KVMEngine
import Machine

/// `porthole doctor`: what this host's KVM can do, what that means, and which engine desktops get.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Says what this host's KVM can do, and which engine runs desktops here.",
    discussion: "Desktops run on every host; what is missing decides how fast.")

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let findings = HostProbe.run()
    let choice = EngineChoice.forThisHost()
    Console.output(json ? try Self.json(findings, choice) : Self.report(findings, choice))
  }

  /// The findings for people.
  static func report(_ findings: [HostCapability], _ choice: EngineChoice) -> String {
    let width = findings.map(\.name.count).max() ?? 0
    var lines = findings.map { finding in
      let sign = finding.present ? "yes    " : finding.needed ? "MISSING" : "no     "
      let gap = String(repeating: " ", count: width - finding.name.count)
      return "\(sign)  \(finding.name)\(gap)  \(finding.meaning)"
    }
    lines.append("")
    lines.append(
      "Desktops run on this host, by default with --engine \(choice.engine.rawValue):"
        + " \(choice.reason).")
    return lines.joined(separator: "\n")
  }

  /// The findings for programs.
  static func json(_ findings: [HostCapability], _ choice: EngineChoice) throws -> String {
    struct Report: Encodable {
      var engine: String
      var reason: String
      var capabilities: [HostCapability]
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let report = Report(
      engine: choice.engine.rawValue, reason: choice.reason, capabilities: findings)
    return String(decoding: try encoder.encode(report), as: UTF8.self)
  }
}
