import Glibc
import KVMEngine

/// The golden images: a folder each, in which are the file and its description. A folder whose name
/// begins with a dot is half-made or half gone.
struct ImageStore: Sendable {
  let directories: StoreDirectories

  init(_ directories: StoreDirectories) { self.directories = directories }

  /// The store of this user.
  static func locate() throws -> ImageStore { ImageStore(try .locate()) }

  /// The folder of image `name`.
  func folder(of name: String) -> String { directories.images + "/" + name }

  /// The image that is called `name`.
  /// - Throws: a sentence where there is none, or its description or its file can't be read.
  func image(named name: String) throws -> GoldenImage {
    _ = try ImageName.parse(name)
    let folder = folder(of: name)
    guard access(folder, F_OK) == 0 else {
      throw Complaint("there is no image \(name); porthole image list tells what there is")
    }
    let image = try GoldenImage(name: name, folder: folder)
    guard access(image.path, R_OK) == 0 else {
      throw HostError("open image \(name), \(image.path)", code: errno)
    }
    return image
  }

  /// The names of all images, sorted. A store that is not there yet has none.
  func names() throws -> [String] {
    try Folder.folders(in: directories.images).filter(ImageName.isAllowed)
  }

  /// Every image that can be read; of the others the sentence that says why not.
  func images() throws -> (images: [GoldenImage], problems: [String]) {
    var images: [GoldenImage] = []
    var problems: [String] = []
    for name in try names() {
      do {
        images.append(try image(named: name))
      } catch {
        // One that another command is taking away right now is no problem.
        if access(folder(of: name), F_OK) == 0 { problems.append("\(error)") }
      }
    }
    return (images, problems)
  }

  /// Keeps image `name` from being deleted for as long as the result lives: until what depends on it
  /// can be seen in its desktop's folder.
  func hold(_ name: String) throws -> ImageFolderLock {
    guard let lock = try ImageFolderLock(folder(of: name), exclusive: false) else {
      throw Complaint("there is no image \(name); porthole image list tells what there is")
    }
    return lock
  }
}
