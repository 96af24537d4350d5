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

  /// The bytes of guest `name`'s floppy disk.
  static func image(_ name: String) throws(Complaint) -> [UInt8] {
    guard let guest = guest_find(name)?.pointee else {
      let names = all.map(\.name).joined(separator: ", ")
      throw Complaint("there is no built-in guest named \(name); there are \(names)")
    }
    // SAFETY: both labels stand in one read-only section, `start` before `end`.
    return Array(UnsafeBufferPointer(start: guest.start, count: guest.end - guest.start))
  }
}
