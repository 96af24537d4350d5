import DeviceTestKit
import Display
import KVMEngine

@testable import Machine

/// A video BIOS with its adapter, RAM below 640 KiB and the ROM with the fonts.
final class VideoRig {
  let space: AddressSpace
  let adapter: VideoAdapter
  let bios: VideoBIOS
  /// A paragraph for buffers: 2000:0000.
  static let buffer: UInt16 = 0x2000
  static let bufferAddress: UInt64 = 0x20000

  init(powerOn: Bool = true) throws {
    let bus = MemoryBus()
    space = AddressSpace(bus: bus, slots: NoSlots())
    try space.map(MemoryBlock(name: "ram", size: 0xA0000), size: 0xA0000, at: 0)
    let rom = try MemoryBlock(name: "rom", size: 0x10000)
    var image = [UInt8](repeating: 0, count: 0x10000)
    VideoROM.install(in: &image)
    rom.bytes(at: 0, count: image.count)?.copyBytes(from: image)
    try space.map(rom, size: 0x10000, at: 0xF0000, readOnly: true)
    let memory = try MemoryBlock(name: "video", size: VideoAdapter.memoryBytes)
    adapter = VideoAdapter(
      memory: memory, clock: ManualClock(), legacyWindow: space.makeWindow(memory),
      linearWindow: space.makeWindow(memory))
    try bus.register(adapter, at: VideoAdapter.legacyRange)
    bios = VideoBIOS(adapter: adapter, space: space)
    if powerOn { bios.powerOn() }
  }

  /// Calls INT 10h and gives back what the registers hold then.
  @discardableResult
  func call(
    _ ax: UInt16, bx: UInt16 = 0, cx: UInt16 = 0, dx: UInt16 = 0, bp: UInt16 = 0, di: UInt16 = 0
  ) -> FirmwareCall {
    var registers = Registers()
    registers.rax = UInt64(ax)
    registers.rbx = UInt64(bx)
    registers.rcx = UInt64(cx)
    registers.rdx = UInt64(dx)
    registers.rbp = UInt64(bp)
    registers.rdi = UInt64(di)
    registers.rsp = 0x7000
    var system = SystemRegisters()
    system.es.selector = Self.buffer
    system.es.base = Self.bufferAddress
    var call = FirmwareCall(registers: registers, system: system, space: space)
    _ = bios.serve(&call)
    return call
  }

  /// Teletype of every byte of `text`.
  func type(_ text: String) {
    for byte in text.utf8 { call(0x0E00 | UInt16(byte), bx: 0x0007) }
  }

  func byte(_ address: UInt64) -> UInt8 { space.load(address, as: UInt8.self) }
  func word(_ address: UInt64) -> UInt16 { space.load(address, as: UInt16.self) }
  func dword(_ address: UInt64) -> UInt32 { space.load(address, as: UInt32.self) }
  func setBuffer(_ bytes: [UInt8]) { space.write(Self.bufferAddress, bytes: bytes) }
  func buffer(_ count: Int) -> [UInt8] { space.bytes(at: Self.bufferAddress, count: count) }

  /// The characters of a text row of page 0, trailing spaces dropped.
  func row(_ row: Int, columns: Int = 80) -> String {
    let cells = adapter.readText(offset: row * columns * 2, count: columns * 2)
    let characters = stride(from: 0, to: cells.count, by: 2).map { cells[$0] }
    var text = String(decoding: characters, as: UTF8.self)
    while text.last == " " { text.removeLast() }
    return text
  }

  /// Character and attribute at (row, column) of page 0.
  func cell(_ row: Int, _ column: Int) -> [UInt8] {
    adapter.readText(offset: (row * 80 + column) * 2, count: 2)
  }

  /// Row and column of the cursor of `page`, as 40:50 has them.
  func cursor(_ page: Int = 0) -> [UInt8] {
    let value = word(0x450 + UInt64(page) * 2)
    return [UInt8(value >> 8), UInt8(value & 0xFF)]
  }

  /// The pixels of the picture as it is now, row by row.
  func pixels() -> [UInt32] {
    let frame = adapter.capture()
    // SAFETY: the frame lives until its pixels are copied.
    return withExtendedLifetime(frame) {
      [UInt32](
        UnsafeBufferPointer(start: frame.pixels, count: frame.size.width * frame.size.height))
    }
  }

  /// How many pixels of the picture are not black.
  func litPixels() -> Int { pixels().count { $0 != 0 } }
}
