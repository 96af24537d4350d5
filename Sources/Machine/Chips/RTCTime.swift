/// A moment as a calendar shows it (proleptic Gregorian).
struct RTCTime: Equatable {
  var year: Int64
  /// 1 to 12.
  var month: Int64
  /// 1 to 31.
  var day: Int64
  var hour: Int64
  var minute: Int64
  var second: Int64

  /// A second in nanoseconds.
  static let second: UInt64 = 1_000_000_000
  /// The furthest that a time can lie from 1970, seconds: 10,000 years.
  static let furthest: Int64 = 315_576_000_000
  private static let secondsPerDay: Int64 = 86_400

  /// The moment `seconds` after the start of 1970, kept within 10,000 years of it.
  init(seconds: Int64) {
    let bounded = min(max(seconds, -Self.furthest), Self.furthest)
    let inDay = ((bounded % Self.secondsPerDay) + Self.secondsPerDay) % Self.secondsPerDay
    let days = (bounded - inDay) / Self.secondsPerDay
    hour = inDay / 3600
    minute = inDay / 60 % 60
    second = inDay % 60
    // Years run from March here, so that the day that comes and goes is a year's last. Days are
    // counted from March 1st of year 0 in eras of 400 years.
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  /// Seconds since the start of 1970. Parts beyond their range carry over.
  var secondsSince1970: Int64 {
    let marchYear = month <= 2 ? year - 1 : year
    let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
    let yearOfEra = marchYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    let days = era * 146_097 + dayOfEra - 719_468
    return days * Self.secondsPerDay + hour * 3600 + minute * 60 + second
  }

  /// The day of the week of `seconds` since 1970, 0 for Sunday.
  static func weekday(_ seconds: Int64) -> Int64 {
    let days = (seconds - ((seconds % secondsPerDay) + secondsPerDay) % secondsPerDay)
    return ((days / secondsPerDay + 4) % 7 + 7) % 7
  }
}

/// How register B says that times are written.
struct RTCFormat {
  let isBinary: Bool
  let is24Hours: Bool

  /// `value`, 0 to 99, as a register shows it.
  func encode(_ value: Int64) -> UInt8 {
    let bounded = ((value % 100) + 100) % 100
    return UInt8(truncatingIfNeeded: isBinary ? bounded : bounded / 10 * 16 + bounded % 10)
  }

  /// What a register's `byte` means.
  func decode(_ byte: UInt8) -> Int64 {
    Int64(isBinary ? byte : (byte >> 4) &* 10 &+ (byte & 15))
  }

  /// `hour`, 0 to 23, as the hours register shows it.
  func encodeHour(_ hour: Int64) -> UInt8 {
    if is24Hours { return encode(hour) }
    let twelve = hour % 12 == 0 ? 12 : hour % 12
    return encode(twelve) | (hour >= 12 ? RTCBit.afternoon : 0)
  }

  /// What the hours register's `byte` means.
  func decodeHour(_ byte: UInt8) -> Int64 {
    if is24Hours { return decode(byte) }
    let hour = decode(byte & ~RTCBit.afternoon) % 12
    return byte & RTCBit.afternoon != 0 ? hour + 12 : hour
  }
}
