import Storage

/// The order in which drives are tried, as `--boot` takes it.
enum BootOrder {
  /// Kinds of drive, and whether a menu comes first.
  struct Value: Equatable {
    var kinds: [DriveKind] = []
    var hasMenu = false
  }

  /// Reads kinds of drive, and `menu`, with commas between, as `menu,cdrom,disk`.
  static func parse(_ text: String) throws(Complaint) -> Value {
    var order = Value()
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let kind: DriveKind
      if part.lowercased() == "menu", !order.hasMenu {
        order.hasMenu = true
        continue
      }
      switch part.lowercased() {
      case "floppy": kind = .floppy
      case "disk", "harddisk", "hd": kind = .hardDisk
      case "cdrom", "cd": kind = .cdrom
      default:
        throw Complaint("\"\(part)\" is no drive to boot from; name floppy, disk, cdrom and menu")
      }
      guard !order.kinds.contains(kind) else {
        throw Complaint("\(part) stands twice in the boot order")
      }
      order.kinds.append(kind)
    }
    return order
  }
}
