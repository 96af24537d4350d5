import Glibc

/// A program of the host that a test asks for its opinion.
enum Program {
  struct Missing: Error { let path: String }

  /// What the program at `path` writes, to standard output and standard error.
  static func output(_ path: String, _ arguments: [String]) throws -> String {
    let words = ([path] + arguments).map { word in
      "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        + "'"
    }
    guard access(path, X_OK) == 0,
      let pipe = popen(words.joined(separator: " ") + " 2>&1 </dev/null", "r")
    else { throw Missing(path: path) }
    defer { pclose(pipe) }
    var text: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&piece, 1, piece.count, pipe), count > 0 {
      text += piece[..<count]
    }
    return String(decoding: text, as: UTF8.self)
  }
}
