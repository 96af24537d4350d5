import Foundation
import KVMEngine

/// What every device of the PC has to stand, whatever it does: reset, save and restore, accesses of
/// any width anywhere, random guests, and saved states that somebody tampered with.
///
/// A trap is found by the test process dying; everything else comes back as a sentence.
public struct DeviceConformance<D: Device> {
  /// Makes a device as the machine's builder would. Devices of one run share the test's clock.
  public var make: () -> D
  /// The device's port entries and where they are registered; only the ranges' lengths matter.
  public var ports: (D) -> [(any PortDevice, ClosedRange<UInt16>)]
  /// The device's memory entries with the number of bytes that each spans.
  public var memories: (D) -> [(any MemoryDevice, UInt64)]
  /// Called now and then between accesses: lets a test turn its clock or feed the device.
  public var between: (D) -> Void = { _ in }
  /// Whether a restored device has to answer the same reads as the one that was saved. False where
  /// a part of the state is kept outside the device, as display memory is.
  public var comparesTwins = true
  /// How many random accesses a run makes.
  public var accesses = 20_000
  /// How many tampered states a run restores.
  public var tamperedStates = 300

  public init(
    make: @escaping () -> D,
    ports: @escaping (D) -> [(any PortDevice, ClosedRange<UInt16>)] = { _ in [] },
    memories: @escaping (D) -> [(any MemoryDevice, UInt64)] = { _ in [] }
  ) {
    self.make = make
    self.ports = ports
    self.memories = memories
  }

  /// Runs everything; the same `seed` gives the same run.
  /// - Returns: what the device does wrong, nothing where it conforms.
  public func violations(seed: UInt64) -> [String] {
    var generator = SplitMix64(seed: seed)
    var found: [String] = []
    found += checkReset(&generator)
    checkWidths()
    found += checkRoundTrip(make(), when: "after power-on")
    let worn = make()
    scramble(worn, count: accesses, &generator)
    found += checkRoundTrip(worn, when: "after random accesses")
    for _ in 0..<(comparesTwins ? 8 : 0) where found.isEmpty { found += checkTwins(&generator) }
    found += checkTamperedStates(&generator)
    return found
  }

  private func checkReset(_ generator: inout SplitMix64) -> [String] {
    var found: [String] = []
    let device = make()
    device.reset()
    let first = device.save()
    device.reset()
    if device.save() != first { found.append("\(device.name): a second reset changes the state") }
    scramble(device, count: 500, &generator)
    device.reset()
    device.reset()
    let again = device.save()
    device.reset()
    if device.save() != again {
      found.append("\(device.name): reset after use is not idempotent")
    }
    return found
  }

  /// Every width at every offset, or at the ends and a sample where the range is large.
  private func checkWidths() {
    let device = make()
    for (port, range) in ports(device) {
      for offset in 0...(range.upperBound &- range.lowerBound) {
        for width in [AccessWidth.byte, .word, .dword] {
          port.writePort(offset, width: width, value: UInt32(truncatingIfNeeded: width.mask))
          _ = port.readPort(offset, width: width)
        }
      }
    }
    for (memory, size) in memories(device) {
      let edges = Array(0..<min(size, 2048)) + Array((size - min(size, 64))..<size)
      for offset in edges {
        for width in AccessWidth.allCases {
          memory.writeMemory(offset, width: width, value: width.mask)
          _ = memory.readMemory(offset, width: width)
        }
      }
    }
  }

  private func checkRoundTrip(_ device: D, when: String) -> [String] {
    let state = device.save()
    if device.save() != state { return ["\(device.name): two saves \(when) differ"] }
    let copy = make()
    do {
      try copy.restore(state)
    } catch {
      return ["\(device.name): its own state \(when) is refused: \(error)"]
    }
    var found: [String] = []
    if copy.save() != state {
      found.append("\(device.name): save, restore, save \(when) gives another state")
    }
    guard let json = try? JSONEncoder().encode(state),
      let decoded = try? JSONDecoder().decode(D.SavedState.self, from: json), decoded == state
    else { return found + ["\(device.name): its state \(when) does not survive encoding"] }
    return found
  }

  /// A restored device and its original answer the same reads to the same accesses.
  private func checkTwins(_ generator: inout SplitMix64) -> [String] {
    let original = make()
    scramble(original, count: 300, &generator)
    let twin = make()
    do {
      try twin.restore(original.save())
    } catch { return [] }
    for step in 0..<600 {
      // Reads alone at first: a write would hide what the restore forgot.
      let access = RandomAccess(&generator, onlyReads: step < 200)
      let first = perform(access, on: original)
      let second = perform(access, on: twin)
      if first != second {
        return [
          "\(original.name): a restored device answers access \(step) (\(access)) with "
            + "\(String(second, radix: 16)), its original with \(String(first, radix: 16))"
        ]
      }
    }
    return []
  }

  /// States with numbers, flags and lengths that somebody changed: refused with the device left as
  /// it was, or taken and then lived with.
  private func checkTamperedStates(_ generator: inout SplitMix64) -> [String] {
    let source = make()
    scramble(source, count: 1_000, &generator)
    guard let json = try? JSONEncoder().encode(source.save()) else { return [] }
    let tokens = TamperedJSON(json)
    guard !tokens.isEmpty else { return [] }
    for _ in 0..<tamperedStates {
      let text = tokens.tampered(&generator)
      guard let state = try? JSONDecoder().decode(D.SavedState.self, from: text) else { continue }
      let device = make()
      let before = device.save()
      do {
        try device.restore(state)
        scramble(device, count: 200, &generator)
        _ = device.save()
        device.reset()
      } catch {
        if device.save() != before {
          return ["\(device.name): a refused state changes the device (\(error))"]
        }
      }
    }
    return []
  }

  private func scramble(_ device: D, count: Int, _ generator: inout SplitMix64) {
    for step in 0..<count {
      _ = perform(RandomAccess(&generator), on: device)
      if step % 16 == 15 { between(device) }
    }
  }

  private func perform(_ access: RandomAccess, on device: D) -> UInt64 {
    let ports = ports(device)
    let memories = memories(device)
    guard !ports.isEmpty || !memories.isEmpty else { return 0 }
    let index = Int(truncatingIfNeeded: access.target % UInt64(ports.count + memories.count))
    if index < ports.count {
      let (port, range) = ports[index]
      let span = UInt64(range.upperBound - range.lowerBound) + 1
      let offset = UInt16(truncatingIfNeeded: access.place % span)
      let width = access.width == .qword ? AccessWidth.byte : access.width
      if access.isWrite {
        let value = UInt32(truncatingIfNeeded: access.value & width.mask)
        port.writePort(offset, width: width, value: value)
        return 0
      }
      return UInt64(port.readPort(offset, width: width)) & width.mask
    }
    let (memory, size) = memories[index - ports.count]
    let offset = access.place % max(size, 1)
    if access.isWrite {
      memory.writeMemory(offset, width: access.width, value: access.value & access.width.mask)
      return 0
    }
    return memory.readMemory(offset, width: access.width) & access.width.mask
  }
}

/// The conformance run with its defaults, for a device that needs no hooks.
public func conformanceViolations<D: Device>(
  make: @escaping () -> D,
  ports: @escaping (D) -> [(any PortDevice, ClosedRange<UInt16>)] = { _ in [] },
  memories: @escaping (D) -> [(any MemoryDevice, UInt64)] = { _ in [] },
  seed: UInt64 = 1
) -> [String] {
  DeviceConformance(make: make, ports: ports, memories: memories).violations(seed: seed)
}

/// A small random generator whose runs repeat (Steele, Lea and Flood, "Fast splittable pseudorandom
/// number generators", 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// One access of a guest that does not know what it does.
private struct RandomAccess: CustomStringConvertible {
  let target: UInt64
  let place: UInt64
  let width: AccessWidth
  let isWrite: Bool
  let value: UInt64

  init(_ generator: inout SplitMix64, onlyReads: Bool = false) {
    target = generator.next()
    let wide = generator.next()
    // Registers sit at the bottom of most ranges; half of the accesses go there.
    place = wide & 1 == 0 ? (wide >> 1) % 4096 : wide >> 1
    let choice = generator.next()
    width = choice % 4 != 0 ? .byte : AccessWidth.allCases[Int(choice >> 8 & 3)]
    isWrite = choice & 0x10000 != 0 && !onlyReads
    // Small values reach more commands than uniform ones.
    value = choice & 0x20000 != 0 ? generator.next() : generator.next() & 0x3F
  }

  var description: String {
    "\(isWrite ? "write \(String(value, radix: 16))" : "read") of \(width) at random \(place)"
  }
}

/// A JSON text whose numbers and flags can be changed.
private struct TamperedJSON {
  private let bytes: [UInt8]
  private var tokens: [Range<Int>] = []

  var isEmpty: Bool { tokens.isEmpty }

  init(_ data: Data) {
    bytes = [UInt8](data)
    var index = 0
    var inString = false
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\"") { inString.toggle() }
      let start = index
      index += 1
      guard !inString, Self.isToken(byte) else { continue }
      while index < bytes.count, Self.isToken(bytes[index]) { index += 1 }
      tokens.append(start..<index)
    }
  }

  private static func isToken(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "-")
  }

  func tampered(_ generator: inout SplitMix64) -> Data {
    var result = bytes
    let changes = Int(generator.next() % 3) + 1
    let chosen = Set((0..<changes).map { _ in Int(generator.next() % UInt64(tokens.count)) })
    for index in chosen.sorted(by: >) {
      var range = tokens[index]
      if generator.next() % 8 == 0 {
        // Takes an element out of an array; elsewhere the text no longer decodes.
        if range.upperBound < bytes.count, bytes[range.upperBound] == UInt8(ascii: ",") {
          range = range.lowerBound..<(range.upperBound + 1)
        }
        result.removeSubrange(range)
      } else {
        result.replaceSubrange(range, with: replacement(for: bytes[range.lowerBound], &generator))
      }
    }
    return Data(result)
  }

  private func replacement(for first: UInt8, _ generator: inout SplitMix64) -> [UInt8] {
    if first == UInt8(ascii: "t") { return Array("false".utf8) }
    if first == UInt8(ascii: "f") { return Array("true".utf8) }
    if generator.next() % 8 == 0 { return Array("1,1".utf8) }
    let values = [
      "0", "1", "-1", "2", "7", "16", "127", "128", "255", "256", "32767", "65535", "65536",
      "2147483647", "4294967295", "9223372036854775807", "18446744073709551615",
      "-9223372036854775808",
    ]
    return Array(values[Int(generator.next() % UInt64(values.count))].utf8)
  }
}
