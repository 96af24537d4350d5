import Glibc
import KVMEngine
import Storage

/// Takes a file into the store as a golden image.
struct ImageImport {
  let store: ImageStore
  let name: String
  /// The file, as it was named.
  let path: String
  /// Its format and drive, where somebody said.
  var format: ImageFormat?
  var kind: DriveKind?
  /// The checksum that it has to have.
  var expected: String?
  var settings = ImageSettings()

  /// What came of it.
  struct Outcome {
    var image: GoldenImage
    /// An image with the same content, whose file this one shares.
    var twin: String?
    /// Images whose files had the same checksum when they came, and no longer hold the same.
    var damaged: [String] = []
  }

  /// Does it. Nothing is left behind where it fails.
  /// - Parameter progress: is told how many bytes are done, and of how many.
  func run(_ progress: (Int64, Int64) -> Void) throws -> Outcome {
    ImageDraft.tidy(store.directories.images)
    guard access(store.folder(of: name), F_OK) != 0 else { throw ImageDraft.taken(name) }
    let source = Descriptor(owning: open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK))
    guard source.number >= 0 else { throw HostError("open image \(path)", code: errno) }
    let probe = try ImageProbe(path, descriptor: source.number, format: format, kind: kind)
    let draft = try ImageDraft(in: store.directories.images)
    let place = draft.path
    do {
      return try fill(draft, source.number, probe, progress)
    } catch {
      throw Complaint(error, in: place, for: store.folder(of: name))
    }
  }

  private func fill(
    _ draft: ImageDraft, _ source: Int32, _ probe: ImageProbe,
    _ progress: (Int64, Int64) -> Void
  ) throws -> Outcome {
    let before = try changeTime(source)
    let file = draft.path + "/" + Self.fileName(probe)
    let digest = try copy(source, to: file, size: probe.fileSize, progress)
    guard try changeTime(source) == before else {
      throw Complaint(
        "\(path) was written to while it was read; stop what uses it, and import it again")
    }
    guard expected == nil || expected == digest else {
      throw Complaint("\(path) is not what was expected: its SHA-256 is \(digest)")
    }
    return try Self.finish(
      draft, in: store,
      GoldenImage(
        name: name, path: file, format: probe.format, kind: probe.kind, size: probe.size,
        digest: digest, source: absolute(path), imported: Self.now, settings: settings))
  }

  /// Describes the image whose file is in `draft`, lets it share the file of one with the same content,
  /// and gives it its name. One command at a time does so, that two which bring the same find each
  /// other.
  static func finish(
    _ draft: ImageDraft, in store: ImageStore, _ image: GoldenImage
  ) throws -> Outcome {
    let lock = try ImageFolderLock(store.directories.images, exclusive: true)
    defer { withExtendedLifetime(lock) {} }
    let (twin, damaged) = try share(image, in: store)
    try DurableFile.replace(
      draft.path + "/" + GoldenImage.descriptionName, with: Array(image.description.utf8),
      mode: 0o644)
    try draft.publish(as: image.name)
    var published = image
    published.path = draft.path + "/" + image.fileName
    return Outcome(image: published, twin: twin, damaged: damaged)
  }

  /// What an image's file is called in its folder.
  static func fileName(_ probe: ImageProbe) -> String {
    switch (probe.kind, probe.format) {
    case (.cdrom, .raw): "disc.iso"
    case (_, .raw): "disk.raw"
    case (_, .qcow2): "disk.qcow2"
    }
  }

  private func copy(
    _ source: Int32, to file: String, size: Int64, _ progress: (Int64, Int64) -> Void
  ) throws -> String {
    let mode = S_IRUSR | S_IRGRP | S_IROTH
    let target = Descriptor(owning: open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode))
    guard target.number >= 0 else { throw HostError("write \(file)", code: errno) }
    let digest = try FileTransfer(
      source: source, sourceName: path, target: (target.number, file), size: size
    ).run { progress($0, size) }
    guard fchmod(target.number, mode) == 0, fsync(target.number) == 0 else {
      throw HostError("write \(file)", code: errno)
    }
    return digest
  }

  /// Replaces the image's file by a second name of one that has the same content.
  private static func share(
    _ image: GoldenImage, in store: ImageStore
  ) throws -> (twin: String?, damaged: [String]) {
    var damaged: [String] = []
    for other in try store.images().images
    where other.digest == image.digest && other.format == image.format {
      // What the disk has lost since is not spread.
      do {
        guard try FileComparison(one: image.path, other: other.path).areEqual() else {
          damaged.append(other.name)
          continue
        }
      } catch let error as HostError {
        // One that is going away, or that the disk has lost.
        if error.code != ENOENT { damaged.append(other.name) }
        continue
      }
      let part = image.path + ".part"
      // A file system without links, or an image that is going away, is no reason to fail.
      guard link(other.path, part) == 0 else { continue }
      guard rename(part, image.path) == 0 else {
        unlink(part)
        continue
      }
      return (other.name, damaged)
    }
    return (nil, damaged)
  }

  private func changeTime(_ descriptor: Int32) throws -> [Int] {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw HostError("read \(path)", code: errno) }
    return [status.st_mtim.tv_sec, status.st_mtim.tv_nsec, Int(status.st_size)]
  }

  private func absolute(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// The time, as 2026-11-22T23:00:00Z.
  static var now: String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 32)
    strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
