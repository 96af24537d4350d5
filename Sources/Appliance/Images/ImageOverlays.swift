import CProcess
import Glibc
import KVMEngine

/// The overlays on an image that are in no desktop's folder: `porthole disk` writes their paths into
/// the image's folder. Those that other programs make nobody tells of; what uses one right now is
/// known by the lock that it has on the image's file.
enum ImageOverlays {
  /// The file in an image's folder: paths, each with a zero byte behind it.
  static let fileName = "overlays"
  /// The file's most bytes that are read.
  private static let largest = 16 << 20

  /// Notes that an overlay at `path` lies upon the file at `backing`, if that is an image's of this
  /// user's store. Before the overlay is made: what then comes to nothing does no harm.
  /// - Returns: what keeps the image until the overlay is there; nil where it is no image's file.
  static func note(_ path: String, upon backing: String) throws -> ImageFolderLock? {
    guard let store = try? ImageStore.locate(), let file = real(backing),
      let images = real(store.directories.images), file.hasPrefix(images + "/"),
      let name = file.dropFirst(images.count + 1).split(separator: "/").first.map(String.init),
      ImageName.isAllowed(name)
    else { return nil }
    let lock = try store.hold(name)
    let list = store.folder(of: name) + "/" + fileName
    let whole = absolute(path)
    guard try !paths(on: name, in: store).contains(whole) else { return lock }
    let descriptor = Descriptor(
      owning: open(list, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o644))
    guard descriptor.number >= 0 else {
      throw HostError(
        "note in \(list) that \(path) lies upon image \(name)", code: errno,
        advice: "copy the image to a file of your own, and lay the overlay upon that")
    }
    try OutputFile.write(Array(whole.utf8) + [0], to: descriptor.number, named: list)
    guard fsync(descriptor.number) == 0 else { throw HostError("write \(list)", code: errno) }
    return lock
  }

  /// The paths that were noted for an image.
  static func paths(on name: String, in store: ImageStore) throws -> [String] {
    let list = store.folder(of: name) + "/" + fileName
    let bytes = try DurableFile.read(list, limit: largest) ?? []
    // What is behind the last zero byte belongs to a command that was killed as it wrote.
    let end = bytes.lastIndex(of: 0) ?? 0
    return bytes[..<end].split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Whether another process has an image's file open as a disk. One file with several names says
  /// nothing about any of them.
  static func isOpen(_ path: String) -> Bool {
    let descriptor = Descriptor(owning: open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW))
    var status = stat()
    guard descriptor.number >= 0, fstat(descriptor.number, &status) == 0, status.st_nlink < 2
    else { return false }
    return cprocess_lock_of_others(descriptor.number) != CPROCESS_UNLOCKED
  }

  private static func real(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }

  /// `path` from the root on, its folder without links.
  private static func absolute(_ path: String) -> String {
    let whole = SaveCommand.whole(path)
    guard let slash = whole.lastIndex(of: "/"), let folder = real(String(whole[...slash])) else {
      return whole
    }
    return (folder == "/" ? "" : folder) + whole[slash...]
  }
}
