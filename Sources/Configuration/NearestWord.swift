/// Finds what somebody meant who mistyped a word.
public enum NearestWord {
  /// Longer words are not compared.
  private static let longest = 64

  /// The word among `words` that `typed` is nearest to; nil where none is near.
  public static func find(_ typed: String, among words: some Sequence<String>) -> String? {
    let limit = max(1, typed.count / 3)
    guard typed.count <= longest else { return nil }
    return words.map { (distance(Array(typed.utf8), Array($0.utf8)), $0) }
      .filter { $0.0 <= limit && $0.0 < typed.count }.min { $0 < $1 }?.1
  }

  /// How many letters have to be put in, left out, replaced or swapped with their neighbour.
  static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var before: [Int] = []
    var last = Array(0...other.count)
    for row in one.indices {
      var line = [row + 1]
      for column in other.indices {
        let same = one[row] == other[column]
        var least = min(last[column] + (same ? 0 : 1), last[column + 1] + 1, line[column] + 1)
        if row > 0, column > 0, one[row] == other[column - 1], one[row - 1] == other[column] {
          least = min(least, before[column - 1] + 1)
        }
        line.append(least)
      }
      (before, last) = (last, line)
    }
    return last[other.count]
  }
}
