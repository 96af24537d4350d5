/// The commands that move no sectors (82077AA datasheet, 6.0).
extension FloppyCore {
  mutating func execute(_ now: UInt64) {
    let command = state.command
    guard let first = command.first else { return }
    let drive = command.count > 1 ? Int(command[1] & 3) : 0
    switch first & FloppyBit.code {
    case FloppyCommand.specify:
      state.specify = [command[1], command[2]]
      answer([])
    case FloppyCommand.senseDrive: answer([senseDrive(drive, head: command[1] & 4)])
    case FloppyCommand.recalibrate: seek(drive, head: 0, to: 0, now)
    case FloppyCommand.senseInterrupt where first == 0x08: senseInterrupt()
    case FloppyCommand.seek:
      let target = first & 0x80 == 0 ? command[2] : relative(drive, command)
      seek(drive, head: command[1] & 4, to: target, now)
    case FloppyCommand.dumpRegisters where first == 0x0E: answer(dump)
    case FloppyCommand.version where first == 0x10: answer([0x90])
    case FloppyCommand.perpendicular:
      // OW lets bits 2 to 5 through.
      state.perpendicular =
        command[1] & 0x80 != 0 ? command[1] & 0x3F : state.perpendicular & 0x3C | command[1] & 3
      answer([])
    case FloppyCommand.configure:
      state.configure = command[2] & 0x7F
      state.precompensation = command[3]
      answer([])
    case FloppyCommand.lock:
      state.isLocked = first & 0x80 != 0
      answer([state.isLocked ? 0x10 : 0])
    case FloppyCommand.partID where first == 0x18: answer([0x01])
    case FloppyCommand.readID: readID(drive, head: command[1] >> 2 & 1, now)
    case FloppyCommand.readTrack, FloppyCommand.write, FloppyCommand.read,
      FloppyCommand.writeDeleted, FloppyCommand.readDeleted, FloppyCommand.format,
      FloppyCommand.verify:
      transfer(now)
    default: answer([FloppyBit.invalid])
    }
  }

  /// Status register 3: write protection, track 0, two sides, head, drive. Ready is wired high.
  private func senseDrive(_ number: Int, head: UInt8) -> UInt8 {
    var status = UInt8(number) | head | 0x28
    if state.cylinders[number] == 0 { status |= 0x10 }
    if drive(number)?.medium?.image.isReadOnly == true { status |= 0x40 }
    return status
  }

  private func relative(_ number: Int, _ command: [UInt8]) -> UInt8 {
    let here = Int(state.cylinders[number])
    let steps = Int(command[2])
    return UInt8(clamping: command[0] & 0x40 != 0 ? here + steps : here - steps)
  }

  private mutating func seek(_ number: Int, head: UInt8, to cylinder: UInt8, _ now: UInt64) {
    answer([])
    var status = FloppyBit.seekEnd | head | UInt8(number)
    if let drive = drive(number) {
      noticeChange(number, drive)
      // A step pulse takes the change line back where there is a diskette.
      if drive.medium != nil { state.changed[number] = false }
      state.cylinders[number] = min(cylinder, 85)
    } else {
      // Track 0 never shows.
      status |= FloppyBit.abnormal | FloppyBit.equipmentCheck
    }
    state.seeks[number] = status
    state.interruptAt = now &+ Self.delay
  }

  /// SENSE INTERRUPT STATUS: seeks in the drives' order, then what a reset left.
  private mutating func senseInterrupt() {
    let isDue = state.interruptAt == nil
    if isDue, let number = (0..<4).first(where: { state.seeks[$0] != nil }),
      let status = state.seeks[number]
    {
      state.seeks[number] = nil
      state.interrupt = state.seeks.contains { $0 != nil }
      return answer([status, state.cylinders[number]])
    }
    if isDue, state.polls > 0 {
      let number = 4 - state.polls
      state.polls -= 1
      state.interrupt = false
      return answer([FloppyBit.polled | UInt8(number), state.cylinders[number]])
    }
    answer([FloppyBit.invalid])
  }

  private var dump: [UInt8] {
    state.cylinders + [
      state.specify[0], state.specify[1], 0, (state.isLocked ? 0x80 : 0) | state.perpendicular,
      state.configure, state.precompensation,
    ]
  }

  /// READ ID: the first sector's address, where the diskette can be read at all.
  private mutating func readID(_ number: Int, head: UInt8, _ now: UInt64) {
    let place = UInt8(number) | head << 2
    state.interruptAt = now &+ Self.delay
    let cylinder = state.cylinders[number]
    guard let geometry = readable(number), Int(head) < geometry.heads,
      Int(cylinder) < geometry.cylinders
    else {
      let marks = FloppyBit.noAddressMark
      return answer([FloppyBit.abnormal | place, marks, 0, cylinder, head, 1, 2])
    }
    answer([place, 0, 0, cylinder, head, 1, 2])
  }

  /// The geometry of the diskette in a drive, where density and data rate fit it.
  func readable(_ number: Int) -> CHSGeometry? {
    guard let medium = drive(number)?.medium, let first = state.command.first,
      first & FloppyBit.doubleDensity != 0
    else { return nil }
    let rates: [UInt8]
    switch medium.geometry.sectors {
    case ...9: rates = [1, 2]
    case ...24: rates = [0]
    default: rates = [3]
    }
    return rates.contains(state.rate) ? medium.geometry : nil
  }
}
