import KVMEngine
import Storage

/// What a transfer does.
enum DiskOperation {
  case read
  case write
  /// Reads, and lets the data go.
  case verify
}

extension DiskBIOS {
  /// The most that one request to an image carries, in sectors: 64 KiB.
  private static let chunkSectors = 128

  /// Moves `count` sectors between `image` and memory at the linear address `address`. What lies
  /// beyond the medium's end is not moved.
  /// - Returns: how many sectors were moved, and how it ended.
  func move(
    _ operation: DiskOperation, _ image: any BlockImage, sector: UInt64, count: Int,
    address: UInt64, memory: LinearMemory
  ) -> (done: Int, status: DiskStatus) {
    if operation == .write && image.isReadOnly { return (0, .writeProtected) }
    let rest = sector < image.sectorCount ? image.sectorCount - sector : 0
    let reachable = Int(min(UInt64(max(0, count)), rest))
    let room = min(reachable, Self.chunkSectors) * Sector.bytes
    var done = 0
    let failure: ImageError? = withUnsafeTemporaryAllocation(byteCount: room, alignment: 16) {
      buffer in
      while done < reachable {
        let step = min(reachable - done, Self.chunkSectors)
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(step * Sector.bytes)])
        let at = address &+ UInt64(done * Sector.bytes)
        let from = sector + UInt64(done)
        do throws(ImageError) {
          try Self.step(operation, image, from, step, part, at, memory)
        } catch { return error }
        done += step
      }
      return nil
    }
    if let failure {
      report(failure, writing: operation == .write)
      return (done, operation == .write ? .writeFault : .controllerFailed)
    }
    return (done, reachable == count ? .success : .sectorNotFound)
  }

  private static func step(
    _ operation: DiskOperation, _ image: any BlockImage, _ sector: UInt64, _ count: Int,
    _ buffer: UnsafeMutableRawBufferPointer, _ address: UInt64, _ memory: LinearMemory
  ) throws(ImageError) {
    if operation == .write {
      memory.read(address, into: buffer)
      return try image.write(sector: sector, count: count, from: UnsafeRawBufferPointer(buffer))
    }
    try image.read(sector: sector, count: count, into: buffer)
    if operation == .read { memory.write(address, from: UnsafeRawBufferPointer(buffer)) }
  }

  // MARK: Functions 02h, 03h, 04h and 0Ch

  /// Cylinder, head and sector as CX and DH name them.
  private static func place(_ call: FirmwareCall) -> (cylinder: Int, head: Int, sector: Int) {
    (Int(call.ch) | Int(call.cl & 0xC0) << 2, Int(call.dh), Int(call.cl & 0x3F))
  }

  /// Functions 02h, 03h and 04h: AL sectors from cylinder, head and sector on; AL on return says how
  /// many were moved. A transfer that reaches a track's end goes on at the next head, as a
  /// controller's does.
  func transfer(_ operation: DiskOperation, _ unit: DiskUnit, _ call: inout FirmwareCall) {
    let wanted = Int(call.al)
    call.al = 0
    guard let image = ready(unit, &call) else { return }
    guard wanted > 0 else { return finish(.invalidCommand, &call) }
    let place = Self.place(call)
    guard
      let first = unit.geometry.block(
        cylinder: place.cylinder, head: place.head, sector: place.sector)
    else { return finish(unit.kind == .floppy ? .sectorNotFound : .invalidCommand, &call) }
    var address = call.esAddress(call.bx)
    var done = 0
    var status = DiskStatus.success
    for run in runs(unit, from: first, count: wanted, memory: call.memory) where status == .success
    {
      let moved = move(
        operation, image, sector: run.lowerBound, count: run.count, address: address,
        memory: call.memory)
      done += moved.done
      status = moved.status
      address &+= UInt64(moved.done * Sector.bytes)
    }
    if unit.kind == .floppy { noteMotor(unit, cylinder: place.cylinder, call.memory) }
    call.al = UInt8(truncatingIfNeeded: done)
    finish(status, &call)
  }

  /// The image of a CHS transfer; without one the call has ended.
  private func ready(_ unit: DiskUnit, _ call: inout FirmwareCall) -> (any BlockImage)? {
    guard unit.kind != .cdrom else {
      finish(.invalidCommand, &call)
      return nil
    }
    guard let image = unit.image else {
      finish(unit.kind == .floppy ? .timeout : .noMedia, &call)
      return nil
    }
    if unit.kind == .floppy, unit.isRemovable, unit.drive.mediaChanged {
      unit.drive.mediaChanged = false
      finish(.mediaChanged, &call)
      return nil
    }
    return image
  }

  /// The sectors of a transfer as consecutive pieces: one, unless a diskette parameter table that
  /// the guest made says that tracks end before they do.
  private func runs(
    _ unit: DiskUnit, from first: UInt64, count: Int, memory: LinearMemory
  ) -> [Range<UInt64>] {
    let sectors = UInt64(unit.geometry.sectors)
    let last = unit.kind == .floppy ? UInt64(guestTrackLength(memory) ?? 0) : 0
    guard last > 0, last < sectors, first % sectors < last else {
      return [first..<(first + UInt64(count))]
    }
    var pieces: [Range<UInt64>] = []
    var at = first
    var left = UInt64(count)
    while left > 0 {
      let length = min(left, last - at % sectors)
      pieces.append(at..<(at + length))
      left -= length
      at += length
      if at % sectors == last { at += sectors - last }
    }
    return pieces
  }

  /// Function 0Ch: nothing moves, but a cylinder that is not there is an error.
  func seek(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    let place = Self.place(call)
    let exists = place.cylinder < unit.geometry.cylinders && place.head < unit.geometry.heads
    finish(exists ? .success : .invalidCommand, &call)
  }

  // MARK: Function 05h

  /// Function 05h: a diskette's track gets new sectors with the fill byte; ES:BX has four bytes for
  /// each (cylinder, head, sector, size). Hard disks take it and do nothing, as ATA drives do.
  func formatTrack(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    guard let image = ready(unit, &call) else { return }
    let place = Self.place(call)
    let geometry = unit.geometry
    guard place.cylinder < geometry.cylinders, place.head < geometry.heads else {
      return finish(unit.kind == .floppy ? .sectorNotFound : .invalidCommand, &call)
    }
    guard !image.isReadOnly else { return finish(.writeProtected, &call) }
    guard unit.kind == .floppy else { return finish(.success, &call) }
    let table = call.memory.bytes(at: disketteTable(call.memory), count: DisketteTable.bytes)
    let fields = call.memory.bytes(at: call.esAddress(call.bx), count: geometry.sectors * 4)
    let sector = [UInt8](repeating: table[DisketteTable.fill], count: Sector.bytes)
    var status = DiskStatus.success
    for at in stride(from: 0, to: fields.count, by: 4) where status == .success {
      guard Int(fields[at]) == place.cylinder, Int(fields[at + 1]) == place.head,
        fields[at + 3] == 2,
        let block = geometry.block(
          cylinder: place.cylinder, head: place.head, sector: Int(fields[at + 2]))
      else {
        status = .sectorNotFound
        break
      }
      do throws(ImageError) { try sector.write(to: image, at: block) } catch {
        report(error, writing: true)
        status = .writeFault
      }
    }
    noteMotor(unit, cylinder: place.cylinder, call.memory)
    finish(status, &call)
  }
}

extension [UInt8] {
  /// Writes these bytes as one sector of `image`.
  fileprivate func write(to image: any BlockImage, at sector: UInt64) throws(ImageError) {
    var failure: ImageError?
    withUnsafeBytes { buffer in
      do throws(ImageError) { try image.write(sector: sector, count: 1, from: buffer) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }
}
