import KVMEngine
import Storage

/// The disk address packet at DS:SI (EDD 3.0, 3.1).
private struct DiskAddressPacket {
  let count: Int
  let buffer: UInt64
  let block: UInt64
  /// Where the count of moved blocks goes, and whether as a doubleword.
  private let countAddress: UInt64
  private let isLong: Bool

  /// The most blocks of one request: what the word of the older packets can say.
  private static let maximumCount = 0xFFFF

  /// Nil where its size is none that exists, or where it asks for too much.
  init?(_ memory: LinearMemory, at address: UInt64) {
    let size = memory.load(address, as: UInt8.self)
    guard size >= 0x10 else { return nil }
    let short = memory.load(address &+ 2, as: UInt16.self)
    // A count of FFh in a packet that has room says that the doubleword at 18h counts.
    isLong = short == 0xFF && size >= 0x20
    countAddress = address &+ (isLong ? 0x18 : 2)
    count = isLong ? Int(memory.load(countAddress, as: UInt32.self)) : Int(short)
    guard count <= Self.maximumCount else { return nil }
    let offset = memory.load(address &+ 4, as: UInt16.self)
    let segment = memory.load(address &+ 6, as: UInt16.self)
    if offset & segment == 0xFFFF && size >= 0x18 {
      buffer = memory.load(address &+ 0x10, as: UInt64.self)
    } else {
      buffer = UInt64(segment) << 4 + UInt64(offset)
    }
    block = memory.load(address &+ 8, as: UInt64.self)
  }

  func setCount(_ done: Int, _ memory: LinearMemory) {
    if isLong {
      memory.store(UInt32(clamping: done), at: countAddress)
    } else {
      memory.store(UInt16(clamping: done), at: countAddress)
    }
  }
}

extension DiskBIOS {
  /// Functions 41h to 49h and 4Eh: hard disks and CDs. Diskettes have none of them.
  func extended(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    guard unit.kind != .floppy else { return finish(.invalidCommand, &call) }
    switch call.ah {
    case 0x41: checkExtensions(&call)
    case 0x42: transferBlocks(.read, unit, &call)
    case 0x43 where call.al <= 2: transferBlocks(.write, unit, &call)
    case 0x44: transferBlocks(.verify, unit, &call)
    case 0x45: lock(unit, &call)
    case 0x46: eject(unit, &call)
    case 0x47: transferBlocks(nil, unit, &call)
    case 0x48: readExtendedParameters(unit, &call)
    case 0x49: detectExtendedChange(unit, &call)
    case 0x4E where call.al <= 6:
      call.al = 0
      finish(.success, &call)
    default: finish(.invalidCommand, &call)
    }
  }

  /// Function 41h: version 3.0 in AH, and in CX packet access, locking and ejecting, and EDD.
  private func checkExtensions(_ call: inout FirmwareCall) {
    guard call.bx == 0x55AA else { return finish(.invalidCommand, &call) }
    finish(.success, &call)
    call.ah = 0x30
    call.bx = 0xAA55
    call.cx = 0b111
  }

  /// Functions 42h, 43h, 44h and, without an operation, 47h.
  private func transferBlocks(
    _ operation: DiskOperation?, _ unit: DiskUnit, _ call: inout FirmwareCall
  ) {
    guard let packet = DiskAddressPacket(call.memory, at: call.dsAddress(call.si)) else {
      return finish(.invalidCommand, &call)
    }
    guard let image = unit.image else {
      packet.setCount(0, call.memory)
      return finish(.noMedia, &call)
    }
    guard packet.block < unit.blockCount || (packet.block == unit.blockCount && packet.count == 0)
    else {
      packet.setCount(0, call.memory)
      return finish(.sectorNotFound, &call)
    }
    guard let operation else { return finish(.success, &call) }
    let each = Int(unit.sectorsPerBlock)
    let moved = move(
      operation, image, sector: packet.block * unit.sectorsPerBlock, count: packet.count * each,
      address: packet.buffer, memory: call.memory)
    // A call that is made again has to find its packet as it was.
    if moved.status != .success && !isToBeMadeAgain {
      packet.setCount(moved.done / each, call.memory)
    }
    finish(moved.status, &call)
  }

  /// Function 45h: AL 0 locks, 1 unlocks, 2 asks; AL on return tells whether it is locked.
  private func lock(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    guard unit.isRemovable else { return finish(.notRemovable, &call) }
    let count = unit.drive.lockCount
    var status = DiskStatus.success
    switch call.al {
    case 0 where count == .max: status = .lockCountExceeded
    case 0: unit.drive.lockCount = count + 1
    case 1 where count == 0: status = .notLocked
    case 1: unit.drive.lockCount = count - 1
    case 2: break
    default: status = .invalidCommand
    }
    call.al = unit.drive.lockCount > 0 ? 1 : 0
    finish(status, &call)
  }

  /// Function 46h.
  private func eject(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    guard unit.isRemovable else { return finish(.notRemovable, &call) }
    guard unit.image != nil else { return finish(.noMedia, &call) }
    guard unit.drive.lockCount == 0 else { return finish(.locked, &call) }
    do throws(ImageError) { try unit.drive.eject() } catch {
      report(error)
      return finish(.ejectFailed, &call)
    }
    finish(.success, &call)
  }

  /// Function 49h: tells of a change once.
  private func detectExtendedChange(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    let changed = unit.isRemovable && unit.drive.mediaChanged
    if changed { unit.drive.mediaChanged = false }
    finish(changed ? .mediaChanged : .success, &call)
  }

  // MARK: Function 48h

  /// Function 48h: as much of the table at DS:SI as the caller has room for (EDD 3.0, 3.2: 26, 30, 66
  /// or 74 bytes, the last two with the path of the device).
  private func readExtendedParameters(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    let address = call.dsAddress(call.si)
    let room = call.memory.load(address, as: UInt16.self)
    guard let size = [74, 66, 30, 26].first(where: { $0 <= Int(room) }) else {
      return finish(.invalidCommand, &call)
    }
    guard unit.image != nil else { return finish(.noMedia, &call) }
    var table = Self.parameters(unit) + [0xFF, 0xFF, 0xFF, 0xFF]
    if size >= 66 { table += Self.devicePath(unit, bytes: size - 30) }
    table.replaceSubrange(0..<2, with: Self.little(UInt16(size)))
    call.memory.write(address, bytes: Array(table.prefix(size)))
    finish(.success, &call)
  }

  /// The first 26 bytes.
  private static func parameters(_ unit: DiskUnit) -> [UInt8] {
    let isDisk = unit.kind == .hardDisk
    let geometry = unit.geometry
    let track = UInt64(geometry.heads) * UInt64(geometry.sectors)
    let cylinders = UInt32(clamping: unit.blockCount / max(1, track))
    // Bit 0: any buffer will do; 1: the geometry is valid; 2, 4 and 5: removable, tells of changes,
    // can be locked.
    let flags: UInt16 = isDisk ? 0b11 : 0b11_0101
    return little(UInt16(0)) + little(flags)
      + little(isDisk ? cylinders : .max) + little(isDisk ? UInt32(geometry.heads) : .max)
      + little(isDisk ? UInt32(geometry.sectors) : .max) + little(unit.blockCount)
      + little(UInt16(clamping: unit.sectorsPerBlock * 512))
  }

  /// What follows from offset 30 on. No controller stands behind the firmware, so that the path has
  /// no address in it.
  private static func devicePath(_ unit: DiskUnit, bytes: Int) -> [UInt8] {
    var path = little(UInt16(0xBEDD)) + [UInt8(clamping: bytes), 0, 0, 0]
    path += Array("ISA ".utf8) + Array((unit.kind == .cdrom ? "ATAPI   " : "ATA     ").utf8)
    path += [UInt8](repeating: 0, count: max(0, bytes - 1 - path.count))
    return path + [path.reduce(0, &-)]
  }

  private static func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
