import Glibc

/// An error whose text is a sentence for the person at the keyboard.
struct Complaint: Error, CustomStringConvertible, Equatable {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Where the command talks to the person who started it.
enum Console {
  /// Writes one line to standard error.
  static func error(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

  /// Writes one line to standard output.
  static func output(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

  /// Writes text as it is. A reader that went away is no error.
  static func write(_ text: String, to descriptor: Int32) {
    var text = text
    text.withUTF8 { bytes in _ = writeAll(UnsafeRawBufferPointer(bytes), to: descriptor) }
  }

  /// Writes all of `bytes`.
  /// - Returns: the errno of the write that failed, or 0.
  static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
    var rest = bytes
    while !rest.isEmpty {
      let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
      if count > 0 {
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
      } else if count < 0 && errno != EINTR {
        return errno
      }
    }
    return 0
  }
}
