/// A new disk's size as `--size` takes it: a number with K, M, G or T (powers of 1024).
enum DiskSize {
  /// Bytes: a mebibyte, to eight exbibytes less one.
  static let range = (1 << 20)...(Int.max - 511)

  /// Bytes that `text` names, in whole sectors.
  static func parse(_ text: String) throws(Complaint) -> Int {
    var digits = text.uppercased()[...]
    for suffix in ["IB", "B"] where digits.hasSuffix(suffix) && digits.count > suffix.count {
      digits = digits.dropLast(suffix.count)
      break
    }
    var shift = 0
    if let last = digits.last, let power = ["K": 10, "M": 20, "G": 30, "T": 40][last] {
      shift = power
      digits = digits.dropLast()
    }
    guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(digits) else {
      throw Complaint("\"\(text)\" is no size of a disk; write it like 500M or 20G")
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    guard !overflow, range.contains(bytes) else {
      throw Complaint("a disk has at least 1M and less than 8 EiB, and \(text) is not that")
    }
    return (bytes + 511) & ~511
  }
}
