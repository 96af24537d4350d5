import Machine
import Storage

/// An image of the store: a file that nobody writes to, and what a desktop made from it needs.
struct GoldenImage: Sendable, Equatable {
  /// What it is called; its folder's name.
  var name: String
  /// Its file, absolute.
  var path: String
  /// How the medium lies in the file. It was told once, at import: a guest that writes another
  /// format's header to its raw disk changes nothing.
  var format: ImageFormat
  /// The drive that it belongs in.
  var kind: DriveKind
  /// Bytes of the medium, as a guest sees it.
  var size: Int64
  /// The file's SHA-256, in hexadecimal digits.
  var digest: String
  /// Where it came from.
  var source: String
  /// When it came, as 2026-11-22T23:00:00Z.
  var imported: String
  /// What a desktop made from it gets.
  var settings: ImageSettings
}

/// What a desktop needs to run an image; nil is what any desktop gets.
struct ImageSettings: Sendable, Equatable {
  /// Bytes of memory.
  var memory: Int?
  /// Processors.
  var cpus: Int?
  var firmware: FirmwareKind?
  /// The guest's keyboard layout, by name.
  var keyboard: String?
  /// How to tell that its system has started.
  var ready: ReadySign?

  /// The values of the settings that are there, others from `base`.
  func over(_ base: ImageSettings) -> ImageSettings {
    ImageSettings(
      memory: memory ?? base.memory, cpus: cpus ?? base.cpus, firmware: firmware ?? base.firmware,
      keyboard: keyboard ?? base.keyboard, ready: ready ?? base.ready)
  }
}

/// What shows that a system has started.
enum ReadySign: Sendable, Equatable {
  /// This text stands on the text screen.
  case text(String)
  /// The guest has said this text on its serial port.
  case console(String)
  /// The picture has not changed for so many seconds.
  case still(seconds: Int)

  /// Seconds of stillness that can be asked for.
  static let stillness = 1...3600
}
