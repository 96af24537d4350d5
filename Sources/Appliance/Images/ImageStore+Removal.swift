import Glibc
import KVMEngine

/// Taking images away.
extension ImageStore {
  /// Deletes image `name`, which nobody may need unless `force` says so.
  /// - Throws: a sentence that names who needs it.
  func delete(_ name: String, force: Bool = false) throws {
    _ = try ImageName.parse(name)
    ImageDraft.tidy(directories.images)
    // Whoever makes an overlay right now has the lock until the overlay can be seen.
    guard let lock = try ImageFolderLock(folder(of: name), exclusive: true) else {
      throw Complaint("there is no image \(name); porthole image list tells what there is")
    }
    if !force { try check(name) }
    try remove(name)
    withExtendedLifetime(lock) {}
  }

  /// Deletes every image that nobody needs, as far as that can be known.
  /// - Parameter dryRun: only tell.
  /// - Returns: their names, and why others had to stay where that can't be told.
  func prune(dryRun: Bool) throws -> (pruned: [String], problems: [String]) {
    ImageDraft.tidy(directories.images)
    var pruned: [String] = []
    var problems: [String] = []
    for name in try names() {
      guard let lock = try ImageFolderLock(folder(of: name), exclusive: true) else { continue }
      let users = try ImageUsers(directories)
      guard users.unknown.isEmpty else {
        // What nobody can look into may need any image.
        problems = users.unknown.map { "\($0.user) can't be looked into: \($0.reason)" }
        break
      }
      guard users.users(of: name).isEmpty, !isOpen(name) else { continue }
      if !dryRun { try remove(name) }
      pruned.append(name)
      withExtendedLifetime(lock) {}
    }
    return (pruned, problems)
  }

  private func check(_ name: String) throws {
    let users = try ImageUsers(directories)
    let needed = users.users(of: name)
    guard needed.isEmpty else {
      throw Complaint(
        "image \(name) is needed by \(needed.joined(separator: ", ")); delete "
          + (needed.count == 1 ? "that" : "those")
          + " first, or lose what was written there with --force")
    }
    if let other = users.unknown.first {
      throw Complaint(
        "whether \(other.user) needs image \(name) can't be told: \(other.reason); mend that, or give "
          + "--force")
    }
    guard !isOpen(name) else {
      throw Complaint(
        "another program has image \(name) open; end that first, or give --force")
    }
  }

  /// Whether a program has the image's file open right now.
  private func isOpen(_ name: String) -> Bool {
    (try? image(named: name)).map { ImageOverlays.isOpen($0.path) } ?? false
  }

  /// Takes the image's name away in one step, then its files.
  private func remove(_ name: String) throws {
    let gone = "\(directories.images)/\(ImageDraft.removed)\(getpid())-\(name)"
    Folder.remove(gone)
    guard rename(folder(of: name), gone) == 0 else {
      throw HostError("delete image \(name)", code: errno)
    }
    guard Folder.remove(gone) else { throw HostError("delete \(gone)", code: errno) }
    try DurableFile.sync(folder: directories.images)
  }
}
