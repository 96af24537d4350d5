/// What one device of a channel remembers beside its registers.
struct IDEDeviceState: Codable, Equatable, Sendable {
  var file = ATATaskFile()
  /// The device wants the host's attention.
  var interrupt = false
  /// Sectors of a DRQ block of READ and WRITE MULTIPLE; 0 where they are off. A drive may come up with
  /// them on (ATA-6, IDENTIFY DEVICE word 59): systems that only look there then take one interrupt a
  /// block.
  var multiple = ATAIdentity.maximumMultiple
  /// What INITIALIZE DEVICE PARAMETERS set: heads 1 to 16, sectors 0 (the drive's own) to 255.
  var heads: UInt8 = 0
  var sectors: UInt8 = 0
  /// As SET FEATURES 03h gives it: 08h and up PIO, 20h and up multiword DMA, 40h and up ultra DMA.
  var transferMode: UInt8 = 0
  var writeCache = true
  var lookAhead = true
  /// Whether SET FEATURES outlasts a software reset.
  var keepsFeatures = false
  var smart = true
  /// FFh while active or idle, 00h in standby.
  var power: UInt8 = 0xFF
  /// Only of a packet device.
  var disc = CDState()
}

/// The data that a command moves, and how.
struct IDETransfer: Codable, Equatable, Sendable {
  enum Direction: String, Codable, Sendable {
    case none
    /// The twelve bytes of a PACKET command come.
    case packet
    case toHost
    case fromHost
  }

  var direction = Direction.none
  /// By the bus master instead of the data port.
  var isDMA = false
  /// Whose command it is, 0 or 1.
  var device = 0
  /// The command's code, or the packet's first byte.
  var command: UInt8 = 0
  /// Of a packet command.
  var isPacket = false
  /// Whether the data is the image's; else it is all in the buffer, or asked for into it.
  var usesImage = false
  /// The next sector of 512 bytes that goes from or to the image.
  var sector: UInt64 = 0
  /// Sectors that the image has not given, or got, yet.
  var remaining = 0
  /// Bytes that the host sends where ``usesImage`` is false.
  var expected = 0
  /// The host's byte count limit of a packet command, even.
  var limit = 0xFFFE
  /// Bytes of a DRQ block at most.
  var blockBytes = 512
  /// What is reported once the buffer is empty; nil where nothing failed.
  var failure: IDEFailure?
}

/// Why the image did not give or take its data.
enum IDEFailure: String, Codable, Sendable {
  case unreadable
  case unwritable
  case noSpace
  case writeProtected
  case noMedium
  case beyondEnd

  init(_ error: ImageError, writing: Bool) {
    switch error.problem {
    case .outOfRange: self = .beyondEnd
    case .readOnly: self = .writeProtected
    case .noMedium: self = .noMedium
    case .noSpace: self = .noSpace
    default: self = writing ? .unwritable : .unreadable
    }
  }
}

/// One channel: two devices, what is under way, and the bus master's half.
struct IDEState: Codable, Equatable, Sendable {
  var devices = Pair(first: IDEDeviceState(), second: IDEDeviceState())
  /// Which device the host talks to, 0 or 1.
  var selected = 0
  /// The device control register.
  var control: UInt8 = 0
  var transfer = IDETransfer()
  /// The next byte of the buffer that the host gets or gives.
  var position = 0
  /// Where the current DRQ block ends; nothing is requested where that is ``position``.
  var blockEnd = 0
  /// Bytes of the buffer that are the host's to take.
  var filled = 0
  var busMaster = BusMasterState()

  var highOrder: Bool { control & ATAControl.highOrder != 0 }
  var isResetting: Bool { control & ATAControl.softReset != 0 }
}

/// What waits for the worker.
enum IDEJob: Equatable, Sendable {
  /// Buffer from the image.
  case fill
  /// The image from the buffer.
  case store
  /// Everything of a DMA transfer that the PRD table has room for.
  case dma
  case verify
  case flush
  /// The ranges in the buffer are to be given back.
  case trim
}
