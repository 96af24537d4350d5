import Guests

/// The guests that are built into the command, as `--guest` names them.
enum BuiltInGuest {
  /// Each guest's name and purpose.
  static var all: [(name: String, purpose: String)] {
    (0..<guest_count()).compactMap { index in
      guard let guest = guest_at(index)?.pointee else { return nil }
      return (String(cString: guest.name), String(cString: guest.purpose))
    }
  }

  /// The bytes of a guest's floppy disk.
  /// - Parameter choice: its name; where it has scenes, the one that it begins with behind a colon,
  ///   and the size of its screen behind that, as `demo:still@1280x800`.
  static func image(_ choice: String) throws(Complaint) -> [UInt8] {
    let sized = choice.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    let parts = sized[0].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0])
    guard let guest = guest_find(name) else {
      let names = all.map(\.name).joined(separator: ", ")
      throw Complaint("there is no built-in guest named \(name); there are \(names)")
    }
    var scene: UInt32 = 0
    if parts.count > 1 {
      let scenes = scenes(of: guest)
      guard let index = scenes.firstIndex(of: String(parts[1])) else {
        throw Complaint(
          "the guest \(name) has no scene \(parts[1]); it has \(scenes.joined(separator: ", "))")
      }
      scene = UInt32(index)
    }
    var size: (width: UInt32, height: UInt32) = (0, 0)
    if sized.count > 1 {
      guard let asked = screenSize(sized[1]), guest_scene(guest, 0) != nil else {
        throw Complaint("the guest \(name) has no screen of \(sized[1]), as 1280x800")
      }
      size = asked
    }
    return [UInt8](unsafeUninitializedCapacity: guest_size(guest)) { bytes, count in
      // SAFETY: the capacity is what guest_copy() writes, and the scene one that it knows.
      guest_copy(guest, scene, size.width, size.height, bytes.baseAddress)
      count = guest_size(guest)
    }
  }

  /// The numbers of a size as 1280x800, 640x480 to 1920x1200; nil where it is none.
  private static func screenSize(_ text: Substring) -> (width: UInt32, height: UInt32)? {
    let numbers = text.split(separator: "x", omittingEmptySubsequences: false).map { UInt32($0) }
    guard numbers.count == 2, let width = numbers[0], let height = numbers[1],
      (640...1920).contains(width), (480...1200).contains(height)
    else { return nil }
    return (width, height)
  }

  /// What a guest can begin with; the first one is the usual.
  private static func scenes(of guest: UnsafePointer<guest>) -> [String] {
    var names: [String] = []
    while let name = guest_scene(guest, UInt32(names.count)) { names.append(String(cString: name)) }
    return names
  }
}
