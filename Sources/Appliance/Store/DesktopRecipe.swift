import Glibc
import KVMEngine
import Machine

/// What a new desktop is made from.
struct DesktopRecipe: Sendable {
  /// What was asked for; where files are missing from it, ``fill(_:)`` makes them.
  var configuration = DesktopConfiguration()
  /// Bytes of a new disk, or that an image's disk is to have.
  var size: UInt64?
  /// The golden image that it begins with.
  var image: ImageChoice?

  /// Makes what is in a desktop's folder.
  func fill(_ folder: DesktopFolder) throws {
    var configuration = configuration
    if let image {
      try image.fill(folder, &configuration, size: size)
    } else if let size {
      try configuration.addFirst("disks", try BlankDisk.make(in: folder, size: size))
    }
    if configuration["serial"] == nil {
      try configuration.set("serial", [DesktopKey.serialConsole])
    }
    if configuration["firmware"] == FirmwareKind.ovmf.rawValue,
      configuration["firmware-variables"] == nil
    {
      try configuration.set("firmware-variables", [DesktopFolder.variablesFile])
    }
    if configuration["password-file"] == nil, configuration["no-password"] == nil,
      configuration["vnc"] != "none"
    {
      let password = try Password.generate() + "\n"
      try DurableFile.create(folder.passwordPath, with: Array(password.utf8), syncs: false)
      try configuration.set("password-file", [DesktopFolder.passwordFile])
    }
    _ = try configuration.command(
      in: folder, console: "/", called: "desktop \(folder.name) would not start")
    try DurableFile.create(
      folder.configurationPath, with: Array(configuration.text.utf8), syncs: false)
  }
}

/// A new, empty disk: a file of nothing but a hole.
enum BlankDisk {
  private static let name = "disk.raw"
  /// With its format: what a guest writes to it must never be taken for another format's header.
  private static let option = name + ",format=raw"

  /// - Returns: what the configuration calls it.
  static func make(in folder: DesktopFolder, size: UInt64) throws(HostError) -> String {
    let path = folder.path + "/" + name
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    let operation = "make a disk of \(ByteCount.describe(Int64(clamping: size))) for \(folder.name)"
    guard descriptor >= 0 else { throw HostError(operation, code: errno) }
    defer { close(descriptor) }
    guard ftruncate(descriptor, off_t(clamping: size)) == 0 else {
      throw HostError(
        operation, code: errno,
        advice: errno == EFBIG ? "the file system has no files of that size" : "")
    }
    return option
  }
}
