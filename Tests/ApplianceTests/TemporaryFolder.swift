import Glibc

/// Runs `body` with a new folder, which goes away after it with the files in it.
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  var template = Array("\(P_tmpdir)/porthole-test-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else { throw TemporaryFolderError(code: errno) }
  let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  defer { remove(path) }
  return try body(path)
}

struct TemporaryFolderError: Error {
  let code: Int32
}

private func remove(_ path: String) {
  if let directory = opendir(path) {
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { remove(path + "/" + name) }
    }
    closedir(directory)
  }
  Glibc.remove(path)
}
