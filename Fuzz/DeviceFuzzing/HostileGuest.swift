import Glibc
import KVMEngine
import Machine
import Storage

/// A guest that does what bytes say to one device: any register, any value, any width, any order,
/// while time passes and the outside acts.
///
/// Eight bytes are a step: what to do and the access's width, which region, the offset in it (two
/// bytes), a value (four bytes).
package final class HostileGuest {
  private let board: Board
  private let folder: String
  /// Bytes of a step.
  package static let stepBytes = 8

  /// Makes the board, with a hard disk, a CD and a floppy of zeroes in a folder that goes with it.
  package init() throws {
    var template = Array("\(P_tmpdir)/porthole-fuzz-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw HostError("make a folder", code: errno) }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var drives: [DriveDescription] = []
    for (kind, name, bytes) in [
      (DriveKind.hardDisk, "disk", 1 << 20), (.cdrom, "disc", 1 << 20),
      (.floppy, "floppy", 1_474_560),
    ] {
      let path = folder + "/" + name
      let file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
      guard file >= 0, ftruncate(file, bytes) == 0 else {
        throw HostError("make \(path)", code: errno)
      }
      close(file)
      drives.append(DriveDescription(kind: kind, path: path))
    }
    board = try Board(drives: drives)
  }

  deinit {
    for name in ["disk", "disc", "floppy"] { unlink(folder + "/" + name) }
    rmdir(folder)
  }

  /// Does what `steps` say to `target`, from a reset on.
  /// - Returns: what a device has against its own state afterwards; nil for nothing.
  package func run(_ target: DeviceTarget, _ steps: UnsafeRawBufferPointer) -> String? {
    board.reset()
    var at = 0
    while at + Self.stepBytes <= steps.count {
      let word = steps.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      step(target, word)
      at += Self.stepBytes
    }
    return board.saveAndRestore()
  }

  private func step(_ target: DeviceTarget, _ word: UInt64) {
    let choice = UInt8(truncatingIfNeeded: word)
    let width = AccessWidth.allCases[Int(choice >> 4 & 3)]
    let region = Int(truncatingIfNeeded: word >> 8 & 0xFF)
    let offset = word >> 16 & 0xFFFF
    let value = word >> 32
    switch choice & 0xF {
    case 0..<4: access(target, region, offset, width, nil)
    case 4..<9: access(target, region, offset, width, value)
    case 9: board.advance(value & 0x3FFF_FFFF)
    case 10: board.store(value | value << 32, at: offset * 8)
    case 11: putBlock(offset, value)
    case 12: board.point(x: Int(offset), y: Int(value & 0xFFFF), buttons: UInt8(region))
    case 13: board.key(UInt32(offset), pressed: region & 1 == 0)
    case 14: board.acknowledge()
    default: if value & 0xF == 0 { board.draw() } else { board.advance(offset) }
    }
  }

  /// A block of a controller's ring: a type, a cycle bit and flags, and an address nearby.
  private func putBlock(_ offset: UInt64, _ value: UInt64) {
    let place = (offset & 0x7FF) * 16
    board.store((value >> 16 & 0xFF) << 8, at: place)
    let control = (value & 0x3F) << 10 | value >> 6 & 0x3FF | (value >> 24 & 0xF) << 24
    board.store(value & 0x1FF | control << 32, at: place + 8)
  }

  private func access(
    _ target: DeviceTarget, _ region: Int, _ offset: UInt64, _ width: AccessWidth, _ value: UInt64?
  ) {
    switch target.regions[region % target.regions.count] {
    case .ports(let range):
      let span = UInt64(range.upperBound - range.lowerBound) + 1
      port(range.lowerBound &+ UInt16(truncatingIfNeeded: offset % span), width, value)
    case .functionPorts(let slot, let number, let index, let count):
      let base = UInt16(
        truncatingIfNeeded: board.region(slot: slot, number: number, index: index))
      port(base &+ UInt16(truncatingIfNeeded: offset % UInt64(count)), width, value)
    case .memory(let base, let bytes): memory(base, bytes, offset, width, value)
    case .function(let slot, let index, let bytes):
      memory(board.region(slot: slot, index: index), bytes, offset, width, value)
    case .localAPIC:
      let place = offset & 0x11FF << 4
      if let value {
        board.writeLocalAPIC(region >> 4, offset: place, width: width, value: value)
      } else {
        _ = board.readLocalAPIC(region >> 4, offset: place, width: width)
      }
    }
  }

  private func port(_ port: UInt16, _ width: AccessWidth, _ value: UInt64?) {
    let width = width == .qword ? AccessWidth.dword : width
    guard let value else {
      _ = board.read(port: port, width: width)
      return
    }
    board.write(
      port: port, width: width, value: UInt32(truncatingIfNeeded: value & width.mask))
  }

  /// Half of the offsets are the first ones, where most registers are; the others spread.
  private func memory(
    _ base: UInt64, _ bytes: UInt64, _ offset: UInt64, _ width: AccessWidth, _ value: UInt64?
  ) {
    let spread = offset & 0x8000 == 0 ? offset & 0x7FFF : (offset & 0x7FFF) &* (bytes >> 15 | 1)
    let address = base &+ spread % bytes
    if let value {
      board.write(address: address, width: width, value: (value | value << 32) & width.mask)
    } else {
      _ = board.read(address: address, width: width)
    }
  }
}

#if FUZZING
  /// What libFuzzer calls: the first byte chooses the device, unless the environment does.
  @_cdecl("LLVMFuzzerTestOneInput")
  public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard count > 1, let bytes, let guest = sharedGuest else { return 0 }
    let target = chosenTarget ?? DeviceTarget.all[Int(bytes[0]) % DeviceTarget.all.count]
    let steps = UnsafeRawBufferPointer(start: bytes + 1, count: count - 1)
    if let problem = guest.run(target, steps) {
      print("\(target.name): \(problem)")
      abort()
    }
    return 0
  }

  // SAFETY: libFuzzer calls from one thread.
  private nonisolated(unsafe) let sharedGuest = try? HostileGuest()
  private let chosenTarget = getenv("FUZZ_DEVICE").flatMap {
    DeviceTarget.named(String(cString: $0))
  }
#endif
