import Glibc
import KVMEngine
import Machine
import Storage

/// What a desktop is made from: a golden image of the store, or an image file.
struct ImageChoice: Sendable {
  private let name: String
  private let path: String
  private let kind: DriveKind
  /// Nil where only the contents tell.
  private let format: ImageFormat?
  private let settings: ImageSettings
  private static let overlay = "disk.qcow2"
  /// Keeps the image in the store until the desktop has its name.
  private let hold: Held?

  /// A lock that is held by being there.
  private struct Held: @unchecked Sendable {
    // SAFETY: nothing but its lifetime is used.
    let lock: ImageFolderLock
  }

  /// - Parameter choice: a name, or a path with a slash in it.
  init(_ choice: String) throws {
    guard choice.contains("/") else {
      let store = try ImageStore.locate()
      hold = Held(lock: try store.hold(choice))
      let image = try store.image(named: choice)
      (name, path, kind, settings) = (choice, image.path, image.kind, image.settings)
      format = image.format
      return
    }
    hold = nil
    settings = ImageSettings()
    format = nil
    path = SaveCommand.whole(choice)
    kind = try MediaGuess.kind(of: path)
    name = path
  }

  /// Makes the desktop's own medium, or names the CD, and sets what the image wants and nobody else
  /// said.
  func fill(
    _ folder: DesktopFolder, _ configuration: inout DesktopConfiguration, size: UInt64?
  ) throws {
    try configuration.set("image", [name])
    switch kind {
    case .cdrom:
      try configuration.addFirst("cdroms", path)
      if let size {
        try configuration.addFirst("disks", try BlankDisk.make(in: folder, size: size))
      }
    case .floppy:
      try FileCopy.make(path, folder.path + "/floppy.img")
      try configuration.addFirst("floppies", "floppy.img")
    case .hardDisk:
      // A file's format is told by its owner, never by its contents, which a guest may have written.
      try DiskImage.createOverlay(
        at: folder.path + "/" + Self.overlay, backing: path, backingFormat: format,
        size: size,
        isDurable: false)
      try configuration.addFirst("disks", Self.overlay + ",format=qcow2")
    }
    let wishes = [
      ("memory", settings.memory.map(MemorySize.describe)), ("cpus", settings.cpus.map { "\($0)" }),
      ("firmware", settings.firmware?.rawValue), ("keyboard", settings.keyboard),
    ]
    for (key, value) in wishes where configuration[key] == nil {
      if let value { try configuration.set(key, [value]) }
    }
  }
}
