import Glibc
import KVMEngine

/// Files that are whole or not there, whenever the process is killed or the power goes.
enum DurableFile {
  /// Puts `bytes` in the place of the file at `path`, or makes it: beside it first, synced, renamed,
  /// and the folder synced. Readers see the old bytes or the new ones.
  static func replace(
    _ path: String, with bytes: [UInt8], mode: mode_t = S_IRUSR | S_IWUSR
  ) throws(HostError) {
    let part = "\(path).\(getpid()).part"
    do throws(HostError) {
      try create(part, with: bytes, mode: mode, named: path)
      guard rename(part, path) == 0 else { throw HostError("write \(path)", code: errno) }
    } catch {
      unlink(part)
      throw error
    }
    try sync(folder: String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
  }

  /// Writes a file; its name becomes durable with its folder. For files in folders that nobody looks
  /// into yet.
  /// - Parameters:
  ///   - path: what messages call it, where that is another name.
  ///   - syncs: whether its bytes are durable at once; ``sync(everythingIn:)`` makes them so later.
  static func create(
    _ part: String, with bytes: [UInt8], mode: mode_t = S_IRUSR | S_IWUSR,
    named path: String? = nil,
    syncs: Bool = true
  ) throws(HostError) {
    let path = path ?? part
    let descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
    guard descriptor >= 0 else { throw HostError("write \(path)", code: errno) }
    defer { close(descriptor) }
    try OutputFile.write(bytes, to: descriptor, named: path)
    guard !syncs || fsync(descriptor) == 0 else { throw HostError("write \(path)", code: errno) }
  }

  /// Makes a new folder's files and their names durable. Synced one behind the other, and not as each
  /// was written, they wait for the file system's journal once.
  static func sync(everythingIn folder: String) throws(HostError) {
    for name in try Folder.names(in: folder) {
      let path = folder + "/" + name
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
      guard descriptor >= 0 else { throw HostError("open \(path)", code: errno) }
      defer { close(descriptor) }
      guard fsync(descriptor) == 0 else { throw HostError("write \(path)", code: errno) }
    }
    try sync(folder: folder)
  }

  /// Makes the names in `folder` durable.
  static func sync(folder: String) throws(HostError) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw HostError("open the folder \(folder)", code: errno) }
    defer { close(descriptor) }
    // File systems that keep nothing (EINVAL) have nothing to sync.
    guard fsync(descriptor) == 0 || errno == EINVAL else {
      throw HostError("sync the folder \(folder)", code: errno)
    }
  }

  /// The bytes of the file at `path`; nil where there is none.
  /// - Parameter limit: its most bytes; one more is returned of a larger file.
  static func read(_ path: String, limit: Int) throws(HostError) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw HostError("open \(path)", code: errno)
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while bytes.count <= limit {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw HostError("read \(path)", code: errno) }
      if count == 0 { break }
      bytes += buffer.prefix(count)
    }
    return Array(bytes.prefix(limit + 1))
  }
}
