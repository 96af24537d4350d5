import Glibc

/// The backing file that an image names, checked: a plain file, and no address of something that a
/// program would have to connect to or start.
struct BackingName {
  let path: String
  /// Nil where the contents tell.
  let format: ImageFormat?

  /// - Parameters:
  ///   - name: as the image has it; relative to the image's folder.
  ///   - image: the path of the image.
  /// - Throws: ``ImageError`` `.badBacking`.
  init(_ name: String, format: String?, of image: String) throws(ImageError) {
    func refuse(_ why: String) -> ImageError {
      ImageError(image, .badBacking, "\(image) wants \"\(Self.printable(name))\" below it, \(why)")
    }
    if let protocolName = Self.protocolName(name) {
      throw refuse("which is no file but an address of \"\(Self.printable(protocolName))\"")
    }
    switch format {
    case nil: self.format = nil
    case "raw"?, "qcow2"?: self.format = ImageFormat(rawValue: format ?? "")
    case let other?:
      throw refuse("in the format \"\(Self.printable(other))\", which is not read here")
    }
    path = Self.resolve(name, beside: image)
    var status = stat()
    guard stat(path, &status) == 0 else { throw refuse("which is not there") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw refuse("which is no plain file") }
  }

  /// `name` as a path, where it is relative to the folder of `image`.
  static func resolve(_ name: String, beside image: String) -> String {
    if name.utf8.first == UInt8(ascii: "/") { return name }
    guard let slash = image.lastIndex(of: "/") else { return name }
    return image[...slash] + name
  }

  /// What stands before a colon that no slash precedes: "nbd", "json", "http".
  private static func protocolName(_ name: String) -> String? {
    guard let colon = name.firstIndex(of: ":") else { return nil }
    let before = name[..<colon]
    return before.contains("/") ? nil : String(before)
  }

  private static func printable(_ text: String) -> String {
    String(
      text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : Character($0) })
  }
}
