import Storage

/// Sizes of disks as the command line has them: bytes, or with K, M, G, T or P (powers of 1024).
enum ImageSize {
  private static let powers: [Character: UInt64] = ["K": 10, "M": 20, "G": 30, "T": 40, "P": 50]

  /// Bytes that `text` names, a multiple of 512.
  static func parse(_ text: String) throws(Complaint) -> UInt64 {
    var digits = text.uppercased()[...]
    for ending in ["IB", "B"] where digits.hasSuffix(ending) && digits.count > ending.count {
      digits = digits.dropLast(ending.count)
      break
    }
    var shift: UInt64 = 0
    if let last = digits.last, let power = powers[last] {
      shift = power
      digits = digits.dropLast()
    }
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
      let number = UInt64(digits)
    else { throw Complaint("\"\(text)\" is no size; write it like 512M or 20G") }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    guard !overflow, bytes > 0, bytes < 1 << 62 else {
      throw Complaint("no disk has a size of \(text)")
    }
    guard bytes % 512 == 0 else {
      throw Complaint("a disk's size is a multiple of 512 bytes, and \(text) is none")
    }
    return bytes
  }

  /// `bytes` for people, exactly where that is not what is said already.
  static func describe(_ bytes: UInt64) -> String {
    let short = ByteCount.describe(Int64(clamping: bytes))
    return bytes < 1024 ? short : "\(short) (\(bytes) bytes)"
  }
}
