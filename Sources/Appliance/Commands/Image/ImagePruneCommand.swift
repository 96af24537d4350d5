import ArgumentParser

/// `porthole image prune`: takes away what no desktop needs.
struct ImagePruneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune", abstract: "Deletes every image that no desktop needs, and names it.")

  @Flag(name: .long, help: "Only say which.")
  var dryRun = false

  func run() throws {
    let (pruned, problems) = try ImageStore.locate().prune(dryRun: dryRun)
    for name in pruned { Console.output(name) }
    for problem in problems { Console.error("porthole: nothing more is pruned: \(problem)") }
    if !problems.isEmpty { throw ExitCode.failure }
  }
}
