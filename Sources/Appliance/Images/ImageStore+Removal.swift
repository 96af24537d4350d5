import Glibc
import KVMEngine

/// Taking images away.
extension ImageStore {
  /// Deletes image `name`, which nobody may need unless `force` says so.
  /// - Throws: a sentence that names the desktops which need it.
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

  /// Deletes every image that no desktop needs.
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
        problems = users.unknown.map { "desktop \($0.desktop) can't be looked into: \($0.reason)" }
        break
      }
      guard users.desktops(of: name).isEmpty else { continue }
      if !dryRun { try remove(name) }
      pruned.append(name)
      withExtendedLifetime(lock) {}
    }
    return (pruned, problems)
  }

  private func check(_ name: String) throws {
    let users = try ImageUsers(directories)
    let desktops = users.desktops(of: name)
    guard desktops.isEmpty else {
      throw Complaint(
        "image \(name) is needed by \(desktops.joined(separator: ", ")); delete "
          + (desktops.count == 1 ? "that desktop" : "those desktops")
          + " first, or lose their disks with --force")
    }
    if let other = users.unknown.first {
      throw Complaint(
        "whether desktop \(other.desktop) needs image \(name) can't be told: \(other.reason); mend "
          + "that, or give --force")
    }
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
