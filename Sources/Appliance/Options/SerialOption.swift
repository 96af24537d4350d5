import Machine

/// Where COM1 goes, as `--serial` takes it.
enum SerialOption {
  /// Reads `none`, `stdio`, `file:PATH` or `socket:PATH`.
  static func parse(_ text: String) throws(Complaint) -> SerialTarget {
    switch text {
    case "none": return .none
    case "stdio": return .stdio
    default: break
    }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2, !parts[1].isEmpty {
      if parts[0] == "file" { return .file(String(parts[1])) }
      if parts[0] == "socket" { return .socket(String(parts[1])) }
    }
    throw Complaint("a serial port goes to none, stdio, file:PATH or socket:PATH")
  }
}
