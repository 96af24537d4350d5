import CPNG
import Glibc
import KVMEngine

/// A film of a screen as an animated PNG file (PNG, third edition, "APNG": acTL, fcTL, fdAT), which
/// browsers and players show and which loses nothing.
///
/// Each picture after the first is the rectangle that changed; what is the same inside it is
/// transparent. The file is whole after every call, whenever the process ends: a picture is written
/// behind the others, then its time and the count are set. In memory are two pictures at most.
/// One thread at a time.
public final class AnimatedPNG {
  /// How long one picture may stand, in milliseconds; a longer one is written again.
  private static let longestDelay: UInt64 = 60_000
  /// What a picture's time is until the next one tells it, in milliseconds.
  private static let firstDelay: UInt64 = 40
  private static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
  private static let effort: Int32 = 3

  /// The size of all pictures.
  public let size: FrameSize
  /// Pictures so far.
  public private(set) var pictures: UInt32 = 0
  private let path: String
  private let descriptor: Int32
  /// What the film shows so far.
  private let shown: Frame
  /// fcTL and fdAT count together.
  private var sequence: UInt32 = 0
  /// Where IEND stands, and the last picture's fcTL.
  private var end: Int = 0
  private var control: (offset: Int, sequence: UInt32, place: FrameRect)
  /// When the last picture came, nanoseconds.
  private var last: UInt64 = 0

  /// Begins the file at `path`, in place of one that is there, with its first picture.
  /// - Parameter time: nanoseconds of any clock, as all times here.
  /// - Throws: ``HostError`` where it cannot be written, or is not a plain file.
  public init(path: String, first: Frame, at time: UInt64) throws(HostError) {
    self.path = path
    size = first.size
    shown = Frame(size: first.size)
    control = (0, 0, FrameRect(x: 0, y: 0, width: size.width, height: size.height))
    var status = stat()
    if stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG {
      throw HostError("write \(path)", advice: "a film needs a plain file")
    }
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw HostError("write \(path)", code: errno) }
    var header = Self.signature
    // 8 bits a component, colour with alpha.
    let sides = Self.bytes(UInt32(size.width)) + Self.bytes(UInt32(size.height))
    header += Self.chunk("IHDR", sides + [8, 6, 0, 0, 0])
    header += animation
    try write(header, at: 0)
    end = Int(header.count)
    try add(first, control.place, before: nil, at: time)
  }

  deinit { close(descriptor) }

  /// Shows `frame` from `time` on. Does nothing where it looks as before.
  /// - Parameter frame: of the film's ``size``.
  public func show(_ frame: Frame, at time: UInt64) throws(HostError) {
    guard frame.size == size, let place = changes(to: frame) else { return }
    try stand(until: time)
    try add(frame, place, before: shown.pixels, at: time)
  }

  /// The last picture stood until `time`.
  public func finish(at time: UInt64) throws(HostError) { try stand(until: time) }

  // MARK: Pictures

  /// The rectangle around all pixels that differ; nil where none does.
  private func changes(to frame: Frame) -> FrameRect? {
    // SAFETY: both pictures have this width and height.
    let width = size.width
    func isSame(_ y: Int) -> Bool {
      memcmp(frame.pixels + y * width, shown.pixels + y * width, width * 4) == 0
    }
    guard let top = (0..<size.height).first(where: { !isSame($0) }) else { return nil }
    let bottom = (top..<size.height).last { !isSame($0) } ?? top
    var left = width
    var right = 0
    for y in top...bottom {
      let new = frame.pixels + y * width
      let old = shown.pixels + y * width
      var x = 0
      while x < left && new[x] == old[x] { x += 1 }
      left = min(left, x)
      x = width
      while x > right && new[x - 1] == old[x - 1] { x -= 1 }
      right = max(right, x)
    }
    guard left < right else { return nil }
    return FrameRect(x: left, y: top, width: right - left, height: bottom - top + 1)
  }

  /// Writes a picture, and keeps it.
  private func add(
    _ frame: Frame, _ place: FrameRect, before: UnsafePointer<UInt32>?, at time: UInt64
  ) throws(HostError) {
    let start = place.y * size.width + place.x
    var count = 0
    // SAFETY: `place` lies in both pictures; the buffer returned holds `count` bytes, freed here.
    let packed = cpng_deflate_changes(
      frame.pixels + start, before.map { $0 + start }, Int32(size.width), Int32(place.width),
      Int32(place.height), Self.effort, &count)
    guard let packed else { throw HostError("write \(path)", code: ENOMEM) }
    defer { free(packed) }
    control = (end, sequence, place)
    last = time
    var chunks = control(delay: Self.firstDelay)
    sequence += 1
    let data = Array(UnsafeBufferPointer(start: packed, count: count))
    if pictures == 0 {
      chunks += Self.chunk("IDAT", data)
    } else {
      chunks += Self.chunk("fdAT", Self.bytes(sequence) + data)
      sequence += 1
    }
    try write(chunks + Self.chunk("IEND", []), at: end)
    end += Int(chunks.count)
    pictures += 1
    try write(animation, at: Int(Self.signature.count + 25))
    for y in place.y..<place.y + place.height {
      let row = y * size.width + place.x
      (shown.pixels + row).update(from: frame.pixels + row, count: place.width)
    }
  }

  /// Gives the last picture its time. Where that is more than one can have, it is written again: a
  /// pixel that is transparent.
  private func stand(until time: UInt64) throws(HostError) {
    let pixel = FrameRect(x: 0, y: 0, width: 1, height: 1)
    while time > last, (time - last) / 1_000_000 > Self.longestDelay {
      try write(control(delay: Self.longestDelay), at: control.offset)
      try add(shown, pixel, before: shown.pixels, at: last + Self.longestDelay * 1_000_000)
    }
    let delay = time > last ? max((time - last + 500_000) / 1_000_000, 1) : 1
    try write(control(delay: delay), at: control.offset)
  }

  // MARK: Chunks

  /// acTL: how many pictures there are, shown again and again.
  private var animation: [UInt8] {
    Self.chunk("acTL", Self.bytes(max(pictures, 1)) + Self.bytes(0))
  }

  /// The last picture's fcTL: its place, and how long it stands. Its pixels go over what was there,
  /// which stays.
  private func control(delay: UInt64) -> [UInt8] {
    var bytes = Self.bytes(control.sequence)
    for value in [control.place.width, control.place.height, control.place.x, control.place.y] {
      bytes += Self.bytes(UInt32(value))
    }
    let milliseconds = UInt16(clamping: delay)
    bytes += Self.bytes(UInt32(milliseconds) << 16 | 1000) + [0]
    return Self.chunk("fcTL", bytes + [control.sequence == 0 ? 0 : 1])
  }

  private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    return bytes(UInt32(data.count)) + body + bytes(cpng_crc(body, body.count))
  }

  private static func bytes(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  private func write(_ bytes: [UInt8], at offset: Int) throws(HostError) {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress, $0.count, offset + Int(done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw HostError("write \(path)", code: errno) }
      done += count
    }
  }
}
