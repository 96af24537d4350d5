import Glibc
import KVMEngine

/// The copy of a desktop whose lock is held.
struct DesktopClone {
  private let source: DesktopFolder
  /// What belongs to one desktop alone.
  private static let own: Set = [
    "lock", "log", "log.1", DesktopFolder.screenFile, DesktopFolder.passwordFile,
  ]

  init(of source: DesktopFolder) { self.source = source }

  /// Fills the new desktop's folder.
  func fill(_ folder: DesktopFolder) throws {
    for name in try Folder.names(in: source.path) where !Self.own.contains(name) {
      try FileCopy.make(source.path + "/" + name, folder.path + "/" + name)
    }
    if access(source.passwordPath, F_OK) == 0 {
      let password = try Password.generate() + "\n"
      try DurableFile.create(folder.passwordPath, with: Array(password.utf8), syncs: false)
    }
    // A desktop with a mistake in its configuration is not copied.
    _ = try folder.configuration()
  }
}
