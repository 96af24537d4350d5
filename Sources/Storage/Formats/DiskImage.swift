/// Images by path, whatever their format.
public enum DiskImage {
  /// The most images that may lie over each other.
  static let maximumChain = 200

  /// Opens and locks the image at `path`, and those below it, which are only read.
  ///
  /// A guest can write into its raw disk what looks like another format, and so have any file of the
  /// host opened as its backing file. So whoever knows that an image is raw says so; where it was
  /// guessed, writing such a beginning is refused.
  /// - Parameter format: nil where the contents tell.
  /// - Throws: ``ImageError``.
  public static func open(
    path: String, readOnly: Bool, format: ImageFormat? = nil, cache: CacheMode = .writeback
  ) throws(ImageError) -> any StoredImage {
    try open(path: path, readOnly: readOnly, format: format, cache: cache, above: [])
  }

  /// What the first bytes of `file` say that it is.
  static func probe(_ file: any HostFile) throws(ImageError) -> ImageFormat {
    _ = try file.size()
    return try file.loadBytes(QCOW2Header.magic.count, at: 0) == QCOW2Header.magic ? .qcow2 : .raw
  }

  /// - Parameter above: the images whose backing file this is.
  private static func open(
    path: String, readOnly: Bool, format: ImageFormat?, cache: CacheMode, above: [FileIdentity]
  ) throws(ImageError) -> any StoredImage {
    let file = try ImageFile(path: path, readOnly: readOnly, cache: cache)
    let known: ImageFormat
    if let format { known = format } else { known = try probe(file) }
    guard !above.contains(file.identity) else {
      throw ImageError(path, .badBacking, "\(path) is below itself: its backing files form a loop")
    }
    let image: any StoredImage
    switch known {
    case .raw:
      _ = try RawImage.checkedSize(of: file)
      try ImageLock.take(file)
      image = try RawImage(file, wasGuessed: format == nil)
    case .qcow2:
      try ImageLock.take(file)
      var header = try QCOW2Header(file)
      let backing = try openBacking(of: header, path, cache, above: above + [file.identity])
      if !readOnly && header.incompatible & QCOW2Feature.dirty != 0 {
        try QCOW2Repair.recount(file, &header)
      }
      image = try QCOW2Image(file, header, backing: backing, settles: true)
    }
    return cache == .writethrough && !readOnly ? WritethroughImage(image) : image
  }

  private static func openBacking(
    of header: QCOW2Header, _ path: String, _ cache: CacheMode, above: [FileIdentity]
  ) throws(ImageError) -> (any StoredImage)? {
    guard let name = header.backingName else { return nil }
    let backing = try BackingName(name, format: header.backingFormat, of: path)
    guard above.count < maximumChain else {
      throw ImageError(path, .badBacking, "more than \(maximumChain) images lie over each other")
    }
    return try open(
      path: backing.path, readOnly: true, format: backing.format, cache: cache, above: above)
  }
}
