import DeviceTestKit
import KVMEngine
import Synchronization

@testable import Storage

/// An image in memory whose sectors begin with their own numbers, and which fails where it is told to.
final class TestImage: BlockImage {
  struct State {
    var written: [UInt64: [UInt8]] = [:]
    var bad: Set<UInt64> = []
    var isFull = false
    var flushes = 0
  }
  let sectorCount: UInt64
  let isReadOnly: Bool
  let state = Mutex(State())

  init(sectors: UInt64, readOnly: Bool = false) {
    sectorCount = sectors
    isReadOnly = readOnly
  }

  /// What sector `number` holds where nobody wrote it.
  static func pattern(_ number: UInt64) -> [UInt8] {
    (0..<512).map { index in
      index < 8
        ? UInt8(truncatingIfNeeded: number >> UInt64(index * 8))
        : UInt8(truncatingIfNeeded: number &+ UInt64(index))
    }
  }

  func contents(_ number: UInt64) -> [UInt8] {
    state.withLock { $0.written[number] } ?? Self.pattern(number)
  }

  private func check(_ sector: UInt64, _ count: Int) throws(ImageError) {
    guard holds(sector: sector, count: count) else {
      throw ImageError.outOfRange("the test's image", sector: sector, count: count)
    }
    let bad = state.withLock { $0.bad }
    for number in sector..<(sector + UInt64(count)) where bad.contains(number) {
      throw ImageError("the test's image", .inputOutput, "sector \(number) is bad")
    }
  }

  func read(
    sector: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    try check(sector, count)
    for index in 0..<count {
      UnsafeMutableRawBufferPointer(rebasing: buffer[(index * 512)..<(index * 512 + 512)])
        .copyBytes(from: contents(sector + UInt64(index)))
    }
  }

  func write(sector: UInt64, count: Int, from buffer: UnsafeRawBufferPointer) throws(ImageError) {
    guard !isReadOnly else { throw ImageError("the test's image", .readOnly, "it is read-only") }
    try check(sector, count)
    if state.withLock({ $0.isFull }) {
      throw ImageError("the test's image", .noSpace, "the host is full")
    }
    for index in 0..<count {
      let bytes = Array(buffer[(index * 512)..<(index * 512 + 512)])
      state.withLock { $0.written[sector + UInt64(index)] = bytes }
    }
  }

  func flush() throws(ImageError) { state.withLock { $0.flushes += 1 } }
}

/// A channel with its wires, driven as a guest drives it.
final class IDERig {
  static let memoryBytes = 1 << 20
  let lines = LineRecorder()
  let space: AddressSpace
  let channel: IDEChannel
  let worker = DiskWorker(name: "disk-test")
  let command: any PortDevice
  let control: any PortDevice

  init(first: Drive?, second: Drive? = nil, room: HostRoom? = nil) throws {
    space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    let ram = try MemoryBlock(name: "test", size: Self.memoryBytes)
    try space.map(ram, size: Self.memoryBytes, at: 0)
    channel = IDEChannel(
      name: "ide0", first: first, second: second, irq: lines.line(14), space: space,
      worker: worker, room: room)
    command = channel.commandPorts
    control = channel.controlPort
  }

  /// A channel with one hard disk.
  convenience init(disk: TestImage) throws {
    try self.init(first: Self.drive(disk))
  }

  static func drive(_ image: TestImage, kind: DriveKind = .hardDisk) -> Drive {
    Drive(
      kind,
      medium: Medium(
        path: "test", image: image,
        geometry: DiskGeometry.of(sectorCount: image.sectorCount, firstSector: [])))
  }

  func out(_ register: UInt16, _ value: UInt8) {
    command.writePort(register, width: .byte, value: UInt32(value))
  }
  func input(_ register: UInt16) -> UInt8 {
    UInt8(truncatingIfNeeded: command.readPort(register, width: .byte))
  }
  var status: UInt8 { input(7) }
  var alternate: UInt8 {
    UInt8(truncatingIfNeeded: control.readPort(0, width: .byte))
  }
  func setControl(_ value: UInt8) { control.writePort(0, width: .byte, value: UInt32(value)) }
  var interrupts: Int { lines.risingEdges(14) }

  /// Issues a 28-bit command.
  func issue(
    _ code: UInt8, lba: UInt64 = 0, count: UInt8 = 0, features: UInt8 = 0, device: UInt8 = 0
  ) {
    out(6, 0xE0 | device << 4 | UInt8(truncatingIfNeeded: lba >> 24) & 0x0F)
    out(1, features)
    out(2, count)
    out(3, UInt8(truncatingIfNeeded: lba))
    out(4, UInt8(truncatingIfNeeded: lba >> 8))
    out(5, UInt8(truncatingIfNeeded: lba >> 16))
    out(7, code)
  }

  /// Issues a 48-bit command.
  func issueExt(_ code: UInt8, lba: UInt64, count: UInt16) {
    out(6, 0x40)
    for part in [count >> 8, count] { out(2, UInt8(truncatingIfNeeded: part)) }
    for register in 3...5 as ClosedRange<UInt16> {
      let shift = UInt64(register - 3) * 8
      out(register, UInt8(truncatingIfNeeded: lba >> (24 + shift)))
      out(register, UInt8(truncatingIfNeeded: lba >> shift))
    }
    out(7, code)
  }

  func readWords(_ count: Int, width: AccessWidth = .word) -> [UInt8] {
    var result: [UInt8] = []
    for _ in 0..<count {
      let value = command.readPort(0, width: width)
      for index in 0..<width.bytes {
        result.append(UInt8(truncatingIfNeeded: value >> UInt32(index * 8)))
      }
    }
    return result
  }

  func writeWords(_ bytes: [UInt8]) {
    for at in stride(from: 0, to: bytes.count, by: 2) {
      let high = at + 1 < bytes.count ? bytes[at + 1] : 0
      command.writePort(0, width: .word, value: UInt32(bytes[at]) | UInt32(high) << 8)
    }
  }

  /// Sends a packet by PIO.
  func packet(_ bytes: [UInt8], limit: UInt16 = 2048, dma: Bool = false, device: UInt8 = 0) {
    out(6, 0xA0 | device << 4)
    out(1, dma ? 1 : 0)
    out(4, UInt8(truncatingIfNeeded: limit))
    out(5, UInt8(truncatingIfNeeded: limit >> 8))
    out(7, 0xA0)
    writeWords(bytes + [UInt8](repeating: 0, count: 12 - bytes.count))
  }

  /// Takes all that a packet command gives.
  func takePacketData() -> [UInt8] {
    var result: [UInt8] = []
    while status & 0x08 != 0, result.count < 1 << 22 {
      let size = Int(input(4)) | Int(input(5)) << 8
      result += readWords((size + 1) / 2).prefix(size)
    }
    return result
  }

  // MARK: Bus master

  func busMaster(_ offset: UInt16) -> UInt8 { channel.readBusMaster(offset) }
  func setBusMaster(_ offset: UInt16, _ value: UInt8) { channel.writeBusMaster(offset, value) }

  /// Writes a descriptor table to 1000h and its address to the register.
  func describe(_ regions: [(address: UInt32, count: UInt16)], last: Bool = true) {
    for (index, region) in regions.enumerated() {
      let flag: UInt32 = last && index == regions.count - 1 ? 1 << 31 : 0
      space.store(region.address, at: 0x1000 + UInt64(index * 8))
      space.store(UInt32(region.count) | flag, at: 0x1004 + UInt64(index * 8))
    }
    for index in 0..<4 as Range<UInt16> {
      setBusMaster(4 + index, UInt8(truncatingIfNeeded: 0x1000 >> (index * 8)))
    }
    setBusMaster(2, 0x06)
  }
}
