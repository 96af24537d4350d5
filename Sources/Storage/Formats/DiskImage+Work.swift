/// What is done to whole images, by path. Progress is told as in ``ImageCopy``.
extension DiskImage {
  /// A qcow2 image to be changed, without what is below it, and its header.
  private static func openAlone(
    _ path: String
  ) throws(ImageError) -> (image: QCOW2Image, header: QCOW2Header) {
    let file = try ImageFile(path: path, readOnly: false)
    guard try probe(file) == .qcow2 else {
      throw ImageError(path, .notAnImage, "\(path) is no qcow2 image, so nothing is below it")
    }
    try ImageLock.take(file)
    var header = try QCOW2Header(file)
    if header.incompatible & QCOW2Feature.dirty != 0 { try QCOW2Repair.recount(file, &header) }
    return (try QCOW2Image(file, header, backing: nil), header)
  }

  private static func backingName(
    of header: QCOW2Header, _ path: String
  ) throws(ImageError) -> BackingName {
    guard let name = header.backingName else {
      throw ImageError(path, .badBacking, "\(path) has no image below it")
    }
    return try BackingName(name, format: header.backingFormat, of: path)
  }

  /// Writes what the overlay at `path` holds into the image below it, and empties the overlay. Other
  /// overlays on that image are worth nothing afterwards.
  public static func commit(
    path: String, _ progress: ImageCopy.Progress
  ) throws(ImageError) {
    let (overlay, header) = try openAlone(path)
    let name = try backingName(of: header, path)
    let base = try open(path: name.path, readOnly: false, format: name.format)
    try ImageCopy.commit(overlay, into: base, progress)
  }

  /// Puts the overlay at `path` onto another image, or on none, so that it shows what it did.
  /// - Parameters:
  ///   - backing: relative to the folder of `path`; nil for none.
  ///   - isUnsafe: only the name changes, for an image that was moved.
  public static func rebase(
    path: String, backing: String?, backingFormat: ImageFormat? = nil, isUnsafe: Bool = false,
    _ progress: ImageCopy.Progress
  ) throws(ImageError) {
    var format = backingFormat
    if isUnsafe {
      let (image, _) = try openAlone(path)
      return try image.locked { volume throws(ImageError) in
        try volume.setBacking(backing, format: format)
      }
    }
    let opened = try open(path: path, readOnly: false)
    guard let overlay = opened as? QCOW2Image else {
      throw ImageError(path, .notAnImage, "\(path) is no qcow2 image, so nothing is below it")
    }
    var base: (any StoredImage)?
    if let backing {
      let name = try BackingName(backing, format: backingFormat?.rawValue, of: path)
      let below = try open(path: name.path, readOnly: true, format: name.format)
      guard try !identities(of: below).contains(identity(of: path)) else {
        throw ImageError(path, .badBacking, "\(path) would be below itself")
      }
      format = below.format
      base = below
    }
    try ImageCopy.keepApart(overlay, from: base, progress)
    try overlay.locked { volume throws(ImageError) in
      try volume.setBacking(backing, format: format)
    }
  }

  private static func identity(of path: String) throws(ImageError) -> FileIdentity {
    try ImageFile(path: path, readOnly: true).identity
  }

  private static func identities(of image: any StoredImage) throws(ImageError) -> [FileIdentity] {
    var found: [FileIdentity] = []
    for link in image.chain { found.append(try identity(of: link.path)) }
    return found
  }

  /// Checks the structures of the image at `path`. A raw image has none.
  /// - Parameters:
  ///   - repairsLeaks: clusters that are counted and not used are counted as free.
  ///   - progress: what part is done, 0 to 1.
  public static func check(
    path: String, format: ImageFormat? = nil, repairsLeaks: Bool = false,
    _ progress: @escaping (Double) -> Void = { _ in }
  ) throws(ImageError) -> CheckReport {
    let file = try ImageFile(path: path, readOnly: !repairsLeaks)
    let known: ImageFormat
    if let format { known = format } else { known = try probe(file) }
    try ImageLock.take(file)
    guard known == .qcow2 else {
      var report = CheckReport()
      report.endOffset = try RawImage.checkedSize(of: file)
      return report
    }
    let header = try QCOW2Header(file)
    let checker = try QCOW2Checker.check(file, header, progress: progress)
    var report = checker.report
    if repairsLeaks && report.leakedClusters > 0 && report.errorCount == 0 {
      report.repairedClusters = try QCOW2Repair.freeLeaks(file, header, checker)
      report.leakedClusters = 0
    }
    return report
  }
}
