import Glibc
import KVMEngine

/// Firmware that is not ours, as its package installed it.
struct StockFirmware {
  /// What lies below 4 GiB, and its end below 1 MiB.
  let rom: [UInt8]
  /// The display adapter's expansion ROM; nil where the firmware brings its driver.
  let videoROM: [UInt8]?
  /// The flash chip's contents in which the firmware keeps variables, as they are at first; it lies
  /// below ``rom``. Nil where it has none.
  let variables: [UInt8]?

  private static let largestFile = 16 << 20
  /// ROMs are mapped in whole pages, and the last 128 KiB at least are needed.
  private static let granularity = 0x1000
  private static let leastBytes = 0x20000

  /// Nil where `kind` is our own firmware.
  /// - Throws: a sentence where a file is missing or is no firmware.
  init?(_ kind: FirmwareKind) throws(MachineError) {
    switch kind {
    case .builtin: return nil
    case .seabios:
      rom = try Self.readROM("/usr/share/seabios/bios-256k.bin", package: "seabios")
      videoROM = try Self.read("/usr/share/seabios/vgabios-stdvga.bin", package: "seabios")
      variables = nil
    case .ovmf:
      rom = try Self.readROM("/usr/share/OVMF/OVMF_CODE_4M.fd", package: "ovmf")
      videoROM = nil
      variables = try Self.readROM("/usr/share/OVMF/OVMF_VARS_4M.fd", package: "ovmf")
    }
  }

  private static func readROM(_ path: String, package: String) throws(MachineError) -> [UInt8] {
    let bytes = try read(path, package: package)
    guard bytes.count >= leastBytes, bytes.count % granularity == 0 else {
      throw MachineError("\(path) is no firmware: \(bytes.count) bytes")
    }
    return bytes
  }

  private static func read(_ path: String, package: String) throws(MachineError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      let cause = String(cString: strerror(errno))
      throw MachineError("cannot open \(path): \(cause); install Debian's package \(package)")
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while bytes.count <= largestFile {
      let count = Glibc.read(descriptor, &piece, piece.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else {
        throw MachineError("cannot read \(path): \(String(cString: strerror(errno)))")
      }
      if count == 0 { return bytes }
      bytes += piece[..<count]
    }
    throw MachineError("\(path) is too large to be firmware")
  }

  /// Leaves the CMOS memory as a set-up program would: how much memory and how many processors there
  /// are, the kinds of floppy drives (``DiskBIOS/floppyTypes(_:)``), and in which order drives are
  /// tried (the layout that stock firmware for this board reads).
  static func writeCMOS(
    _ rtc: MC146818, _ settings: FirmwareConfiguration, floppyTypes: [UInt8]
  ) {
    let extended = min((settings.ramBelow4G - min(settings.ramBelow4G, 1 << 20)) >> 10, 0xFFFF)
    let above16M = (settings.ramBelow4G - min(settings.ramBelow4G, 16 << 20)) >> 16
    let above4G = settings.ramAbove4G >> 16
    func put(_ index: UInt8, _ value: UInt64, bytes: UInt8) {
      for byte in 0..<bytes {
        rtc.setCMOS(index &+ byte, UInt8(truncatingIfNeeded: value >> UInt64(byte &* 8)))
      }
    }
    let floppies = (floppyTypes.prefix(2) + [0, 0]).map { UInt64($0) }
    put(0x10, floppies[0] << 4 | floppies[1] & 0xF, bytes: 1)
    // Equipment: coprocessor, mouse, and how many floppy drives less one.
    let count = UInt64(floppyTypes.count)
    put(0x14, 0x06 | (count > 0 ? 1 | (count - 1) << 6 : 0), bytes: 1)
    put(0x15, 640, bytes: 2)
    put(0x17, extended, bytes: 2)
    put(0x30, extended, bytes: 2)
    put(0x34, above16M, bytes: 2)
    put(0x5B, above4G, bytes: 3)
    put(0x5F, UInt64(max(1, settings.processorCount) - 1), bytes: 1)
    let codes = settings.bootOrder.prefix(3).map { device -> UInt64 in
      switch device {
      case .floppy: 1
      case .hardDisk: 2
      case .cdrom: 3
      }
    }
    func code(_ index: Int) -> UInt64 { codes.indices.contains(index) ? codes[index] : 0 }
    put(0x3D, code(0) | code(1) << 4, bytes: 1)
    put(0x38, code(2) << 4, bytes: 1)
  }
}
