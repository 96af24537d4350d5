import ArgumentParser
import Glibc
import KVMEngine
import Storage

/// `porthole disk bench`: how fast an image is read and written, without a guest.
struct DiskBenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measures how fast an image is read or written.",
    discussion: "Writing destroys what the image holds.")

  /// What came out.
  struct Outcome: Encodable {
    let requests: Int
    let bytes: Int
    let seconds: Double
    let openSeconds: Double
    let perSecond: Double
  }

  @Argument(help: "The image.", completion: .file())
  var image: String

  @Option(name: .long, help: "The image's format; otherwise its contents tell.")
  var format: ImageFormat?

  @Option(name: .long, help: "writeback, writethrough, none or unsafe.")
  var cache = CacheMode.writeback

  @Option(name: .long, help: "How many requests.")
  var count = 75000

  @Option(name: .long, help: "Bytes of a request, a multiple of 512.")
  var size = 4096

  @Flag(name: .long, help: "Write instead of reading.")
  var write = false

  @Flag(name: .long, help: "At random places instead of one behind the other.")
  var random = false

  @Option(name: .long, help: "A flush after each so many writes; 0 for one at the end.")
  var flushEvery = 0

  func validate() throws {
    guard count > 0, count < 1 << 40, size > 0, size % 512 == 0, size <= 16 << 20, flushEvery >= 0
    else { throw ValidationError("requests have 512 bytes to 16M, and there is at least one") }
  }

  func run() throws {
    let start = Monitor.monotonic()
    let image = try DiskImage.open(
      path: image, readOnly: !write, format: format, cache: cache)
    let opened = Monitor.monotonic()
    let sectors = UInt64(size / 512)
    guard image.sectorCount >= sectors else { throw Complaint("the image is too small for that") }
    let places = image.sectorCount / sectors
    let memory = ZeroedMemory(byteCount: size)
    memory.bytes.initializeMemory(as: UInt8.self, repeating: 0x5A)
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    for number in 0..<count {
      var place = UInt64(number)
      if random {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        place = state >> 16
      }
      let sector = place % places * sectors
      guard write else {
        try image.read(sector: sector, count: Int(sectors), into: memory.bytes)
        continue
      }
      try image.write(
        sector: sector, count: Int(sectors), from: UnsafeRawBufferPointer(memory.bytes))
      if flushEvery > 0 && (number + 1) % flushEvery == 0 { try image.flush() }
    }
    if write { try image.flush() }
    let seconds = Double(Monitor.monotonic() - opened) / 1e9
    Console.output(
      try JSON.text(
        Outcome(
          requests: count, bytes: size, seconds: seconds,
          openSeconds: Double(opened - start) / 1e9, perSecond: Double(count) / seconds)))
  }
}
