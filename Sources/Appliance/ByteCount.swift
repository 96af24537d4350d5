/// Amounts of storage, for people.
enum ByteCount {
  /// `bytes` in the largest unit that leaves a number of 1 or more, with one digit behind the point
  /// below ten: `1.5 GiB`.
  static func describe(_ bytes: Int64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var value = max(0, bytes)
    var unit = 0
    // Tenths, where they are asked for; below that no bit is worth a fraction.
    while value >= 10_240 && unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    if value < 1024 || unit == units.count - 1 { return "\(value) \(units[unit])" }
    let tenths = value * 10 / 1024
    return tenths < 100
      ? "\(tenths / 10).\(tenths % 10) \(units[unit + 1])" : "\(tenths / 10) \(units[unit + 1])"
  }
}
