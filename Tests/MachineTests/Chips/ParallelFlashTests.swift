import DeviceTestKit
import Glibc
import KVMEngine
import Synchronization
import Testing

@testable import Machine

/// Blocks that a chip gave to be kept.
private final class Kept: Sendable {
  private let blocks = Mutex<[(Int, [UInt8])]>([])
  func add(_ number: Int, _ bytes: UnsafeRawBufferPointer) {
    blocks.withLock { $0.append((number, [UInt8](bytes))) }
  }
  var numbers: [Int] { blocks.withLock { $0.map(\.0) } }
  var last: [UInt8] { blocks.withLock { $0.last?.1 ?? [] } }
}

struct ParallelFlashTests {
  private let bus = MemoryBus()
  private let space: AddressSpace
  private let kept = Kept()
  private let flash: ParallelFlash
  private static let address: UInt64 = 0xFFC0_0000
  private static let size = 4 * ParallelFlash.blockBytes

  init() throws {
    space = AddressSpace(bus: bus, slots: NoSlots())
    flash = try Self.make(space, kept)
    try bus.register(flash, at: Self.address...(Self.address + UInt64(Self.size) - 1))
  }

  private static func make(_ space: AddressSpace, _ kept: Kept) throws -> ParallelFlash {
    let memory = try MemoryBlock(name: "flash", size: size)
    memory.bytes(at: 0, count: size)?.copyBytes(from: [UInt8](repeating: 0xFF, count: size))
    return ParallelFlash(
      memory: memory, window: space.makeWindow(memory), address: address,
      keep: { kept.add($0, $1) }, log: { _ in })
  }

  private func read(_ offset: UInt64) -> UInt8 {
    space.load(Self.address + offset, as: UInt8.self)
  }
  private func write(_ offset: UInt64, _ bytes: UInt8...) {
    for byte in bytes { space.store(byte, at: Self.address + offset) }
  }

  @Test func firmwareTellsFlashFromMemoryAndROM() {
    write(0, 0x50)
    #expect(read(0) == 0xFF, "clearing the status shows the array")
    write(0, 0x70)
    #expect(read(0) == 0x00, "the status is clear, its ready bit, too")
    write(0, 0xFF)
    #expect(read(0) == 0xFF)
  }

  @Test func programmingClearsBitsAndErasingSetsABlock() {
    write(0x1003, 0x40, 0xA5)
    #expect(read(0x1003) == 0x80, "the status says ready")
    write(0x1003, 0x10, 0x0F)
    write(0x1003, 0xFF)
    #expect(read(0x1003) == 0x05)
    #expect(read(0x1002) == 0xFF)
    write(0x1800, 0x20, 0xD0)
    write(0x1800, 0xFF)
    #expect(read(0x1003) == 0xFF)
  }

  @Test func anEraseThatIsNotConfirmedErasesNothing() {
    write(0x1000, 0x40, 0x00, 0x20, 0x41)
    #expect(read(0x1000) == 0xB0, "ready, with errors of both kinds: a bad sequence")
    write(0x1000, 0xFF)
    #expect(read(0x1000) == 0x00)
  }

  @Test func whatChangedIsKeptWhenTheArrayIsShown() {
    write(0x2000, 0x40, 0x12)
    write(0x2001, 0x40, 0x34)
    #expect(kept.numbers.isEmpty)
    write(0x2001, 0xFF)
    #expect(kept.numbers == [2])
    #expect(Array(kept.last.prefix(3)) == [0x12, 0x34, 0xFF])
    write(0, 0xFF)
    #expect(kept.numbers == [2], "nothing changed since")
    write(0x3000, 0x40, 0x56)
    flash.reset()
    #expect(kept.numbers == [2, 3] && read(0x3000) == 0x56, "a reset keeps what was programmed")
  }

  @Test func anotherChipGoesOnFromWhatWasSaved() throws {
    write(0x2000, 0x40, 0x12)
    let saved = flash.save()
    let other = Kept()
    let restored = try Self.make(space, other)
    try restored.restore(saved)
    #expect(restored.readMemory(0x2000, width: .byte) == 0x80, "it still shows its status")
    restored.writeMemory(0x2000, width: .byte, value: 0xFF)
    #expect(other.numbers == [2] && other.last.first == 0x12, "its own file gets what is new to it")
    #expect(restored.save().contents == saved.contents)
  }

  @Test func itTellsWhatItIs() {
    write(0, 0x90)
    #expect(read(0) == 0x89)
    write(0, 0x98)
    #expect([0x10, 0x11, 0x12].map { read($0) } == Array("QRY".utf8))
    #expect(read(0x27) == 14, "16 KiB")
    #expect(read(0x2D) == 3 && read(0x2F) == 0x10, "four blocks of 4 KiB")
  }

  @Test func conforms() throws {
    let space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    let chips = try (0..<64).map { _ in try Self.make(space, Kept()) }
    let next = Atomic(0)
    var conformance = DeviceConformance(
      make: { chips[next.wrappingAdd(1, ordering: .relaxed).oldValue % chips.count] },
      memories: { [($0, UInt64(Self.size))] })
    conformance.accesses = 2_000
    conformance.tamperedStates = 40
    conformance.comparesTwins = false
    #expect(conformance.violations(seed: 11) == [])
  }
}

/// The file behind a chip.
struct FirmwareVariablesTests {
  private let clock = ManualClock()
  private static let template = [UInt8](repeating: 0xFF, count: 8192)

  private func inFolder(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/porthole-variables-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw MachineError("no temporary folder") }
    let folder = String(
      decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
      unlink(folder + "/vars")
      rmdir(folder)
    }
    try body(folder + "/vars")
  }

  private func open(_ path: String) throws -> FirmwareVariables {
    try FirmwareVariables(path: path, template: Self.template, clock: clock, log: { _ in })
  }

  @Test func aFileIsMadeFromTheTemplateAndKeepsBlocks() throws {
    try inFolder { path in
      do {
        let variables = try open(path)
        #expect(variables.contents == Self.template)
        [UInt8](repeating: 0x42, count: 4096).withUnsafeBytes { variables.keep(1, $0) }
        clock.advance(1_000_000_000)
      }
      let again = try open(path)
      #expect(again.contents == Self.template[..<4096] + [UInt8](repeating: 0x42, count: 4096))
    }
  }

  @Test func aFileIsForOneDesktopAtATime() throws {
    try inFolder { path in
      let first = try open(path)
      #expect(throws: (any Error).self) { try open(path) }
      #expect(first.contents.count == 8192)
    }
  }

  @Test func anotherFirmwaresFileIsRefused() throws {
    try inFolder { path in
      guard let file = fopen(path, "w") else { return }
      fputs("hello", file)
      fclose(file)
      let refused = #expect(throws: MachineError.self) { try open(path) }
      #expect(refused?.description.contains("5 bytes instead of 8192") == true)
    }
  }
}
