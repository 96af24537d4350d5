import Glibc
import ProcessorFuzzing

// Random instructions with random registers, in the software processor and on the host's own. Prints
// every difference with its case's number, and fails where there are any.
//
//   CPUFuzz [--cases N] [--seconds S] [--seed X] [--only CASE]

var cases: UInt64 = .max
var seconds: UInt64 = 20
var seed = UInt64(truncatingIfNeeded: time(nil))
var only: UInt64?
var arguments = CommandLine.arguments.dropFirst()
while let name = arguments.popFirst() {
  guard let text = arguments.popFirst(), let value = UInt64(text) else {
    print("usage: CPUFuzz [--cases N] [--seconds S] [--seed X] [--only CASE]")
    exit(64)
  }
  switch name {
  case "--cases":
    cases = value
    seconds = .max
  case "--seconds": seconds = value
  case "--seed": seed = value
  case "--only": only = value
  default:
    print("CPUFuzz: there is no \(name)")
    exit(64)
  }
}

/// Seconds of a clock that only goes forwards.
func now() -> UInt64 {
  var value = timespec()
  clock_gettime(CLOCK_MONOTONIC, &value)
  return UInt64(value.tv_sec)
}

let comparison: Comparison
do {
  comparison = try Comparison()
} catch {
  print("CPUFuzz: \(error)")
  exit(1)
}
let start = now()
var number: UInt64 = only ?? 0
var differences = 0
while number < cases, differences < 100 {
  if number & 0xFFF == 0, now() - start >= seconds { break }
  // A case depends on nothing but the seed and its number.
  var dice = Seeded(seed &* 0x9E37_79B9_7F4A_7C15 ^ number &* 0xD1B5_4A32_D192_ED03)
  if let difference = comparison.difference(RandomCase(&dice)) {
    differences += 1
    print("seed \(seed), case \(number): \(difference)")
  }
  number += 1
  if only != nil { break }
}
print("\(number) cases with seed \(seed) in \(now() - start) s: \(differences) differences")
exit(differences == 0 ? 0 : 1)
