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
  /// - Parameter choice: its name, and behind a colon the scene that it begins with.
  static func image(_ choice: String) throws(Complaint) -> [UInt8] {
    let parts = choice.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
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
    return [UInt8](unsafeUninitializedCapacity: guest_size(guest)) { bytes, count in
      // SAFETY: the capacity is what guest_copy() writes, and the scene one that it knows.
      guest_copy(guest, scene, bytes.baseAddress)
      count = guest_size(guest)
    }
  }

  /// What a guest can begin with; the first one is the usual.
  private static func scenes(of guest: UnsafePointer<guest>) -> [String] {
    var names: [String] = []
    while let name = guest_scene(guest, UInt32(names.count)) { names.append(String(cString: name)) }
    return names
  }
}
