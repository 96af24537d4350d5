import Machine

/// Guest memory as `--memory` takes it: a number with K, M, G or T (powers of 1024), in bytes
/// without.
enum MemorySize {
  /// What a desktop may have, in bytes: the PC needs its first mebibyte, and a tebibyte is more
  /// than any host of one desktop has.
  static let range = (2 << 20)...(1 << 40)
  private static let powers: [Character: Int] = ["K": 10, "M": 20, "G": 30, "T": 40]

  /// Bytes that `text` names.
  static func parse(_ text: String) throws(Complaint) -> Int {
    let trimmed = text.uppercased()
    var digits = trimmed[...]
    for suffix in ["IB", "B"] where digits.hasSuffix(suffix) && digits.count > suffix.count {
      digits = digits.dropLast(suffix.count)
      break
    }
    var shift = 0
    if let last = digits.last, let power = powers[last] {
      shift = power
      digits = digits.dropLast()
    }
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
      let number = Int(digits)
    else {
      throw Complaint("\"\(text)\" is no amount of memory; write it like 64M or 1G")
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    guard !overflow, range.contains(bytes) else {
      throw Complaint("a desktop's memory lies between 2M and 1T, and \(text) does not")
    }
    guard bytes % MachineConfiguration.memoryGranularity == 0 else {
      throw Complaint("memory comes in whole mebibytes, and \(text) is none")
    }
    return bytes
  }

  /// `bytes` in the largest unit that needs no fraction.
  static func describe(_ bytes: Int) -> String {
    for (unit, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)]
    where bytes >= 1 << shift && bytes % (1 << shift) == 0 {
      return "\(bytes >> shift)\(unit)"
    }
    return "\(bytes)"
  }
}
