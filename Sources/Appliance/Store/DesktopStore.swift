import CProcess
import Configuration
import Glibc
import KVMEngine

/// The desktops that have names: a folder each.
///
/// A desktop is made in a folder `.making-...` and gets its name when it is whole, as its files are that
/// are replaced; one that is deleted loses its name first, as `.gone-...`. What a killed command leaves
/// are such folders whose lock is free, and the next command removes them.
struct DesktopStore: Sendable {
  let directories: StoreDirectories
  static let making = ".making-"
  private static let gone = ".gone-"

  /// The store, without what killed commands left.
  static func open() throws -> DesktopStore { try open(.locate()) }

  /// The same, of any folders.
  static func open(_ directories: StoreDirectories) throws -> DesktopStore {
    let store = DesktopStore(directories: directories)
    if try store.entries().contains(where: isLeftover) { store.sweep() }
    ImageDraft.tidy(directories.images)
    return store
  }

  /// The error of a name that is none.
  static func missing(_ name: String) -> Complaint {
    Complaint("there is no desktop named \(name); make it with: porthole create \(name)")
  }

  /// The names of all desktops, in order.
  func names() throws -> [String] {
    try Folder.folders(in: directories.desktops).filter(DesktopName.isAllowed)
  }

  /// Where desktop `name` is, or would be.
  func folder(_ name: String) -> DesktopFolder {
    DesktopFolder(name: name, path: directories.desktops + "/" + name)
  }

  /// The folder of desktop `name`; nil where there is none, or it can be no name.
  func existing(_ name: String) -> DesktopFolder? {
    let folder = folder(name)
    return DesktopName.isAllowed(name) && Folder.isFolder(folder.path) ? folder : nil
  }

  /// The folder of desktop `name`.
  /// - Throws: a sentence with the name that was probably meant.
  func find(_ name: String) throws -> DesktopFolder {
    if let folder = existing(name) { return folder }
    guard let nearest = NearestWord.find(name, among: try names()) else {
      throw Self.missing(name)
    }
    throw Complaint("there is no desktop named \(name); did you mean \(nearest)?")
  }

  // MARK: Making, renaming, deleting

  /// Makes desktop `name`: `body` fills its folder, and need sync nothing; the folder gets its name
  /// when that is done and all of it is durable.
  /// - Returns: the desktop's lock.
  func make(_ name: String, _ body: (DesktopFolder) throws -> Void) throws -> DesktopLock {
    guard existing(name) == nil else { throw Self.taken(name) }
    try StoreDirectories.make(directories.desktops)
    let draft = try DesktopDraft(name, in: directories.desktops)
    do {
      try body(draft.folder)
      try DurableFile.sync(everythingIn: draft.folder.path)
      try move(draft.folder.path, to: name)
    } catch {
      throw Complaint(error, in: draft.folder.path, for: folder(name).path)
    }
    return draft.lock
  }

  /// Gives a desktop that does not run another name.
  func rename(_ folder: DesktopFolder, to name: String) throws {
    guard existing(name) == nil else { throw Self.taken(name) }
    let lock = try DesktopLock.take(folder)
    try withExtendedLifetime(lock) {
      try StoreLock.holding(directories.desktops) { try move(folder.path, to: name) }
    }
  }

  /// Deletes a desktop that does not run, with its disks.
  func delete(_ folder: DesktopFolder) throws {
    let lock = try DesktopLock.take(folder)
    try withExtendedLifetime(lock) {
      let path = Self.temporaryPath(Self.gone, folder.name, in: directories.desktops)
      let code = cprocess_rename_new(folder.path, path)
      guard code == 0 else { throw HostError("delete \(folder.path)", code: code) }
      try DurableFile.sync(folder: directories.desktops)
      Folder.remove(path)
    }
  }

  private func move(_ path: String, to name: String) throws {
    let code = cprocess_rename_new(path, folder(name).path)
    if code == EEXIST || code == ENOTEMPTY { throw Self.taken(name) }
    guard code == 0 else { throw HostError("make the folder \(folder(name).path)", code: code) }
    try DurableFile.sync(folder: directories.desktops)
  }

  /// The error of a name that a desktop has.
  static func taken(_ name: String) -> Complaint {
    Complaint("a desktop named \(name) exists already; choose another name, or delete it first")
  }

  /// A path in `desktops` that nobody else has.
  static func temporaryPath(_ kind: String, _ name: String, in desktops: String) -> String {
    "\(desktops)/\(kind)\(name)-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
  }

  // MARK: What killed commands left

  private static func isLeftover(_ entry: String) -> Bool {
    entry.hasPrefix(making) || entry.hasPrefix(gone)
  }

  /// Removes what killed commands left. A store that cannot be written to is left as it is.
  private func sweep() {
    let dead =
      try? StoreLock.holding(directories.desktops) {
        try entries().filter(Self.isLeftover).compactMap { entry -> (String, DesktopLock?)? in
          let folder = DesktopFolder(name: entry, path: directories.desktops + "/" + entry)
          var status = stat()
          // Nobody is at work in a folder without a lock: it is made while this lock is held.
          guard stat(folder.lockPath, &status) == 0 else { return (folder.path, nil) }
          guard let lock = try? DesktopLock.attempt(folder) else { return nil }
          return (folder.path, lock)
        }
      }
    for (path, lock) in dead ?? [] { withExtendedLifetime(lock) { _ = Folder.remove(path) } }
  }

  private func entries() throws -> [String] { try Folder.names(in: directories.desktops) }
}
