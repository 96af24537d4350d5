import Glibc
import KVMEngine

/// An image that is being made: a folder of the store that only its maker sees, and that gets its name
/// when all of it is there and on the disk. What a dead maker left is known by its lock, which is free.
final class ImageDraft {
  private static let prefix = ".new-"
  static let removed = ".old-"

  /// The folder.
  private(set) var path: String
  private let images: String
  private let lock: ImageFolderLock
  private var isPublished = false

  /// Makes the folder, and those above it that are missing.
  init(in images: String) throws {
    try StoreDirectories.make(images)
    self.images = images
    // Another command may take a new folder for a dead one's before it is locked.
    for attempt in 0..<100 {
      let path = "\(images)/\(Self.prefix)\(getpid())-\(attempt)"
      guard mkdir(path, S_IRWXU) == 0 else {
        if errno == EEXIST { continue }
        throw HostError("make a folder in \(images)", code: errno)
      }
      guard let lock = ImageFolderLock.ifFree(path) else { continue }
      self.path = path
      self.lock = lock
      return
    }
    throw HostError("make a folder in \(images)", code: EBUSY)
  }

  /// Puts the finished image in its place.
  /// - Throws: a sentence where an image of that name is there already.
  func publish(as name: String) throws {
    try DurableFile.sync(folder: path)
    let place = images + "/" + name
    // A folder never replaces one that has something in it (rename(2)).
    guard rename(path, place) == 0 else {
      if errno == EEXIST || errno == ENOTEMPTY { throw Self.taken(name) }
      throw HostError("make the image \(name) at \(place)", code: errno)
    }
    path = place
    isPublished = true
    try DurableFile.sync(folder: images)
  }

  /// The sentence for a name that an image has already.
  static func taken(_ name: String) -> Complaint {
    Complaint(
      "there is an image \(name) already; give another --name, or porthole image delete \(name) "
        + "first")
  }

  /// Takes away what dead commands left half-made or half gone.
  static func tidy(_ images: String) {
    for name in (try? Folder.names(in: images)) ?? []
    where name.hasPrefix(prefix) || name.hasPrefix(removed) {
      let path = images + "/" + name
      guard ImageFolderLock.ifFree(path) != nil else { continue }
      Folder.remove(path)
    }
  }

  deinit {
    if !isPublished { Folder.remove(path) }
  }
}
