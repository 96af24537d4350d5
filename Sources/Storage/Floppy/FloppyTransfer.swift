import KVMEngine

/// A command that moves sectors: what its bytes say.
struct FloppyTransfer {
  enum Kind {
    case read
    case write
    case verify
    case format
  }

  let kind: Kind
  let drive: Int
  let head: UInt8
  let multiTrack: Bool
  var cylinder: UInt8
  var side: UInt8
  var sector: UInt8
  let sizeCode: UInt8
  let endOfTrack: UInt8
  /// FORMAT TRACK's.
  let fill: UInt8
  let isTrack: Bool
  let deletedOnly: Bool
  let skips: Bool

  init?(_ command: [UInt8]) {
    guard command.count >= 6 else { return nil }
    let code = command[0] & FloppyBit.code
    drive = Int(command[1] & 3)
    head = command[1] >> 2 & 1
    multiTrack = command[0] & FloppyBit.multiTrack != 0
    skips = command[0] & FloppyBit.skip != 0
    isTrack = code == FloppyCommand.readTrack
    deletedOnly = code == FloppyCommand.readDeleted
    if code == FloppyCommand.format {
      kind = .format
      (cylinder, side, sector) = (0, head, 1)
      (sizeCode, endOfTrack, fill) = (command[2], command[3], command[5])
      return
    }
    guard command.count >= 9 else { return nil }
    switch code {
    case FloppyCommand.write, FloppyCommand.writeDeleted: kind = .write
    case FloppyCommand.verify: kind = .verify
    default: kind = .read
    }
    cylinder = command[2]
    side = command[3]
    sector = isTrack ? 1 : command[4]
    (sizeCode, endOfTrack, fill) = (command[5], command[6], 0)
  }

  /// Brings the address to the sector behind this one, as the result phase shows it (table 6-5).
  mutating func advance() {
    guard sector == endOfTrack else {
      sector &+= 1
      return
    }
    sector = 1
    if multiTrack {
      if side & 1 == 1 { cylinder &+= 1 }
      side ^= 1
    } else {
      cylinder &+= 1
    }
  }

  /// The sectors from the first on up to the end of track, or of the second side's.
  func blocks(_ geometry: CHSGeometry) -> [UInt64] {
    var found: [UInt64] = []
    var place = self
    while found.count < 2 * 36 {
      guard
        let block = geometry.block(
          cylinder: Int(place.cylinder), head: Int(place.side), sector: Int(place.sector)),
        Int(place.cylinder) < geometry.cylinders
      else { break }
      found.append(block)
      let wasLast = place.sector == place.endOfTrack
      let staysOn = multiTrack && place.side == 0 && geometry.heads > 1
      place.advance()
      if wasLast && !staysOn { break }
    }
    return found
  }
}

/// What the worker does without the controller's lock, and afterwards what came of it.
struct FloppyWork {
  let transfer: FloppyTransfer
  let image: (any BlockImage)?
  let blocks: [UInt64]
  /// Nil where the host moves the data itself.
  let dma: I8237Pair?
  /// Where a write waits that the host has no room for; nil where it fails at once.
  let room: HostRoom?
  let geometry: CHSGeometry
  var data: [UInt8]
  /// Sectors that were dealt with.
  var done = 0
  var reachedEnd = false
  var starved = false
  var error: ImageError?

  static let channel = 2

  mutating func perform() {
    guard let image else { return }
    switch transfer.kind {
    case .read: read(image)
    case .verify: load(image)
    case .write: write(image)
    case .format: format(image)
    }
  }

  /// Reads the sectors one by one, up to the first that can't be read.
  private mutating func load(_ image: any BlockImage) {
    data = []
    for block in blocks {
      do throws(ImageError) { data += try image.bytes(sector: block) } catch {
        self.error = error
        break
      }
      done += 1
    }
  }

  private mutating func read(_ image: any BlockImage) {
    load(image)
    guard let dma, !data.isEmpty else { return }
    let moved = data.withUnsafeMutableBytes {
      dma.transfer(channel: Self.channel, toMemory: true, $0)
    }
    starved = moved.count == 0
    reachedEnd = moved.reachedEnd
    if reachedEnd {
      done = (moved.count + Sector.bytes - 1) / Sector.bytes
      error = nil
    }
  }

  private mutating func take(_ size: Int) -> Int {
    guard let dma else { return min(data.count, size) }
    data = [UInt8](repeating: 0, count: size)
    let moved = data.withUnsafeMutableBytes {
      dma.transfer(channel: Self.channel, toMemory: false, $0)
    }
    starved = moved.count == 0 && size > 0
    reachedEnd = moved.reachedEnd
    return moved.count
  }

  private mutating func write(_ image: any BlockImage) {
    let given = take(blocks.count * Sector.bytes)
    let sectors = (given + Sector.bytes - 1) / Sector.bytes
    for block in blocks.prefix(sectors) {
      let start = done * Sector.bytes
      guard put(image, block, Array(data[start..<min(start + Sector.bytes, data.count)])) else {
        return
      }
      done += 1
    }
  }

  /// Four bytes a sector: cylinder, head, number, size.
  private mutating func format(_ image: any BlockImage) {
    let given = take(Int(transfer.endOfTrack) * 4)
    let sector = [UInt8](repeating: transfer.fill, count: Sector.bytes)
    for at in stride(from: 0, to: given - 3, by: 4) {
      if let block = geometry.block(
        cylinder: Int(transfer.cylinder), head: Int(transfer.head), sector: Int(data[at + 2])),
        Int(transfer.cylinder) < geometry.cylinders
      {
        guard put(image, block, sector) else { return }
      }
      done += 1
    }
  }

  private mutating func put(_ image: any BlockImage, _ block: UInt64, _ bytes: [UInt8]) -> Bool {
    let whole = bytes + [UInt8](repeating: 0, count: Sector.bytes - bytes.count)
    do throws(ImageError) {
      guard let room else {
        try image.write(sector: block, bytes: whole)
        return true
      }
      try room.persist(isCancelled: { false }) { () throws(ImageError) in
        try image.write(sector: block, bytes: whole)
      }
    } catch {
      self.error = error
      return false
    }
    return true
  }
}

extension BlockImage {
  /// Writes `bytes`, whole sectors, from `sector` on.
  func write(sector: UInt64, bytes: [UInt8]) throws(ImageError) {
    var failure: ImageError?
    bytes.withUnsafeBytes { buffer in
      do throws(ImageError) {
        try write(sector: sector, count: buffer.count / Sector.bytes, from: buffer)
      } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
