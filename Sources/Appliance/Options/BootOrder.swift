import Storage

/// The order in which drives are tried, as `--boot` takes it.
enum BootOrder {
  /// Reads kinds of drive with commas between, as `cdrom,disk`.
  static func parse(_ text: String) throws(Complaint) -> [DriveKind] {
    var order: [DriveKind] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let kind: DriveKind
      switch part.lowercased() {
      case "floppy": kind = .floppy
      case "disk", "harddisk", "hd": kind = .hardDisk
      case "cdrom", "cd": kind = .cdrom
      default:
        throw Complaint("\"\(part)\" is no drive to boot from; name floppy, disk and cdrom")
      }
      guard !order.contains(kind) else {
        throw Complaint("\(part) stands twice in the boot order")
      }
      order.append(kind)
    }
    return order
  }
}
