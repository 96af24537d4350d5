import Glibc
import KVMEngine

/// Folders of the store.
enum Folder {
  /// The names in the folder at `path`, sorted, without `.` and `..`; none where it is not there.
  static func names(in path: String) throws(HostError) -> [String] {
    guard let directory = opendir(path) else {
      if errno == ENOENT { return [] }
      throw HostError("read the folder \(path)", code: errno)
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      // SAFETY: the kernel ends every name with a zero byte within d_name.
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// The same of the folders among them; a link to one is none.
  static func folders(in path: String) throws(HostError) -> [String] {
    try names(in: path).filter { isFolder(path + "/" + $0) }
  }

  /// Whether there is a folder at `path`, and no link to one.
  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Removes the folder at `path` with all that is in it, and follows no link. What can't be removed
  /// stays.
  /// - Returns: whether it is gone.
  @discardableResult
  static func remove(_ path: String) -> Bool {
    if unlink(path) == 0 || errno == ENOENT { return true }
    for name in (try? names(in: path)) ?? [] { remove(path + "/" + name) }
    return rmdir(path) == 0 || errno == ENOENT
  }
}

/// A lock on a folder, which ends with this object or with its process.
final class ImageFolderLock: Sendable {
  private let descriptor: Descriptor

  /// Locks the folder at `path`; waits while another has it.
  /// - Returns: nil where there is no such folder any more.
  convenience init?(_ path: String, exclusive: Bool) throws(HostError) {
    try self.init(path, operation: exclusive ? LOCK_EX : LOCK_SH)
  }

  /// Locks the folder at `path` if nobody has it.
  static func ifFree(_ path: String) -> ImageFolderLock? {
    try? ImageFolderLock(path, operation: LOCK_EX | LOCK_NB)
  }

  private init?(_ path: String, operation: Int32) throws(HostError) {
    let number = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    guard number >= 0 else {
      if errno == ENOENT { return nil }
      throw HostError("open the folder \(path)", code: errno)
    }
    descriptor = Descriptor(owning: number)
    while flock(number, operation) != 0 {
      guard errno == EINTR else { throw HostError("lock the folder \(path)", code: errno) }
    }
    // Whoever had it may have moved it away meanwhile, and another may stand in its place.
    var own = stat()
    var there = stat()
    guard fstat(number, &own) == 0, lstat(path, &there) == 0, own.st_ino == there.st_ino,
      own.st_dev == there.st_dev
    else { return nil }
  }
}
