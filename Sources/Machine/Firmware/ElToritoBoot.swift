import KVMEngine
import Storage

/// Booting from CD and the INT 13h functions that go with it ("El Torito" Bootable CD-ROM Format
/// Specification 1.0, sections 3 and 4).
extension DiskBIOS {
  /// Boots the first CD that can be booted; the text is about the first that can't.
  func loadFromCD() -> BootResult {
    var failure: BootResult?
    for (index, drive) in drives(.cdrom).enumerated() {
      guard let medium = drive.medium else {
        failure = failure ?? .failed("CD: the drive is empty.")
        continue
      }
      let name = Self.shortName(medium.path)
      var result: BootResult
      do throws(ImageError) {
        result = try load(index, medium.image, name)
      } catch {
        report(error)
        result = .failed(Self.line("CD: \(error.description)."))
      }
      guard case .failed = result else { return result }
      failure = failure ?? result
    }
    return failure ?? .failed("CD: there is no such drive.")
  }

  private func load(
    _ index: Int, _ image: any BlockImage, _ name: String
  ) throws(ImageError) -> BootResult {
    let entry = try BootCatalog(image, path: name).entryForPC(path: name)
    let disk = try entry.emulatedDisk(in: image, path: name)
    let cd = BootedCD(index: index, entry: entry, geometry: disk?.geometry)
    return start(cd, image, name)
  }

  /// Loads the boot code of `cd` and makes its disk drive 00h or 80h.
  private func start(_ cd: BootedCD, _ image: any BlockImage, _ name: String) -> BootResult {
    let address = UInt64(cd.loadSegment == 0 ? 0x07C0 : cd.loadSegment) << 4
    let first = UInt64(cd.block) * Sector.perCDBlock
    let result: BootResult
    if cd.isEmulating {
      let disk = ImageSlice(of: image, first: first, count: cd.geometry.sectorCount)
      result = loadBootSector(disk, cd.number, at: address) {
        Self.line("CD: the disk emulated by \(name): \($0).")
      }
    } else {
      result = loadDirectly(cd, image, first: first, at: address, name)
    }
    if case .loaded = result { bootedCD.withLock { $0 = cd } }
    return result
  }

  private func loadDirectly(
    _ cd: BootedCD, _ image: any BlockImage, first: UInt64, at address: UInt64, _ name: String
  ) -> BootResult {
    // No image needs nothing loaded: a count of 0 stands for one block.
    let count = cd.sectorCount == 0 ? Int(Sector.perCDBlock) : Int(cd.sectorCount)
    guard image.holds(sector: first, count: 1) else {
      return .failed(Self.line("CD: \(name) has a boot image that lies beyond its end."))
    }
    let limit = UInt64(memory.load(BIOSData.baseMemory, as: UInt16.self)) << 10
    guard address >= 0x500, address + UInt64(count * Sector.bytes) <= min(limit, 0xA0000) else {
      return .failed(Self.line("CD: \(name) has boot code that is too large for the memory."))
    }
    let flat = LinearMemory(space: memory, system: SystemRegisters())
    let moved = move(.read, image, sector: first, count: count, address: address, memory: flat)
    guard moved.status == .success || moved.status == .sectorNotFound else {
      return .failed(Self.line("CD: the boot code of \(name) can't be read."))
    }
    return Self.enter(cd.number, address)
  }

  // MARK: Functions 4Ah to 4Dh

  /// Functions 4Ah to 4Dh; the drive in DL is the one that was booted, 7Fh stands for any.
  func elTorito(_ call: inout FirmwareCall) {
    switch (call.ah, call.al) {
    case (0x4A, 0): initiate(&call, boot: false)
    case (0x4B, 0): terminate(&call, end: true)
    case (0x4B, 1): terminate(&call, end: false)
    case (0x4C, 0): initiate(&call, boot: true)
    case (0x4D, 0): readCatalog(&call)
    default: finish(.invalidCommand, &call)
    }
  }

  /// Function 4Bh: the specification packet of the booted CD; with `end` its disk goes away.
  private func terminate(_ call: inout FirmwareCall, end: Bool) {
    guard let cd = bootedCD.withLock({ $0 }), call.dl == 0x7F || call.dl == cd.number else {
      return finish(.invalidCommand, &call)
    }
    call.memory.write(call.dsAddress(call.si), bytes: Self.packet(cd))
    if end && cd.isEmulating {
      bootedCD.withLock { $0?.isEmulating = false }
      publishCounts()
    }
    finish(.success, &call)
  }

  static let packetBytes = 19

  /// The specification packet (figure 7).
  private static func packet(_ cd: BootedCD) -> [UInt8] {
    let hasGeometry = cd.media != .noEmulation
    let last = cd.geometry.cylinders - 1
    var packet: [UInt8] = [
      UInt8(packetBytes), cd.media.rawValue | cd.driverFlags, cd.number,
      UInt8(truncatingIfNeeded: cd.index / 2),
    ]
    packet += (0..<4).map { UInt8(truncatingIfNeeded: cd.block >> ($0 * 8)) }
    packet += [UInt8(truncatingIfNeeded: cd.index & 1), 0, 0, 0]
    packet += [UInt8(truncatingIfNeeded: cd.loadSegment), UInt8(cd.loadSegment >> 8)]
    packet += [UInt8(truncatingIfNeeded: cd.sectorCount), UInt8(cd.sectorCount >> 8)]
    guard hasGeometry else { return packet + [0, 0, 0] }
    return packet + [
      UInt8(truncatingIfNeeded: last),
      UInt8(cd.geometry.sectors) | UInt8(truncatingIfNeeded: last >> 2 & 0xC0),
      UInt8(cd.geometry.heads - 1),
    ]
  }

  /// Functions 4Ah and 4Ch: emulate the disk that the packet at DS:SI describes, and boot it.
  private func initiate(_ call: inout FirmwareCall, boot: Bool) {
    let packet = call.memory.bytes(at: call.dsAddress(call.si), count: Self.packetBytes)
    let index = Int(packet[3]) * 2 + Int(packet[8] & 1)
    let drives = drives(.cdrom)
    guard Int(packet[0]) >= Self.packetBytes, drives.indices.contains(index),
      let media = BootCatalog.Media(rawValue: packet[1] & 0x0F),
      let image = drives[index].medium?.image,
      let cd = Self.describe(packet, index, media, image)
    else { return finish(.invalidCommand, &call) }
    guard boot else {
      bootedCD.withLock { $0 = cd }
      publishCounts()
      return finish(.success, &call)
    }
    guard case .loaded(let number, let segment, let offset) = start(cd, image, "the CD") else {
      return finish(.invalidCommand, &call)
    }
    publishCounts()
    finish(.success, &call)
    call.dl = number
    let frame = call.system.ss.base &+ UInt64(UInt16(truncatingIfNeeded: call.registers.rsp))
    call.memory.store(offset, at: frame)
    call.memory.store(segment, at: frame &+ 2)
  }

  private static func describe(
    _ packet: [UInt8], _ index: Int, _ media: BootCatalog.Media, _ image: any BlockImage
  ) -> BootedCD? {
    let word = { (at: Int) in UInt16(packet[at]) | UInt16(packet[at + 1]) << 8 }
    let entry = BootCatalog.Entry(
      media: media, driverFlags: packet[1] & 0xC0, loadSegment: word(12), sectorCount: word(14),
      block: UInt32(word(4)) | UInt32(word(6)) << 16)
    do throws(ImageError) {
      let disk = try entry.emulatedDisk(in: image, path: "the CD")
      return BootedCD(index: index, entry: entry, geometry: disk?.geometry)
    } catch { return nil }
  }

  /// Function 4Dh: blocks of the boot catalog, as the command packet at DS:SI asks: their count at 1,
  /// the buffer at 2, the first one at 6.
  private func readCatalog(_ call: inout FirmwareCall) {
    let packet = call.dsAddress(call.si)
    let index = bootedCD.withLock { $0?.index } ?? 0
    let drives = drives(.cdrom)
    guard call.memory.load(packet, as: UInt8.self) >= 8, drives.indices.contains(index),
      let medium = drives[index].medium,
      let start = try? ISO9660(medium.image, path: medium.path).bootCatalog
    else { return finish(.invalidCommand, &call) }
    let count = Int(call.memory.load(packet &+ 1, as: UInt8.self)) * Int(Sector.perCDBlock)
    let offset = call.memory.load(packet &+ 2, as: UInt16.self)
    let segment = call.memory.load(packet &+ 4, as: UInt16.self)
    let skip = call.memory.load(packet &+ 6, as: UInt16.self)
    let moved = move(
      .read, medium.image, sector: (UInt64(start) + UInt64(skip)) * Sector.perCDBlock,
      count: count, address: UInt64(segment) << 4 + UInt64(offset), memory: call.memory)
    finish(moved.status, &call)
  }
}
