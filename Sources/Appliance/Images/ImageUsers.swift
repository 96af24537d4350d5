import Configuration
import Glibc
import KVMEngine

/// Who needs which images: desktops, by what their configurations name and what the overlays among that
/// and in their folders lie upon, and overlays elsewhere that were noted with the image.
struct ImageUsers {
  private let images: String
  /// Paths that a desktop or an overlay names.
  private var needs: [(user: String, paths: Set<String>)] = []
  /// Desktops and overlays that can't be looked into, and why.
  private(set) var unknown: [(user: String, reason: String)] = []
  /// The most overlays that lie upon each other.
  private static let deepest = 64

  /// Looks at all desktops of the store, and at the overlays that its images know of.
  init(_ directories: StoreDirectories) throws {
    images = Self.resolved(directories.images, from: directories.root)
    if Folder.isFolder(directories.desktops) {
      // A desktop that gets another name in the middle would be seen under neither.
      try StoreLock.holding(directories.desktops) { try look(at: directories.desktops) }
    }
    let store = ImageStore(directories)
    for name in try store.names() {
      do {
        for path in try ImageOverlays.paths(on: name, in: store) where Self.isPlainFile(path) {
          needs.append((path, try Self.below(path)))
        }
      } catch {
        unknown.append(("an overlay that image \(name) knows of", "\(error)"))
      }
    }
  }

  private mutating func look(at desktops: String) throws {
    for name in try Folder.folders(in: desktops) where DesktopName.isAllowed(name) {
      let folder = desktops + "/" + name
      do {
        needs.append((name, try Self.paths(in: folder)))
      } catch {
        if access(folder, F_OK) == 0 { unknown.append(("desktop \(name)", "\(error)")) }
      }
    }
  }

  /// Everything that the overlay at `path` lies upon.
  private static func below(_ path: String) throws -> Set<String> {
    var paths: Set<String> = []
    try follow(path, into: &paths)
    return paths
  }

  /// Who needs image `name`: desktops by name, then overlays by path.
  func users(of name: String) -> [String] {
    let folder = images + "/" + name + "/"
    return needs.filter { $0.paths.contains { $0.hasPrefix(folder) } }.map(\.user)
  }

  /// Every path that a desktop's folder names: its configuration, and what lies below the disks in the
  /// folder and those that the configuration names.
  private static func paths(in folder: String) throws -> Set<String> {
    var paths: Set<String> = []
    var overlays: Set<String> = []
    var raw: Set<String> = []
    for name in try Folder.names(in: folder) {
      let file = folder + "/" + name
      if name.hasSuffix(".yaml") {
        guard let bytes = try DurableFile.read(file, limit: YAMLDocument.largest) else { continue }
        for text in scalars(try YAMLDocument.parse(bytes, file: file)) {
          let option = try? DriveOption.parse(text)
          let path = resolved(option?.path ?? text, from: folder)
          paths.insert(path)
          // What a guest writes to a raw disk is no header, whatever it looks like.
          if option?.format == .raw { raw.insert(path) } else { overlays.insert(path) }
        }
      } else {
        overlays.insert(resolved(file, from: folder))
      }
    }
    for file in overlays.subtracting(raw) where isPlainFile(file) { try follow(file, into: &paths) }
    return paths
  }

  /// Adds what the overlay at `path` lies upon, and what that does.
  private static func follow(_ path: String, into paths: inout Set<String>) throws {
    var file = path
    for _ in 0..<deepest {
      guard isPlainFile(file), let backing = try QCOW2Start.of(file)?.backing else { return }
      file = resolved(backing, from: String(file[..<(file.lastIndex(of: "/") ?? file.startIndex)]))
      guard paths.insert(file).inserted else { return }
    }
  }

  private static func isPlainFile(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// The values of a document that may be paths: every one, since the desktop's folder may have links.
  private static func scalars(_ node: YAMLNode) -> [String] {
    switch node.content {
    case .scalar(let text, _): [text]
    case .sequence(let items): items.flatMap(scalars)
    case .mapping(let entries): entries.flatMap { scalars($0.value) }
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
