extension DiskImage {
  /// Makes an empty image of `format`; it is there as a whole or not at all.
  /// - Parameters:
  ///   - options: the size, and for qcow2 the rest.
  ///   - isDurable: it survives a loss of power from now on.
  /// - Throws: ``ImageError`` `.exists` where something is at `path`.
  public static func create(
    _ format: ImageFormat, at path: String, _ options: QCOW2Options, isDurable: Bool = true
  ) throws(ImageError) {
    let new = try NewFile(path)
    switch format {
    case .raw:
      guard options.size > 0, options.size <= Sector.maximumBytes, options.size % 512 == 0 else {
        throw ImageError(
          path, .oversized, "no disk has \(options.size) bytes: sectors have 512 each")
      }
      let code = new.file.setSize(options.size)
      guard code == 0 else { throw ImageError.handling("make", path, code: code) }
    case .qcow2:
      try QCOW2Header(options, path: path).create(in: new.file)
    }
    try new.keep(isDurable: isDurable)
  }

  /// Makes a qcow2 image that shows what `backing` has and keeps what is written to it.
  /// - Parameters:
  ///   - backing: as the image names it: relative to the folder of `path`.
  ///   - backingFormat: nil where its contents tell. Say it where it is known: see
  ///     ``open(path:readOnly:format:cache:)``.
  ///   - size: bytes of the medium; nil for the backing file's.
  ///   - isDurable: it survives a loss of power from now on.
  /// - Throws: ``ImageError``, also where the backing file can't be used.
  public static func createOverlay(
    at path: String, backing: String, backingFormat: ImageFormat? = nil, size: UInt64? = nil,
    isDurable: Bool = true
  ) throws(ImageError) {
    let name = try BackingName(backing, format: backingFormat?.rawValue, of: path)
    let below = try open(path: name.path, readOnly: true, format: backingFormat)
    var options = QCOW2Options(size: size ?? below.sectorCount * 512)
    options.backing = backing
    options.backingFormat = below.format
    try create(.qcow2, at: path, options, isDurable: isDurable)
  }
}
