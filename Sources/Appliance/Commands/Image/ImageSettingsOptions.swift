import ArgumentParser
import Input
import Machine

/// The options that say what desktops made from an image get.
struct ImageSettingsOptions: ParsableArguments {
  @Option(
    name: .long, help: "Memory of its desktops, as 64M or 1G.", transform: MemorySize.parse)
  var memory: Int?

  @Option(name: .long, help: "Processors of its desktops.")
  var cpus: Int?

  @Option(name: .long, help: "The firmware that starts it.")
  var firmware: FirmwareKind?

  @Option(
    name: .long, help: "The keyboard layout that its system is set to, as us, gb, de or fr.",
    transform: KeyboardOption.parse)
  var keyboard: KeyboardLayout?

  @Option(name: .long, help: "Its system has started when this text is on the text screen.")
  var readyText: String?

  @Option(
    name: .long, help: "Its system has started when this text was said on the serial port.")
  var readyConsole: String?

  @Option(name: .long, help: "Its system has started when the picture was still for SECONDS.")
  var readyStill: Int?

  func validate() throws {
    if let cpus, !(1...MachineConfiguration.maximumProcessors).contains(cpus) {
      throw ValidationError(
        "a desktop has 1 to \(MachineConfiguration.maximumProcessors) processors, not \(cpus)")
    }
    guard [readyText != nil, readyConsole != nil, readyStill != nil].count(where: { $0 }) < 2 else {
      throw ValidationError("--ready-text, --ready-console and --ready-still exclude each other")
    }
    if let readyStill, !ReadySign.stillness.contains(readyStill) {
      throw ValidationError(
        "--ready-still goes from \(ReadySign.stillness.lowerBound) to "
          + "\(ReadySign.stillness.upperBound) seconds")
    }
  }

  /// What was asked for.
  var settings: ImageSettings {
    ImageSettings(
      memory: memory, cpus: cpus, firmware: firmware, keyboard: keyboard?.name,
      ready: readyText.map { .text($0) } ?? readyConsole.map { .console($0) }
        ?? readyStill.map { .still(seconds: $0) })
  }
}
