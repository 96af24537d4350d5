import KVMEngine
import Storage
import Synchronization

/// The disk services: INT 13h with the enhanced disk drive and El Torito extensions, INT 40h, and
/// the loading of boot code.
///
/// Diskettes are 00h and 01h, hard disks 80h and up, CDs E0h and up. A CD that was booted with an
/// emulated disk puts that disk in front of its kind. Transfers go from the image straight into
/// the caller's memory: there is no controller between.
///
/// Sources: IBM PS/2 and PC BIOS Interface Technical Reference (functions 00h to 18h); Phoenix
/// Enhanced Disk Drive Specification 3.0 (41h to 4Eh); "El Torito" Bootable CD-ROM Format
/// Specification 1.0 (4Ah to 4Dh). Not modelled: long transfers and the vendors' diagnostics.
public final class DiskBIOS: Device, FirmwareService {
  /// What a guest can tell apart and the images don't hold.
  public struct State: Codable, Equatable, Sendable {
    /// The CD that was booted, nil unless one was.
    var bootedCD: BootedCD?
    /// Of each drive, in the order in which they were given.
    var lockCounts: [UInt8]
    /// Whether each drive's medium was changed since the guest last asked.
    var mediaChanged: [Bool]
  }

  public let name = "disk-bios"
  let drives: [Drive]
  let memory: AddressSpace
  let bootedCD = Mutex<BootedCD?>(nil)
  private let log: @Sendable (String) -> Void
  private let failureLogged = Mutex(false)
  private let room: HostRoom?
  /// A call found the host full, and is to be made again.
  private let foundNoRoom = Mutex(false)

  /// - Parameters:
  ///   - drives: in the order of their numbers within each kind.
  ///   - memory: the guest's, for boot code and the BIOS data area.
  ///   - room: told where a write fails for want of room, which is then made again until there is
  ///     some; without one it fails.
  ///   - log: gets one sentence when the host first fails to read or write an image.
  public init(
    drives: [Drive], memory: AddressSpace, room: HostRoom? = nil,
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.drives = drives
    self.memory = memory
    self.room = room
    self.log = log
  }

  public func reset() {
    bootedCD.withLock { $0 = nil }
    for drive in drives {
      drive.lockCount = 0
      drive.mediaChanged = false
    }
  }

  public func save() -> State {
    State(
      bootedCD: bootedCD.withLock { $0 }, lockCounts: drives.map(\.lockCount),
      mediaChanged: drives.map(\.mediaChanged))
  }

  public func restore(_ state: State) throws(RestoreError) {
    guard state.lockCounts.count == drives.count, state.mediaChanged.count == drives.count else {
      throw RestoreError(device: name, problem: "it has \(drives.count) drives")
    }
    if let cd = state.bootedCD, !drives(.cdrom).indices.contains(cd.index) {
      throw RestoreError(device: name, problem: "there is no CD drive \(cd.index)")
    }
    guard state.bootedCD?.isValid != false else {
      throw RestoreError(device: name, problem: "the emulated disk's geometry is impossible")
    }
    bootedCD.withLock { $0 = state.bootedCD }
    for (index, drive) in drives.enumerated() {
      drive.lockCount = state.lockCounts[index]
      drive.mediaChanged = state.mediaChanged[index]
    }
  }

  /// Returns when all that the guest wrote has reached the host's storage. For a clean stop.
  public func flush() throws(ImageError) {
    for drive in drives { try drive.medium?.image.flush() }
  }

  /// INT 40h, where the diskette services of a PC with a hard disk are.
  public var disketteService: any FirmwareService { DisketteService(self) }

  private final class DisketteService: FirmwareService {
    private let bios: DiskBIOS
    init(_ bios: DiskBIOS) { self.bios = bios }
    func serve(_ call: inout FirmwareCall) -> FirmwareOutcome {
      if call.dl < DiskUnit.firstHardDisk { return bios.serve(&call) }
      bios.finish(.invalidCommand, &call)
      return .done
    }
  }

  /// Where a write finds the host full, the caller waits as for a slow disk: interrupts are let in,
  /// and after each the same call is made again.
  public func serve(_ call: inout FirmwareCall) -> FirmwareOutcome {
    let asked = call
    answer(&call)
    let isFull = foundNoRoom.withLock { found in
      defer { found = false }
      return found
    }
    if isFull {
      call = asked
      return .wait
    }
    if room?.shortage != nil, asked.ah == 0x03 || asked.ah == 0x43 { room?.found() }
    return .done
  }

  private func answer(_ call: inout FirmwareCall) {
    switch call.ah {
    case 0x01: readStatus(&call)
    case 0x08: readParameters(&call)
    case 0x15: readType(&call)
    case 0x4A...0x4D: elTorito(&call)
    default:
      guard let unit = unit(call.dl) else {
        finish(call.dl < DiskUnit.firstHardDisk ? .timeout : .invalidCommand, &call)
        break
      }
      serve(unit, &call)
    }
  }

  private func serve(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    switch call.ah {
    case 0x00, 0x09, 0x0D, 0x11, 0x14: finish(.success, &call)
    case 0x02: transfer(.read, unit, &call)
    case 0x03: transfer(.write, unit, &call)
    case 0x04: transfer(.verify, unit, &call)
    case 0x05: formatTrack(unit, &call)
    case 0x0C: seek(unit, &call)
    case 0x10: finish(unit.image == nil ? .notReady : .success, &call)
    case 0x16: detectChange(unit, &call)
    case 0x17, 0x18: setFormat(unit, &call)
    case 0x41...0x49, 0x4E: extended(unit, &call)
    default: finish(.invalidCommand, &call)
    }
  }

  /// Ends a call: AH, CF, and the status byte of the drive's kind in the BIOS data area (40:41 for
  /// diskettes, 40:74 for all others).
  func finish(_ status: DiskStatus, _ call: inout FirmwareCall) {
    call.ah = status.rawValue
    call.carry = status != .success
    call.memory.store(status.rawValue, at: Self.statusByte(call.dl))
  }

  static func statusByte(_ number: UInt8) -> UInt64 {
    number < DiskUnit.firstHardDisk ? BIOSData.disketteStatus : BIOSData.hardDiskStatus
  }

  /// Whether the call that is being served found the host full.
  var isToBeMadeAgain: Bool { foundNoRoom.withLock { $0 } }

  /// Says once that the host fails; a write that it has no room for is made again.
  func report(_ error: ImageError, writing: Bool = false) {
    if writing, error.problem == .noSpace, let room, !room.hasEnded {
      foundNoRoom.withLock { $0 = true }
      return room.lacks(error)
    }
    guard error.problem == .inputOutput || error.problem == .noSpace else { return }
    let first = failureLogged.withLock { logged in
      defer { logged = true }
      return !logged
    }
    if first { log(error.description) }
  }
}

/// The bytes of the BIOS data area that belong to the disk services, by linear address.
enum BIOSData {
  /// Bit 0: there are diskette drives; bits 6 and 7: how many beyond one.
  static let equipment: UInt64 = 0x410
  /// KiB of conventional memory.
  static let baseMemory: UInt64 = 0x413
  /// Bit n: the motor of diskette drive n runs.
  static let motors: UInt64 = 0x43F
  /// Ticks until the motors stop.
  static let motorTicks: UInt64 = 0x440
  static let disketteStatus: UInt64 = 0x441
  static let hardDiskStatus: UInt64 = 0x474
  static let hardDiskCount: UInt64 = 0x475
  /// The cylinder at which diskette drive 0 stands; drive 1's follows.
  static let disketteCylinder: UInt64 = 0x494
  /// Segment of the extended BIOS data area.
  static let extendedSegment: UInt64 = 0x40E
  /// INT 1Eh: the diskette parameter table.
  static let disketteTable: UInt64 = 0x1E * 4
}
