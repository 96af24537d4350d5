import Configuration
import Glibc
import KVMEngine

/// Which desktops need which images: what their configurations name, and what the overlays in their
/// folders lie upon.
struct ImageUsers {
  private let images: String
  /// Paths that a desktop names, by desktop.
  private var needs: [(desktop: String, paths: Set<String>)] = []
  /// Desktops that can't be looked into, and why.
  private(set) var unknown: [(desktop: String, reason: String)] = []

  /// Looks at all desktops of the store.
  init(_ directories: StoreDirectories) throws {
    images = Self.resolved(directories.images, from: directories.root)
    for name in try Folder.names(in: directories.desktops) where DesktopName.isAllowed(name) {
      let folder = directories.desktops + "/" + name
      do {
        needs.append((name, try Self.paths(in: folder)))
      } catch {
        if access(folder, F_OK) == 0 { unknown.append((name, "\(error)")) }
      }
    }
  }

  /// The desktops that need image `name`, sorted.
  func desktops(of name: String) -> [String] {
    let folder = images + "/" + name + "/"
    return needs.filter { $0.paths.contains { $0.hasPrefix(folder) } }.map(\.desktop)
  }

  /// Every path that the files in a desktop's folder name.
  private static func paths(in folder: String) throws -> Set<String> {
    var paths: Set<String> = []
    for name in try Folder.names(in: folder) {
      let file = folder + "/" + name
      if name.hasSuffix(".yaml") {
        if let bytes = try DurableFile.read(file, limit: YAMLDocument.largest) {
          collect(try YAMLDocument.parse(bytes, file: file), from: folder, into: &paths)
        }
      } else if isPlainFile(file), let backing = try QCOW2Start.of(file)?.backing {
        paths.insert(resolved(backing, from: folder))
      }
    }
    return paths
  }

  private static func isPlainFile(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  private static func collect(_ node: YAMLNode, from folder: String, into paths: inout Set<String>)
  {
    switch node.content {
    case .scalar(let text, _): if text.contains("/") { paths.insert(resolved(text, from: folder)) }
    case .sequence(let items): for item in items { collect(item, from: folder, into: &paths) }
    case .mapping(let entries):
      for entry in entries { collect(entry.value, from: folder, into: &paths) }
    }
  }

  /// `path` from `folder` on, without links where it is there.
  private static func resolved(_ path: String, from folder: String) -> String {
    let whole = path.hasPrefix("/") ? path : folder + "/" + path
    guard let real = realpath(whole, nil) else { return whole }
    defer { free(real) }
    return String(cString: real)
  }
}
