import CStorage
import Glibc

/// A file that is there as a whole or not at all: it is written under another name beside its place,
/// reaches the storage, and only then gets its name.
final class NewFile {
  let file: ImageFile
  private let path: String
  private let temporary: String
  private var isKept = false

  /// - Parameter path: where the file is going to be.
  /// - Throws: ``ImageError`` `.exists` where something is there.
  init(_ path: String) throws(ImageError) {
    self.path = path
    guard access(path, F_OK) != 0 else { throw Self.exists(path) }
    let slash = path.lastIndex(of: "/")
    let folder = slash.map { String(path[...$0]) } ?? ""
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    // The name's end is what may be left out where it is as long as a name can be.
    let temporary = folder + ".\(name.prefix(200)).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
    self.temporary = temporary
    let fd = retrying {
      Int(open(temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o644))
    }
    guard fd >= 0 else {
      throw ImageError.handling("make", path, code: Int32(truncatingIfNeeded: -fd))
    }
    close(Int32(truncatingIfNeeded: fd))
    do throws(ImageError) {
      // Until it has its name nobody needs it in any order: it reaches the storage once, as a whole.
      file = try ImageFile(path: temporary, readOnly: false, cache: .unsafe)
    } catch {
      unlink(temporary)
      throw error
    }
  }

  deinit { if !isKept { unlink(temporary) } }

  /// Gives the file its name.
  /// - Parameter isDurable: it is on the storage before, and its name afterwards.
  func keep(isDurable: Bool = true) throws(ImageError) {
    if isDurable { try file.syncAlways() }
    var result = retrying {
      Int(cstorage_rename_new(temporary, path))
    }
    if result == -Int(EINVAL) || result == -Int(ENOSYS) {
      // The file system has no such renaming; a second name that must not exist does the same.
      result = retrying { Int(link(temporary, path)) }
      if result >= 0 { unlink(temporary) }
    }
    if result == -Int(EEXIST) { throw Self.exists(path) }
    guard result >= 0 else {
      throw ImageError.handling("make", path, code: Int32(truncatingIfNeeded: -result))
    }
    isKept = true
    if isDurable { Self.syncFolder(of: path) }
  }

  private static func exists(_ path: String) -> ImageError {
    ImageError(path, .exists, "\(path) is there already; remove it, or choose another name")
  }

  /// Brings the names in the folder of `path` to the storage.
  private static func syncFolder(of path: String) {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard fd >= 0 else { return }
    // A folder that can't be synced is none that could be lost.
    fsync(fd)
    close(fd)
  }
}
