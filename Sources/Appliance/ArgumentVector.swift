import Glibc

/// A program's arguments as C wants them.
enum ArgumentVector {
  /// Calls `body` with the addresses of `texts`, a null behind the last one.
  static func with<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) throws -> Result
  ) rethrows -> Result {
    var addresses: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) }
    defer { for address in addresses { free(address) } }
    addresses.append(nil)
    // SAFETY: the array is not empty, and lives as long as the closure runs.
    return try addresses.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return try body([nil]) }
      return try body(base)
    }
  }
}
